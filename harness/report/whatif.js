"use strict";
// What if: the model's tables, looked up and put together as harness/report/embedded.py writes it down.

const whatIf = document.getElementById("model") && {
  model: JSON.parse(document.getElementById("model").textContent),
  arrays: null,

  half(bits) { // a float16 as a number
    const exponent = bits >> 10 & 31;
    const size = exponent ? (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15) : (bits & 1023) * 2 ** -24;
    return bits >> 15 ? -size : size;
  },

  async open() {
    const text = atob(document.getElementById("tables").textContent);
    const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    let at = 0;
    const planes = (count, size) => { // the first bytes of all numbers, then the second ones, and so on
      const found = new Uint8Array(count * size);
      for (let byte = 0; byte < size; byte += 1) {
        for (let k = 0; k < count; k += 1) found[k * size + byte] = bytes[at + byte * count + k];
      }
      at += count * size;
      return new DataView(found.buffer);
    };
    const halves = (count) => {
      const view = planes(count, 2);
      return Float64Array.from({ length: count }, (_, k) => this.half(view.getUint16(2 * k, true)));
    };
    this.arrays = {};
    for (const entry of this.model.arrays) {
      const count = entry.shape.reduce((a, b) => a * b, 1);
      let found;
      if (entry.kind === "f2") found = halves(count);
      else if (entry.kind !== "table") {
        const view = planes(count, 8);
        found = Float64Array.from({ length: count }, (_, k) => view.getFloat64(8 * k, true));
      } else {
        const [rows, columns] = entry.shape;
        const [left, right] = [halves(rows * entry.rank), halves(columns * entry.rank)];
        const whole = bytes.subarray(at, at + count * entry.size);
        at += count * entry.size;
        found = (j, i) => {
          let smooth = 0;
          for (let r = 0; r < entry.rank; r += 1) smooth += left[j * entry.rank + r] * right[i * entry.rank + r];
          let steps = 0;
          for (let byte = entry.size - 1; byte >= 0; byte -= 1) steps = steps * 256 + whole[byte * count + j * columns + i];
          return smooth + entry.step * (steps + entry.low);
        };
      }
      this.arrays[entry.name] = found;
    }
  },

  cell(name, part, j, i) {
    const main = this.arrays[name](j, i);
    return part === null ? main : main + this.arrays[`${name}/${part}`](j, i);
  },

  startup(j) { return this.arrays.u[j]; },

  base(j, i) { // logaddexp(u_j, p_j + w_i)
    const [a, b] = [this.startup(j), this.arrays.p[j] + this.arrays.w[i]];
    return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
  },

  load(t, part, j, beside) {
    return beside.reduce((sum, k) => sum + this.cell(`G${t}`, part, j, k), 0);
  },

  alpha(load) { return load > 0 ? load : this.model.slope * load; },

  log(j, i, beside, part = null) { // log Ĉ, or by the fit without a part of the rows
    let sum = this.base(j, i) + this.cell("F", part, j, i);
    for (let t = 0; t < this.model.types && beside.length; t += 1) {
      sum += this.cell(`S${t}`, part, j, i) * this.alpha(this.load(t, part, j, beside));
    }
    return sum;
  },

  deviation(j, i, beside) {
    const { deviations } = this.arrays;
    const [size, columns] = [this.model.platforms.length * this.model.workloads.length, this.model.workloads.length];
    const of = (table, workload) => deviations[table * size + j * columns + workload];
    let variance = of(0, i) ** 2;
    for (let t = 0; t < this.model.types && beside.length; t += 1) {
      const load = this.load(t, null, j, beside);
      variance += (this.alpha(load) * of(1 + t, i)) ** 2;
      const tilt = this.cell(`S${t}`, null, j, i) * (load > 0 ? 1 : this.model.slope);
      for (const k of beside) variance += (tilt * of(1 + this.model.types + t, k)) ** 2;
    }
    return Math.sqrt(variance);
  },

  spread(j, i, beside) {
    const { spread } = this.model;
    const n = beside.length;
    const sum = this.arrays[n ? "B" : "A"](j, i) + beside.reduce((total, k) => total + this.arrays.D(j, k), 0)
      + spread.claim * Math.log(this.deviation(j, i, beside));
    return Math.min(Math.exp(spread.degree[n] + spread.power[n] * sum), spread.most[n]);
  },

  stretched(side, e, j, i, beside) {
    const pool = this.model.pools[side][beside.length];
    if (pool.places[e] === null) return Infinity;
    const judged = this.model.parts === 1 ? this.log(j, i, beside, 0) : this.log(j, i, beside);
    const spread = this.spread(j, i, beside);
    const place = this.line(Math.log(spread), pool.middle, pool.places[e]);
    const z = pool.knots ? this.line(place, pool.knots, pool.values[this.model.devices[j]]) : place;
    return judged + spread ** pool.power * z;
  },

  line(x, knots, values) { // between points (knots, values), and level beyond them
    const last = knots.length - 1;
    if (x <= knots[0]) return values[0];
    if (x >= knots[last]) return values[last];
    const upper = knots.findIndex((knot) => knot > x);
    const share = (x - knots[upper - 1]) / (knots[upper] - knots[upper - 1]);
    return values[upper - 1] + share * (values[upper] - values[upper - 1]);
  },

  crossed(e, j, i, beside) {
    const n = beside.length;
    const [score, part, order] = [this.arrays[`score${n}`], this.arrays[`part${n}`], this.model.cross[n][e]];
    if (order > score.length) return Infinity;
    const by = Array.from({ length: this.model.parts }, (_, k) => this.log(j, i, beside, k));
    const away = this.model.scaled ? this.spread(j, i, beside) : 1;
    return score.map((s, r) => by[part[r]] + s * away).sort()[order - 1];
  },

  bound(e, j, i, beside) { // ln ns; infinite where none can be promised
    const n = beside.length;
    const { pools, fresh } = this.model;
    let found = this.log(j, i, beside);
    if (!this.model.shortage[n].length) return Infinity;
    found = Math.max(found, this.model.cross[n] ? this.crossed(e, j, i, beside) : this.stretched("", e, j, i, beside));
    const touched = { platform: fresh[0].includes(j), workload: [i, ...beside].some((k) => fresh[1].includes(k)) };
    for (const side of ["platform", "workload"]) {
      if (touched[side] && pools[side]) found = Math.max(found, this.stretched(side, e, j, i, beside));
    }
    return found;
  },

  answer(j, i, beside, e) { // times in ns
    const [total, alone] = [Math.exp(this.log(j, i, beside)), Math.exp(this.log(j, i, []))];
    const startup = alone * Math.exp(this.startup(j) - this.base(j, i));
    return {
      mean: total, bound: Math.exp(this.bound(e, j, i, beside)),
      startup, work: alone - startup, interference: total - alone,
    };
  },
};

