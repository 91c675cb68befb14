"use strict";
// Everything is there without this script: it only sorts, filters, and reads out fields of the maps.

const known = (cell) => cell.dataset.v === undefined ? cell.textContent !== "–" : cell.dataset.v !== "";

const order = new Intl.Collator("en", { numeric: true });

function compare(a, b, down) {
  if (known(a) !== known(b)) return known(a) ? -1 : 1; // what is missing comes last either way
  const way = a.dataset.v === undefined
    ? order.compare(a.textContent, b.textContent)
    : (a.dataset.v === b.dataset.v ? 0 : Number(a.dataset.v) - Number(b.dataset.v)); // inf − inf is no number
  return down ? -way : way;
}

function sort(table, head) {
  const down = head.getAttribute("aria-sort") === "ascending"
    || (head.getAttribute("aria-sort") === null && head.classList.contains("n"));
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compare(a.cells[head.cellIndex], b.cells[head.cellIndex], down));
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.data")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(table, head));
  }
}

for (const box of document.querySelectorAll(".table.long")) {
  const table = box.querySelector("table");
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "filter";
  input.setAttribute("aria-label", `Filter: ${box.getAttribute("aria-label")}`);
  const told = document.createElement("span");
  told.setAttribute("aria-live", "polite");
  const line = document.createElement("div");
  line.className = "filter";
  line.append(input, told);
  box.before(line);
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    told.textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
}

function duration(ns) { // as harness/output.py writes it
  if (ns < 0) return `−${duration(-ns)}`;
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
    if (ns < size * 0.9995) continue;
    const value = ns / size;
    return `${value.toFixed(value < 1000 ? Math.max(0, 2 - Math.trunc(Math.log10(value))) : 0)} ${unit}`;
  }
  return `${ns.toFixed(0)} ns`;
}

function cellWords(map, stored) {
  if (stored === 0) return map.missing;
  if (map.kind === "words") return map.words[stored - 1];
  const value = Math.exp(map.low + (stored - 1) / (map.steps - 1) * (map.high - map.low));
  if (map.kind === "memory") return `${Number((value * 1024 / 1e6).toPrecision(3))} MB`;
  return map.kind === "time" ? duration(value) : `${value.toFixed(2)}×`;
}

const maps = JSON.parse(document.getElementById("maps").textContent);
for (const [key, map] of Object.entries(maps)) {
  const figure = document.getElementById(key);
  const svg = figure.querySelector("svg.map");
  const cursor = svg.querySelector(".cursor");
  const told = figure.querySelector("output");
  const bytes = Uint8Array.from(atob(map.cells), (letter) => letter.charCodeAt(0));
  const wideCells = () => Uint16Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] | bytes[2 * i + 1] << 8);
  const cells = map.steps < 255 ? bytes : wideCells();
  const [left, top, wide, high] = ["left", "top", "wide", "high"].map((name) => Number(figure.dataset[name]));
  let row = 0;
  let column = 0;

  const beside = (x, y) => { // the read-out stands above the finger, or below it at the top of the window
    told.classList.add("near");
    const box = told.getBoundingClientRect();
    const right = Math.max(4, Math.min(x - box.width / 2, innerWidth - box.width - 4));
    told.style.transform = `translate(${right}px, ${y > box.height + 60 ? y - box.height - 28 : y + 28}px)`;
  };
  const leave = () => {
    told.classList.remove("near");
    told.style.transform = "";
  };
  const show = () => {
    cursor.setAttribute("x", left + column * wide);
    cursor.setAttribute("y", top + row * high);
    const words = cellWords(map, cells[row * map.columns.length + column]);
    const [first, second] = map.joint === "on" ? [map.columns[column], map.rows[row]] : [map.rows[row], map.columns[column]];
    told.textContent = `${first} ${map.joint} ${second}: ${words}`;
  };
  const point = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const [x, y] = [Math.floor((at.x - left) / wide), Math.floor((at.y - top) / high)];
    if (x < 0 || y < 0 || x >= map.columns.length || y >= map.rows.length) return;
    [column, row] = [x, y];
    show();
    beside(event.clientX, event.clientY);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  for (const gone of ["pointerleave", "blur"]) svg.addEventListener(gone, leave);
  addEventListener("scroll", leave, { passive: true });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    column = Math.min(Math.max(column + step[0], 0), map.columns.length - 1);
    row = Math.min(Math.max(row + step[1], 0), map.rows.length - 1);
    show();
    const box = cursor.getBoundingClientRect();
    beside(box.x + box.width / 2, box.y);
  });
  svg.addEventListener("focus", show);
}
