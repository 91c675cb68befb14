"use strict";
// Names come from devices and modules: they only ever become text nodes.
const COLOURS = ["", "#a9b4bf", "#d55e00", "#9cc3da", "#3f7fa6"];
const SIZE = 9;
const by = (id) => document.getElementById(id);
const lanes = new Map();
const course = [];
let map = null, at = 0, heardAt = 0, rows = [];

function clock(s) {
  if (s === null) return "–";
  const m = Math.floor(Math.round(s) / 60), h = Math.floor(m / 60);
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  return h ? `${h} h ${m % 60} min` : m ? `${m} min ${Math.round(s) % 60} s` : `${Math.round(s)} s`;
}

function several(count, what) { return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`; }

const FACTS = [
  ["now", (r) => r.platform ? `${r.workloads.join(" + ")} under ${r.platform}` : "–"],
  ["because", (r) => r.why || "–"],
  ["for", (r, age) => r.for_s === null ? "–" : clock(r.for_s + age)],
  ["jobs", (r) => `${r.done.toLocaleString("en")} done, ${r.left.toLocaleString("en")} left`],
  ["time left", (r, age) => r.left_s === null ? "–" : clock(Math.max(0, r.left_s - age))],
  ["failed", (r) => r.reasons || "none"],
  ["temperature", (r) => r.temperature_c === null ? "–" : `${r.temperature_c.toFixed(0)} °C`],
  ["throttled", (r) => r.throttled === null ? "–" : several(r.throttled, "time")],
  ["anchors drift", (r) => r.drift === null ? "–" : `${(100 * r.drift).toFixed(1)} %`],
  ["last contact", (r, age) => r.heard_s === null ? "–" : `${clock(r.heard_s + age)} ago`],
  ["said", (r) => r.said || "–"],
];

function lane(row) {
  if (lanes.has(row.device)) return lanes.get(row.device);
  const box = document.createElement("article"), name = document.createElement("h3");
  const state = document.createElement("p"), bar = document.createElement("progress");
  const list = document.createElement("dl");
  box.className = "lane";
  name.textContent = row.device;
  bar.setAttribute("aria-label", `jobs done on ${row.device}`);
  const values = FACTS.map(([title]) => {
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = title;
    list.append(term, value);
    return value;
  });
  box.append(name, state, bar, list);
  by("lanes").append(box);
  const made = { box, state, bar, values };
  lanes.set(row.device, made);
  return made;
}

function set(node, text) { if (node.textContent !== text) node.textContent = text; }

function drawLanes() {
  const age = (performance.now() - heardAt) / 1000;
  for (const row of rows) {
    const { state, bar, values } = lane(row);
    set(state, row.state);
    state.className = row.state === "set aside" ? "bad" : "";
    bar.max = Math.max(1, row.done + row.left);
    bar.value = row.done;
    FACTS.forEach(([, told], k) => set(values[k], told(row, age)));
  }
}

function sum() {
  const done = rows.reduce((n, r) => n + r.done, 0), all = rows.reduce((n, r) => n + r.done + r.left, 0);
  const left = rows.map((r) => r.left_s).filter((s) => s !== null);
  const time = left.length ? `, about ${clock(Math.max(...left))} left` : "";
  set(by("sum"), `${done.toLocaleString("en")} of ${all.toLocaleString("en")} jobs done on ${several(rows.length, "device")}${time}.`);
  document.title = `${all ? Math.floor(100 * done / all) : 0} % · harness watch`;
}

function paint(k) {
  const pen = by("map").getContext("2d"), wide = map.workloads.length;
  const x = (k % wide) * SIZE, y = Math.floor(k / wide) * SIZE;
  pen.clearRect(x, y, SIZE - 1, SIZE - 1);
  if (map.cells[k]) { pen.fillStyle = COLOURS[map.cells[k]]; pen.fillRect(x, y, SIZE - 1, SIZE - 1); }
}

function legend() {
  const counts = map.kinds.map((_, kind) => map.cells.reduce((n, cell) => n + (cell === kind), 0));
  const told = map.kinds.map((kind, k) => `${counts[k].toLocaleString("en")} ${kind}`);
  by("legend").replaceChildren(...map.kinds.map((_, k) => {
    const item = document.createElement("span"), swatch = document.createElement("i");
    swatch.className = `k${k}`;
    item.append(swatch, told[k]);
    return item;
  }));
  by("map").setAttribute("aria-label", `Coverage: ${told.join(", ")}`);
}

function read() {
  if (!map || !map.cells.length) return;
  const wide = map.workloads.length;
  at = Math.max(0, Math.min(map.cells.length - 1, at));
  set(by("readout"), `${map.workloads[at % wide]} on ${map.platforms[Math.floor(at / wide)]}: ${map.kinds[map.cells[at]]}`);
}

// The course of an adaptive collection: [hours, error, low, high] each, on jobs drawn at random.
function percent(share) { return `${(100 * share).toPrecision(3)} %`; }

function drawn(name, facts, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function drawCourse(next) {
  by("course").hidden = !course.length;
  if (!course.length) return;
  const [hours, mape, low, high] = course.at(-1), first = course[0][0];
  const told = `After ${hours.toPrecision(3)} device-hours it is ${percent(mape)} (${percent(low)} to ${percent(high)}), on jobs drawn at random.`;
  set(by("error"), told);
  by("fall").toggleAttribute("hidden", course.length < 2);
  const top = Math.max(...course.map((one) => one[3]));
  const x = (h) => 50 + 580 * Math.log(h / first) / Math.log(hours / first), y = (share) => 175 - 160 * share / top;
  const line = (k, kind) => drawn("polyline", { class: kind, points: course.map((one) => `${x(one[0]).toFixed(1)},${y(one[k]).toFixed(1)}`).join(" ") });
  by("fall").setAttribute("aria-label", `${percent(course[0][1])} after ${first.toPrecision(3)} device-hours. ${told}`);
  by("fall").replaceChildren(
    drawn("line", { x1: 50, y1: 175, x2: 630, y2: 175 }), line(2, "end"), line(3, "end"), line(1, "mean"),
    drawn("text", { x: 46, y: y(top) + 4, "text-anchor": "end" }, percent(top)), drawn("text", { x: 46, y: 179, "text-anchor": "end" }, "0"),
    drawn("text", { x: 50, y: 195 }, `${first.toPrecision(3)} h`), drawn("text", { x: 630, y: 195, "text-anchor": "end" }, `${hours.toPrecision(3)} h`));
  by("soon").hidden = !next.length;
  by("next").replaceChildren(...next.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

function take(told) {
  heardAt = performance.now();
  rows = told.lanes;
  for (const [name, one] of lanes) {
    if (!rows.some((row) => row.device === name)) { one.box.remove(); lanes.delete(name); }
  }
  set(by("dataset"), told.dataset);
  by("trouble").hidden = !told.trouble;
  set(by("trouble"), told.trouble);
  if (told.map) {
    map = { ...told.map, cells: Array.from(told.map.cells, Number) };
    by("map").width = map.workloads.length * SIZE;
    by("map").height = map.platforms.length * SIZE;
    map.cells.forEach((_, k) => paint(k));
  } else {
    for (let k = 0; k < told.fresh.length; k += 2) { map.cells[told.fresh[k]] = told.fresh[k + 1]; paint(told.fresh[k]); }
  }
  by("coverage").hidden = !map || !map.cells.length;
  if (told.map || told.fresh.length) { legend(); if (by("readout").textContent) read(); }
  drawLanes();
  if (told.course) {
    course.splice(told.begun, Infinity, ...told.course);
    drawCourse(told.next);
  }
  sum();
}

by("map").addEventListener("pointermove", (event) => {
  const x = Math.floor(event.offsetX / SIZE), y = Math.floor(event.offsetY / SIZE);
  if (x < map.workloads.length && y < map.platforms.length) { at = y * map.workloads.length + x; read(); }
});
by("map").addEventListener("focus", read);
by("map").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -map.workloads.length, ArrowDown: map.workloads.length }[event.key];
  if (step && at + step >= 0 && at + step < map.cells.length) { at += step; read(); }
  if (step) event.preventDefault();
});
setInterval(() => { if (rows.length) drawLanes(); }, 1000);
const source = new EventSource("/events");
source.onmessage = (event) => take(JSON.parse(event.data));
source.onerror = () => set(by("sum"), "The server does not answer: harness watch has ended, or the connection broke.");