if (whatIf) {
  const { model } = whatIf;
  const made = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const home = document.getElementById("asking");
  const [platforms, workloads] = model.seen;
  const split = (j) => { const name = model.platforms[j], at = name.indexOf(":"); return [name.slice(0, at), name.slice(at + 1)]; };
  const form = made("form", { class: "ask" });
  const chooser = (label) => {
    const select = made("select");
    form.append(made("label", {}, made("span", {}, label), select));
    return select;
  };
  const fill = (select, options) => {
    const before = select.value;
    select.replaceChildren(...options.map(([value, text]) => made("option", { value }, text)));
    if (options.some(([value]) => String(value) === before)) select.value = before;
  };
  const named = workloads.map((i) => [i, model.workloads[i]]);
  const workload = chooser("workload");
  const device = chooser("device");
  const engine = chooser("engine");
  const others = ["beside", "and", "and"].map(chooser);
  const eps = chooser("ε");
  fill(workload, named);
  fill(device, [...new Set(platforms.map((j) => split(j)[1]))].sort(order.compare).map((name) => [name, name]));
  for (const other of others) fill(other, [["", "nothing"], ...named]);
  fill(eps, model.eps.map((value, e) => [e, `${value} (1 in ${Math.round(1 / value)})`]));
  eps.value = String(model.eps.indexOf(0.05));
  const engines = () => fill(engine, platforms.filter((j) => split(j)[1] === device.value).map((j) => [j, split(j)[0]]));
  engines();
  const told = made("output", { class: "answer", "aria-live": "polite" });
  const where = made("div");
  home.append(form, told, where);
  form.addEventListener("submit", (event) => event.preventDefault());

  const words = (ns) => ns === Infinity ? "∞" : duration(ns);
  const show = () => {
    const [j, i, e] = [engine, workload, eps].map((select) => Number(select.value));
    const beside = others.map((select) => select.value).filter((value) => value !== "").map(Number).sort((a, b) => a - b);
    const found = whatIf.answer(j, i, beside, e);
    const parts = [["start-up", found.startup], ["work", found.work], ["interference", found.interference]];
    const longest = parts.reduce((sum, [, value]) => sum + Math.abs(value), 0);
    const bar = made("div", { class: "parts", "aria-hidden": "true" }, ...parts.map(([, value], k) => {
      const piece = made("span", { class: `part${k}` });
      piece.style.width = `${100 * Math.abs(value) / longest}%`;
      return piece;
    }));
    const [rows, least] = model.shortage[beside.length];
    const why = found.bound !== Infinity ? ""
      : rows === undefined ? ` No measured job had ${beside.length} co-runners.`
        : ` ${rows} calibration rows support no ε below ${Number(least.toPrecision(3))}.`;
    told.replaceChildren(
      made("p", {}, "expected ", made("b", { "data-ns": found.mean, class: "mean" }, words(found.mean)), "; stays below ",
        made("b", { "data-ns": found.bound, class: "bound" }, words(found.bound)),
        ` with probability ${Number((1 - model.eps[e]).toPrecision(4))}.${why}`),
      bar,
      made("ul", { class: "legend" }, ...parts.map(([name, value], k) =>
        made("li", {}, made("span", { class: `swatch part${k}` }), `${name} `, made("span", { "data-ns": value, class: name }, words(value))))),
      made("p", {}, "Behave alike: ", made("span", { class: "alike" }, model.alike[1][i].map((k) => model.workloads[k]).join(", ")), "; ",
        model.alike[0][j].map((k) => model.platforms[k]).join(", "), "."),
    );
    const everywhere = platforms.map((k) => [k, whatIf.answer(k, i, beside, e)]).sort((a, b) => a[1].mean - b[1].mean);
    const head = made("thead", {}, made("tr", {}, ...["fastest on", "expected", "stays below"].map((name, k) =>
      made("th", { scope: "col", class: k ? "n" : "" }, name))));
    const lines = everywhere.map(([k, one]) => made("tr", k === j ? { class: "chosen" } : {}, made("td", {}, model.platforms[k]),
      made("td", { class: "n" }, words(one.mean)), made("td", { class: "n" }, words(one.bound))));
    const caption = `Where ${model.workloads[i]} runs fastest${beside.length ? " beside these" : ""} (${platforms.length} ${platforms.length === 1 ? "platform" : "platforms"})`;
    where.replaceChildren(made("div", { class: "table long", tabindex: "0", role: "region", "aria-label": caption },
      made("table", {}, made("caption", {}, caption), head, made("tbody", {}, ...lines))));
  };

  const begin = async () => {
    told.textContent = "…";
    try {
      await whatIf.open();
    } catch (problem) {
      told.textContent = "This browser cannot unpack the model's tables (it is older than 2023); ask harness predict instead.";
      return;
    }
    device.addEventListener("change", engines);
    form.addEventListener("change", show);
    show();
    home.dataset.ready = "yes";
  };
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    near.disconnect();
    begin();
  }, { rootMargin: "600px" });
  near.observe(home);
}
