"""What callers give to be labelled: texts and contexts, of any kind and number, and in windows."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

from framelens.errors import InputError
from framelens.prediction import Prediction, Status
from framelens.scope import out_of_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["checked_texts", "fault_of", "in_windows", "paired", "unlabelled"]

_ABSENT: Any = object()
_T = TypeVar("_T")


def paired(texts: Iterable[str], context: Iterable[str | None] | None) -> Iterator[tuple[str, str | None]]:
    """Each text with its context.

    Raises:
        InputError: ``context`` is a string, or shorter or longer than ``texts``.
    """
    if context is None:
        yield from ((text, None) for text in texts)
        return
    if isinstance(context, str):
        raise InputError("context must be one string or None for each text, got one string for all")
    # Not zip(strict=True): its ValueError could not be told from one that the user's iterable raises.
    for text, before in zip_longest(texts, context, fillvalue=_ABSENT):
        if text is _ABSENT or before is _ABSENT:
            shorter, longer = ("texts", "context") if text is _ABSENT else ("context", "texts")
            raise InputError(f"texts and context must be of one length, but {shorter} ended before {longer}")
        yield text, before


def in_windows(
    items: Iterable[_T], size: int, weight: Callable[[_T], int] = lambda _: 1
) -> Iterator[list[_T]]:
    """The items in lists; where they end in an error, those before it come first.

    Args:
        items: of any kind.
        size: the weight that fills a list; its last item may go beyond.
        weight: of an item, at least 1.
    """
    window: list[_T] = []
    filled = 0
    try:
        for item in items:
            window.append(item)
            filled += weight(item)
            if filled >= size:
                yield window
                window, filled = [], 0
    except Exception:
        # Without this, a fault in a caller's iterable would cost up to a window of labels.
        if window:
            yield window
        raise
    if window:
        yield window


def checked_texts(texts: Sequence[str]) -> Iterator[str]:
    """The texts themselves.

    Raises:
        InputError: one is empty or no string.
    """
    for i, text in enumerate(texts):
        problem = fault_of(text) or ("an empty one" if not text.strip() else None)
        if problem:
            raise InputError(f"expected strings with text in them, got {problem} at index {i}")
        yield text


def fault_of(text: Any) -> str | None:
    """What keeps a value from being read as text; None where nothing does."""
    if not isinstance(text, str):
        return type(text).__name__
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"a string that is not valid Unicode (lone surrogate at character {error.start})"
    return None


def unlabelled(text: Any, context: Any) -> Prediction | None:
    """The prediction for what need not reach the model; None for what must."""
    if problem := fault_of(text):
        readable = text if isinstance(text, str) else ""
        return Prediction(readable, None, status=Status.ERROR, error=f"expected text, got {problem}")
    if context is not None and (problem := fault_of(context)):
        error = f"expected text or nothing as context, got {problem}"
        return Prediction(text, None, status=Status.ERROR, error=error)
    if not text.strip():
        return Prediction(text, None, status=Status.EMPTY)
    if out_of_scope(text):
        return Prediction(text, None, status=Status.NOT_APPLICABLE)
    return None
