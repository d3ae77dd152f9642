"use strict";
for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = box.querySelector(".search");
  const fold = Number(box.dataset.fold) || Infinity;
  let unfolded = rows.length <= fold;
  let more = null;
  const show = () => {
    const wanted = (search ? search.value : "").trim().toLowerCase();
    let kept = 0;
    for (const row of body.rows) {
      const fits = !wanted || row.textContent.toLowerCase().includes(wanted);
      const folded = fits && !unfolded && !wanted && kept >= fold;
      if (fits) kept += 1;
      row.hidden = !fits || folded;
      row.classList.toggle("folded", folded);
    }
    if (more) more.hidden = unfolded || Boolean(wanted);
  };
  if (!unfolded) {
    more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    more.textContent = `Show all ${rows.length} rows`;
    more.addEventListener("click", () => { unfolded = true; show(); });
    box.append(more);
  }
  if (search) search.addEventListener("input", show);
  const key = (cell) => {
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    const found = cell.textContent.replace(/,/g, "").replace(/−/g, "-").match(/^\s*[-+]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : cell.textContent.trim().toLowerCase();
  };
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (rows.length > 2) heads.forEach((head, at) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      [...body.rows]
        .map((row) => [key(row.cells[at]), row])
        .sort(([a], [b]) => {
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return a < b ? -sign : a > b ? sign : 0;
        })
        .forEach(([, row]) => body.append(row));
      show();
    });
  });
  show();
}
for (const box of document.querySelectorAll(".examples")) {
  const form = box.querySelector("form");
  if (!form) continue;
  const items = [...box.querySelectorAll("li")];
  const output = form.querySelector("output");
  const words = form.querySelector("input");
  const show = () => {
    const wanted = [...form.querySelectorAll("select")]
      .filter((select) => select.value)
      .map((select) => [select.dataset.fact, select.value]);
    const text = words.value.trim().toLowerCase();
    let kept = 0;
    for (const item of items) {
      const facts = [...item.querySelectorAll("[data-fact]")];
      const fits = wanted.every(([name, value]) =>
        facts.some((fact) => fact.dataset.fact === name && fact.querySelector("dd").textContent === value))
        && (!text || item.querySelector("p").textContent.toLowerCase().includes(text));
      item.hidden = !fits;
      if (fits) kept += 1;
    }
    output.textContent = `${kept} of ${items.length}`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}
