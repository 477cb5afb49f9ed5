// The page's own script: filters and sorts the table of mirrors, and draws a mirror's ladder when it is opened.
// Captured text only ever becomes text nodes and attribute values, never markup.
"use strict";
(() => {
  const parse = (id) => JSON.parse(document.getElementById(id).textContent);
  const store = parse("data");
  const { pool: S, words: W, geometry: G, mirrors: M, captures: CAPTURES } = store;
  const texts = (i) => S[i].map((j) => S[j]);
  const many = CAPTURES.length > 1;
  const NS = "http://www.w3.org/2000/svg";
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const status = document.getElementById("count");
  const form = document.getElementById("filter");
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

  // ---- elements -----------------------------------------------------------------------------------------------------
  const make = (parent, name, attributes, text, ns) => {
    const out = ns ? document.createElementNS(ns, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) out.setAttribute(key, value);
    if (text !== undefined) out.textContent = text;
    if (parent) parent.append(out);
    return out;
  };
  const draw = (parent, name, attributes, text) => make(parent, name, attributes, text, NS);

  // ---- width of text, as inspector.render.text has it ------------------------------------------------------------------
  const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
  const NONE = /\p{Mn}|\p{Me}/u;
  const width = (text) => {
    let sum = 0;
    for (const char of text) sum += WIDE.test(char) ? 2 : NONE.test(char) ? 0 : 1;
    return sum;
  };
  const fits = (chars, room) => {
    let out = chars.slice(0, Math.max(room, 0));
    while (out.length && width(out.join("")) > room) out = out.slice(0, -1);
    return out;
  };
  const cutMiddle = (text, room) => {
    const chars = [...text];
    if (chars.length <= room && width(text) <= room) return text;
    if (room < 2) return "\u2026".slice(0, Math.max(room, 0));
    const tail = Math.floor((Math.max(room - 1, 0) * 2) / 5);
    const end = tail ? fits([...chars].reverse(), tail).reverse().join("") : "";
    return fits(chars, room - 1 - width(end)).join("") + "\u2026" + end;
  };
  const wrap = (text, room, first = "", rest = "") => {
    const lines = [];
    let line = first, empty = true;
    for (let word of text.match(/-\w [^\s-]\S*|\S+/gu) || []) {
      while (word) {
        const gap = empty ? "" : " ";
        if (width(line) + gap.length + width(word) <= room) {
          line += gap + word; word = ""; empty = false;
        } else if (empty) {
          const chars = [...word];
          const part = fits(chars, Math.max(room - width(line), 1));
          const taken = part.length ? part : [chars[0]];
          lines.push(line + taken.join(""));
          line = rest; word = chars.slice(taken.length).join("");
        } else {
          lines.push(line); line = rest; empty = true;
        }
      }
    }
    return empty && lines.length ? lines : [...lines, line];
  };

  // ---- ladders: the same layout as inspector.render.ladder_svg (a test compares them) ----------------------------------
  const round = (x) => { // half to even, as Python has it
    const low = Math.floor(x);
    return x - low !== 0.5 ? Math.round(x) : low % 2 ? low + 1 : low;
  };
  const offset = (ns) => {
    const us = Math.floor((Math.abs(ns) + 500) / 1000);
    const ms = Math.floor(us / 1000).toString().replace(/\B(?=(\d{3})+$)/g, ",");
    return `${ns < 0 ? "-" : "+"}${ms}.${String(us % 1000).padStart(3, "0")} ms`;
  };
  const head = (what, size) => (what && size ? `${what} (${size})` : what || size);
  const label = (a) => [head(a.what, a.size), a.says].filter(Boolean).join(", ");
  const fit = (a, room) => {
    const whole = label(a);
    if (width(whole) <= room) return [whole];
    const what = cutMiddle(a.what, room), both = head(what, a.size);
    const first = width(both) <= room ? [both] : [what, cutMiddle(a.size, room)];
    let said = a.says ? wrap(a.says, room) : [];
    if (said.length > G.said) said = [...said.slice(0, G.said - 1), cutMiddle(said.slice(G.said - 1).join(" "), room)];
    return [...first, ...said].filter(Boolean);
  };
  const readLadder = (number) => {
    const [request, verdict, lines, arrows, notes, captures] = M[number][1];
    return {
      title: fill(W.title, { number, request: S[request], verdict: S[verdict] }), notes: texts(notes), captures: texts(captures),
      lines: lines.map(texts).map(([role, address, name, asked, unseen]) => ({ role, address, name, asked, seen: !unseen })),
      arrows: arrows.map(([kind, source, target, what, size, says, where, time]) =>
        ({ kind: S[kind], source, target, what: S[what], size: S[size], says: S[says], where: S[where], time })),
    };
  };
  const tell = (l) => {
    const who = (line) => `${line.role} ${line.name || line.address}`.trimEnd();
    return [...l.arrows.map((a) => fill(a.kind === "unseen" ? W.tellUnseen : W.tell, {
      time: a.time === null ? "?" : offset(a.time), packets: a.where,
      source: who(l.lines[a.source]), target: who(l.lines[a.target]), label: label(a),
    })), ...l.notes];
  };
  const ladder = (number) => {
    const l = readLadder(number), C = G.character;
    const times = l.arrows.filter((a) => a.time !== null).map((a) => offset(a.time).length);
    const gutter = G.edge + C * (Math.max(0, ...times) + 1);
    const need = [G.least / C];
    for (const a of l.arrows) need.push((width(label(a)) + 4) / Math.max(Math.abs(a.source - a.target), 1));
    for (const line of l.lines) need.push(Math.max(width(line.address), width(line.name), width(line.asked)) + 4);
    const gap = round(Math.min(Math.max(...need) * C, G.most)), box = gap - 16;
    const first = Math.max(gutter + 10, G.edge + box / 2);
    const xs = l.lines.map((_line, i) => round(first + gap * i));
    const wide = round(xs[xs.length - 1] + box / 2 + G.edge);
    const inBox = Math.trunc(box / C) - 2;
    const blocks = l.lines.map((line) => {
      const out = [cutMiddle(line.role, inBox)];
      for (const text of line.seen ? [line.name, cutMiddle(line.asked, inBox), line.address] : [W.unseen]) {
        if (text) out.push(...wrap(text, inBox).slice(0, G.addresses));
      }
      return out;
    });
    const headers = G.edge + G.line + 10;
    const top = headers + 10 + G.line * Math.max(...blocks.map((b) => b.length));
    const root = `ladder-${number}`;
    const svg = draw(null, "svg", { id: root, class: "ladder" });
    draw(svg, "title", { id: `${root}-title` }, l.title);
    draw(svg, "desc", { id: `${root}-desc` }, tell(l).join(". ").slice(0, G.desc));
    const paper = draw(svg, "rect", { class: "paper", width: wide });
    const title = cutMiddle(l.title, Math.trunc((wide - 2 * G.edge) / C) - 1);
    draw(svg, "text", { class: "role", x: G.edge, y: G.edge + 12 }, title);
    const lifelines = l.lines.map((line, i) => draw(svg, "path", { class: "life", ...(line.seen ? {} : { "stroke-dasharray": "2 6" }) }));
    l.lines.forEach((line, i) => {
      draw(svg, "rect", { class: "box", x: round(xs[i] - box / 2), y: headers, width: box, height: top - headers, rx: 4,
        ...(line.seen ? {} : { "stroke-dasharray": "2 4" }) });
      blocks[i].forEach((text, j) => draw(svg, "text",
        { class: j ? "ink" : "role", x: xs[i], y: headers + G.line * (j + 1), "text-anchor": "middle" }, text));
    });
    let bottom = top + 8;
    for (const a of l.arrows) bottom = arrow(svg, a, xs, gutter, bottom);
    lifelines.forEach((path, i) => path.setAttribute("d", `M${xs[i]} ${top}V${bottom + 8}`));
    const room = Math.trunc((wide - 2 * G.edge) / C) - 1;
    const lines = l.captures.flatMap((c, i) => wrap(c, room, `[${i + 1}] `, "    "));
    lines.push(...l.notes.flatMap((note) => wrap(note, room, "- ", "  ")));
    lines.forEach((line, i) => draw(svg, "text", { class: "faint",
      x: +(G.edge + (line.startsWith("  ") ? 2 * C : 0)).toPrecision(6), y: bottom + 18 + G.line * (i + 1) }, line.trim()));
    const high = bottom + 18 + G.line * lines.length + G.edge;
    paper.setAttribute("height", high);
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "img",
      lang: document.documentElement.lang, "aria-labelledby": `${root}-title ${root}-desc` })) svg.setAttribute(key, value);
    return svg;
  };
  const arrow = (svg, a, xs, gutter, top) => {
    const low = Math.min(xs[a.source], xs[a.target]), high = Math.max(xs[a.source], xs[a.target]);
    const middle = Math.floor((low + high) / 2), room = Math.trunc((high - low - 2 * G.character) / G.character);
    const name = G.inks.includes(a.kind) ? a.kind : a.kind === "unseen" ? "faint" : "ink";
    const g = draw(svg, "g", { class: `message ${a.kind}` });
    draw(g, "title", {}, label(a));
    const labels = fit(a, room);
    labels.forEach((text, i) => draw(g, "text", { class: `${name} halo`, x: middle, y: top + G.line * (i + 1), "text-anchor": "middle" }, text));
    const y = top + G.line * labels.length + 8;
    shaft(g, a, name, xs[a.source], xs[a.target], y);
    if (a.where) draw(g, "text", { class: "faint halo", x: middle, y: y + 16, "text-anchor": "middle" }, a.where);
    if (a.time !== null) draw(g, "text", { class: "faint", x: round(gutter - G.character), y: y + 4, "text-anchor": "end" }, offset(a.time));
    return y + (a.where ? 20 : 8);
  };
  const shaft = (g, a, name, start, end, y) => {
    const way = end > start ? 1 : -1, line = `${name}-line`;
    if (a.kind === "unseen") {
      draw(g, "path", { class: line, d: `M${start + 6 * way} ${y}H${end - 6 * way}`, "stroke-dasharray": "1 5" });
      return;
    }
    const tip = end - (a.kind === "discarded" || a.kind === "unproven" ? 13 : 1) * way;
    if (a.kind === "leaked") {
      draw(g, "path", { class: line, d: `M${start} ${y - 2}H${tip - 8 * way}M${start} ${y + 2}H${tip - 8 * way}` });
    } else {
      draw(g, "path", { class: line, d: `M${start} ${y}H${tip - 6 * way}`, ...(a.kind === "request" ? {} : { "stroke-dasharray": "7 4" }) });
    }
    draw(g, "path", { class: `${name}-head`, d: `M${tip} ${y}l${-9 * way} -5v10z` });
    if (a.kind === "discarded") draw(g, "path", { class: `${line} thick`, d: `M${end - 8} ${y - 8}l16 16m0 -16l-16 16` });
    if (a.kind === "unproven") {
      draw(g, "circle", { class: `${line} cover`, cx: end, cy: y, r: 9 });
      draw(g, "text", { class: name, x: end, y: y + 4, "text-anchor": "middle" }, "?");
    }
  };

  // ---- details of a mirror ---------------------------------------------------------------------------------------------
  const details = (number) => {
    const [id, , compared, facts, evidence, [says, changes, more]] = M[number];
    const out = make(null, "div", { class: "details" });
    const scroll = make(out, "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": W.scroll });
    scroll.append(ladder(number));
    const side = make(out, "div", { class: "facts" });
    const t = make(side, "table", { class: "compared" });
    make(t, "caption", {}, W.compared);
    const names = make(make(t, "thead"), "tr");
    for (const name of [W.what, W.original, W.mirror, W.client]) make(names, "th", { scope: "col" }, name);
    const tb = make(t, "tbody");
    for (const [name, original, mirror, client, differs] of compared.map(texts)) {
      const tr = make(tb, "tr", differs ? { class: "differs" } : {});
      make(tr, "th", { scope: "row" }, name);
      make(tr, "td", {}, original);
      const cell = make(tr, "td", {}, mirror);
      if (differs) make(cell, "span", { class: "mark" }, ` \u2260 ${W.differs}`);
      make(tr, "td", {}, client);
    }
    if (changes.length || S[says].length || more) make(side, "h4", {}, W.different);
    for (const sentence of texts(says)) make(side, "p", {}, sentence);
    if (changes.length) {
      const scroll = make(side, "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": W.different });
      const t = make(scroll, "table", { class: "changes" });
      make(t, "caption", { class: "visually-hidden" }, W.different);
      const tr = make(make(t, "thead"), "tr"), body = make(t, "tbody");
      for (const name of [W.part, W.change, W.original, W.mirror]) make(tr, "th", { scope: "col" }, name);
      for (const [first, ...rest] of changes.map(texts)) {
        const tr = make(body, "tr");
        make(tr, "th", { scope: "row" }, first);
        for (const cell of rest) make(tr, "td", {}, cell);
      }
    }
    if (more) make(side, "p", { class: "hint" }, fill(W.more, { n: more.toLocaleString("en"), number }));
    const dl = make(side, "dl");
    const pairs = facts.map(texts);
    if (S[id]) pairs.push([W.requestId, S[id]]);
    for (const capture of new Set(evidence.map(([c]) => c))) {
      const packets = [...new Set(evidence.filter(([c]) => c === capture).map(([, packet]) => packet))].sort((a, b) => a - b);
      pairs.push([many ? `${W.wireshark}, [${capture + 1}] ${CAPTURES[capture]}` : W.wireshark, `frame.number in {${packets.join(", ")}}`]);
    }
    for (const [name, value] of pairs) {
      make(dl, "dt", {}, name);
      make(dl, "dd", {}, value);
    }
    make(side, "h4", {}, W.evidence);
    const ul = make(side, "ul");
    for (const [capture, packet, says] of evidence) {
      const li = make(ul, "li");
      make(li, "b", {}, fill(W.packet, { n: many ? `[${capture + 1}] ${packet}` : packet }));
      li.append(`: ${S[says]}`);
    }
    make(side, "p", { class: "hint" }, fill(W.steps, { n: number }));
    return out;
  };
  const number = (row) => row.id.slice("mirror-".length);
  const toggle = (row, open) => {
    const button = row.querySelector("button"), id = `details-${number(row)}`, old = document.getElementById(id);
    if (open === !!old) return;
    button.setAttribute("aria-expanded", String(open));
    if (old) { old.remove(); return; }
    const tr = make(null, "tr", { id, class: "opened" });
    make(tr, "td", { colspan: row.cells.length }).append(details(number(row)));
    row.after(tr);
  };
  const isOpen = (row) => !!document.getElementById(`details-${number(row)}`);

  // ---- filter and sort ---------------------------------------------------------------------------------------------------
  const haystacks = new Map(rows.map((row) => [row, `${row.textContent} ${S[M[number(row)][0]]}`.toLowerCase()]));
  const columns = [...table.tHead.rows[0].cells];
  let told = "";
  const count = () => {
    const n = rows.filter((row) => !row.hidden).length;
    status.textContent = fill(W.shown, { n: n.toLocaleString("en"), total: rows.length.toLocaleString("en") }) + (told && `, ${told}`);
    document.getElementById("none").hidden = n > 0;
  };
  const filter = () => {
    const wanted = form.elements.text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const { verdict, route, answers } = form.elements;
    for (const row of rows) {
      row.hidden = !((!verdict.value || row.dataset.verdict === verdict.value) && (!route.value || row.dataset.route === route.value)
        && (!answers.value || row.dataset.answers === answers.value) && wanted.every((word) => haystacks.get(row).includes(word)));
      if (row.hidden) toggle(row, false);
    }
    count();
  };
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return cell.dataset.v === "" ? null : Number(cell.dataset.v);
    return cell.textContent;
  };
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const sort = (column, down) => {
    const keyed = rows.map((row, i) => [key(row, column), i, row]);
    const by = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : compare(String(a), String(b)));
    keyed.sort(([a, i], [b, j]) => (a === null || b === null ? (a === null) - (b === null) || i - j : (down ? -by(a, b) : by(a, b)) || i - j));
    const open = new Map(rows.map((row) => [row, document.getElementById(`details-${number(row)}`)]));
    const all = document.createDocumentFragment();
    for (const [, , row] of keyed) {
      all.append(row);
      if (open.get(row)) all.append(open.get(row));
    }
    body.append(all);
    columns.forEach((th, i) => (i === column ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort")));
    told = `${fill(W.sorted, { column: columns[column].textContent })}, ${down ? W.descending : W.ascending}`;
    count();
  };

  // ---- the page comes alive ------------------------------------------------------------------------------------------------
  columns.forEach((th, i) => {
    const name = th.textContent;
    th.textContent = "";
    make(th, "button", { type: "button" }, name).addEventListener("click", () => sort(i, th.getAttribute("aria-sort") === "ascending"));
  });
  for (const row of rows) {
    const cell = row.cells[0], n = cell.textContent;
    cell.textContent = "";
    const button = make(cell, "button", { type: "button", "aria-expanded": "false", "aria-label": fill(W.open, { n }) }, n);
    button.addEventListener("click", () => toggle(row, !isOpen(row)));
    row.addEventListener("click", (event) => {
      if (!event.target.closest("button, a") && !String(getSelection())) toggle(row, !isOpen(row));
    });
  }
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  for (const link of document.querySelectorAll("a[data-verdict]")) {
    link.addEventListener("click", () => {
      form.reset();
      form.elements.verdict.value = link.dataset.verdict;
      filter();
    });
  }
  const go = () => {
    const row = /^#mirror-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!row) return;
    if (row.hidden) { form.reset(); filter(); }
    toggle(row, true);
    row.scrollIntoView({ block: "start" });
    row.querySelector("button").focus({ preventScroll: true });
  };
  addEventListener("hashchange", go);
  document.addEventListener("click", (event) => { // the same link again
    const link = event.target.closest && event.target.closest('a[href^="#mirror-"]');
    if (link && link.hash === location.hash) go();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const at = document.activeElement && document.activeElement.closest("#table tbody tr");
    if (!at) return;
    const row = at.classList.contains("opened") ? at.previousElementSibling : at;
    toggle(row, false);
    row.querySelector("button").focus();
  });
  count();
  go();
})();
