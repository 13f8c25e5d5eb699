// A histogram of every number: what is shown before what there is. Drag over it, or type, to choose a range.

const BINS = 36;
const WIDE = 252;
const TALL = 46;
const SVG = "http://www.w3.org/2000/svg";
const histograms = [];

function scaleOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const x of values) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  if (!(high > low)) return null;
  // What spans decades, as sizes do, is drawn in equal factors.
  if (low > 0 && high / low > 100) {
    const span = Math.log(high / low);
    return { low, high, part: (x) => Math.log(x / low) / span, value: (p) => low * Math.exp(p * span) };
  }
  return { low, high, part: (x) => (x - low) / (high - low), value: (p) => low + p * (high - low) };
}

function svg(tag, properties) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  return element;
}

function makeHistogram(name, whenChanged) {
  const { values } = columns.get(name);
  const scale = scaleOf(values);
  if (!scale) return null;
  const bins = Int8Array.from(values, (x) => (Number.isNaN(x) ? -1 : Math.min(BINS - 1, Math.floor(scale.part(x) * BINS))));
  const plot = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const all = svg("path", { class: "all" });
  const shown = svg("path", { class: "shown" });
  const brush = svg("rect", { class: "brush", y: 0, height: TALL, width: 0, x: 0 });
  plot.append(brush, all, shown);
  const title = columnName(name);
  const least = make("input", { type: "number", step: "any", placeholder: shortNumber(scale.low), "aria-label": `least ${title}` });
  const most = make("input", { type: "number", step: "any", placeholder: shortNumber(scale.high), "aria-label": `most ${title}` });
  const clear = make("button", { type: "button", className: "quiet", textContent: "any", hidden: true, "aria-label": `any ${title}` });
  const element = make("div", { className: "histogram", role: "group", "aria-label": title, "data-column": name },
    make("div", { className: "histogram-head" }, make("h3", { textContent: title }), clear),
    plot,
    make("div", { className: "range" }, least, make("span", { textContent: "to" }), most));

  const choose = (range) => {
    if (range) filters.ranges.set(name, range);
    else filters.ranges.delete(name);
    whenChanged();
  };
  const typed = () => {
    const [a, b] = [least, most].map((input) => (input.value === "" ? NaN : Number(input.value)));
    choose(Number.isNaN(a) && Number.isNaN(b) ? null : [Number.isNaN(a) ? -Infinity : a, Number.isNaN(b) ? Infinity : b]);
  };
  least.addEventListener("change", typed);
  most.addEventListener("change", typed);
  clear.addEventListener("click", () => choose(null));

  let from = null;
  const partOf = (event) => {
    const box = plot.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const drag = (event) => {
    if (from === null) return;
    const [a, b] = [from, partOf(event)].sort((x, y) => x - y);
    if (b - a < 0.01) return;
    // Ends that touch the side, or lie within half a bar of it, take everything there.
    const side = 0.5 / BINS;
    choose([a <= side ? -Infinity : scale.value(a), b >= 1 - side ? Infinity : scale.value(b)]);
  };
  plot.addEventListener("pointerdown", (event) => {
    from = partOf(event);
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", drag);
  plot.addEventListener("pointerup", (event) => {
    if (from !== null && Math.abs(partOf(event) - from) < 0.01) choose(null);
    from = null;
  });
  plot.addEventListener("pointercancel", () => (from = null));

  const paint = () => {
    const [test, outside] = [passes(`:${name}`), masks.get("status")];
    const counts = [new Float64Array(BINS), new Float64Array(BINS)];
    for (let i = 0; i < count; i++) {
      if (bins[i] < 0) continue;
      if (test(i)) counts[1][bins[i]] += 1;
      if (!outside?.[i]) counts[0][bins[i]] += 1;
    }
    element.hidden = !filters.ranges.has(name) && counts[0].every((n) => n === 0); // refused photos have no score
    const tallest = Math.max(1, ...counts[0], ...counts[1]);
    [all, shown].forEach((path, k) => path.setAttribute("d", barsPath(counts[k], tallest)));
    const range = filters.ranges.get(name);
    clear.hidden = !range;
    element.classList.toggle("active", Boolean(range));
    const part = (x) => Math.max(0, Math.min(1, x === -Infinity ? 0 : x === Infinity ? 1 : scale.part(Math.max(x, scale.low))));
    const [a, b] = range ? range.map(part) : [0, 0];
    brush.setAttribute("x", a * WIDE);
    brush.setAttribute("width", Math.max(0, b - a) * WIDE);
    if (document.activeElement !== least) least.value = range && range[0] !== -Infinity ? Number(range[0].toPrecision(4)) : "";
    if (document.activeElement !== most) most.value = range && range[1] !== Infinity ? Number(range[1].toPrecision(4)) : "";
  };
  return { element, paint };
}

function barsPath(counts, tallest) {
  const step = WIDE / BINS;
  let path = "";
  counts.forEach((n, k) => {
    if (!n) return;
    const tall = Math.max(1.5, (n / tallest) * (TALL - 2)); // one of thousands is seen, too
    path += `M${(k * step).toFixed(2)} ${TALL}v${(-tall).toFixed(2)}h${(step - 1).toFixed(2)}v${tall.toFixed(2)}z`;
  });
  return path;
}
