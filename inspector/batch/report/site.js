// Sorts the tables and filters their rows. Captured text is only compared, never made into markup.
"use strict";
(() => {
  const W = JSON.parse(document.getElementById("words").textContent);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const collator = new Intl.Collator("en", { numeric: true });
  for (const table of document.querySelectorAll("table.grid")) {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const tool = document.getElementById(`${table.id}-tool`);
    const status = tool && tool.querySelector("[role=status]");
    let told = "";
    const count = () => {
      if (!status) return;
      const n = rows.filter((row) => !row.hidden).length;
      status.textContent = fill(W.shown, { n: n.toLocaleString("en"), total: rows.length.toLocaleString("en") }) + (told && `, ${told}`);
    };
    const key = (row, i) => {
      const cell = row.cells[i];
      if (cell.dataset.v === undefined) return cell.textContent;
      return cell.dataset.v === "" ? null : Number(cell.dataset.v);
    };
    const sort = (column, down) => {
      const keyed = rows.map((row, i) => [key(row, column), i, row]);
      const by = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)));
      keyed.sort(([a, i], [b, j]) => (a === null || b === null ? (a === null) - (b === null) || i - j : (down ? -by(a, b) : by(a, b)) || i - j));
      body.append(...keyed.map(([, , row]) => row));
      heads.forEach((th, i) => (i === column ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort")));
      told = `${fill(W.sorted, { column: heads[column].textContent })}, ${down ? W.descending : W.ascending}`;
      count();
    };
    if (rows.length > 1) {
      heads.forEach((th, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = th.textContent;
        th.textContent = "";
        th.append(button);
        const numbers = rows.some((row) => row.cells[i].dataset.v !== undefined);
        button.addEventListener("click", () => {
          const now = th.getAttribute("aria-sort");
          sort(i, now ? now === "ascending" : numbers); // numbers: the most first
        });
      });
    }
    if (!tool || rows.length < 12) continue;
    const input = tool.querySelector("input");
    const haystacks = rows.map((row) => row.textContent.toLowerCase());
    const filter = () => {
      const wanted = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, i) => { row.hidden = !wanted.every((word) => haystacks[i].includes(word)); });
      count();
    };
    tool.addEventListener("submit", (event) => event.preventDefault());
    input.addEventListener("input", filter);
    tool.hidden = false;
    filter();
  }
})();
