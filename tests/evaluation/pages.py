"""What every page of ours must be, whatever it shows; tests get it as the fixture ``check_page``."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

__all__ = ["check_page"]

#: Elements that are written without an end tag.
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})
_LOADS = frozenset({"src", "srcset", "href", "xlink:href", "data", "poster", "action", "formaction"})


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: Counter[str] = Counter()
        self.pointed_at: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.unnamed: list[str] = []
        self.scripts = 0
        self._labels = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, dict(attrs))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        # HTML lets a paragraph end by itself; ours never do, so every end tag has to fit.
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> does not close what is open")

    def _look_at(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.scripts += tag == "script"
        if tag in {"link", "iframe", "object", "embed", "base"}:
            self.faults.append(f"<{tag}> loads something")
        for name, value in attributes.items():
            if name.startswith("on"):
                self.faults.append(f"<{tag} {name}> runs code")
            if name in _LOADS and not (value or "").startswith("#"):
                self.faults.append(f"<{tag} {name}={value}> points outside the page")
            if name == "style" and "url(" in (value or "") and "url(#" not in (value or ""):
                self.faults.append(f"<{tag} style={value}> loads something")
            if name in {"aria-labelledby", "aria-describedby", "for"} or (name in _LOADS and value):
                self.pointed_at.update(part.removeprefix("#") for part in (value or "").split())
        if attributes.get("id"):
            self.ids[str(attributes["id"])] += 1
        if tag == "svg":
            self.pictures.append(attributes)
        labelled = "aria-label" in attributes or "aria-labelledby" in attributes or "label" in self.open
        if tag in {"input", "select", "textarea"} and not labelled:
            self.unnamed.append(tag)


def check_page(page: str) -> None:
    """Assert that a page is well nested, loads nothing, and names every picture and field."""
    found = _Page()
    found.feed(page)
    found.close()
    assert not found.open, f"not closed: {found.open}"
    assert not found.faults, found.faults
    twice = [name for name, n in found.ids.items() if n > 1]
    assert not twice, f"ids that stand twice: {twice}"
    assert found.pointed_at <= set(found.ids), f"no such id: {found.pointed_at - set(found.ids)}"
    assert not found.unnamed, f"fields without a name: {found.unnamed}"
    assert found.scripts == 1, f"{found.scripts} scripts"
    for picture in found.pictures:
        assert picture.get("role") == "img"
        names = str(picture.get("aria-labelledby")).split()
        assert len(names) == 2
        for name, tag in zip(names, ("title", "desc"), strict=True):
            said = re.search(rf'<{tag} id="{re.escape(name)}">([^<]+)</{tag}>', page)
            assert said
            assert said[1].strip()
    style = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL))
    assert "@import" not in style
    assert not re.search(r"url\(\s*[\"']?(?!#)", style)
    assert '<meta name="viewport"' in page
    assert '<html lang="en">' in page
