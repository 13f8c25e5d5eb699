// The filters beside the faces: status, decision, histograms, and a list of words for every text that repeats.

const DECIDED = [["all", "all"], ["undecided", "undecided"], ["reject", "rejected"], ["keep", "kept by you"], ["marked", "marked by you"]];
let filtersChanged = () => {};
const painters = [];

function chip(label, pressed, click) {
  const number = make("small");
  const button = make("button", { type: "button", className: "chip", "aria-pressed": "false" }, make("span", { textContent: label }), number);
  button.addEventListener("click", click);
  return {
    button,
    paint: (n) => {
      button.setAttribute("aria-pressed", pressed());
      number.textContent = n === null ? "" : n.toLocaleString("en-US");
      button.classList.toggle("empty", n === 0);
    },
  };
}

function toggled(set, value) {
  if (!set.delete(value)) set.add(value);
}

function makeStatuses() {
  const found = columns.get("status").words;
  const names = [...Object.keys(STATUS).filter((name) => found.includes(name)), ...found.filter((name) => !(name in STATUS))];
  const chips = names.map((name) => [name, chip(statusName(name), () => filters.statuses.has(name), () => {
    toggled(filters.statuses, name);
    filtersChanged();
  })]);
  $("statuses").append(...chips.map(([, { button }]) => button));
  painters.push(() => {
    const counts = countWords("status", passes("status"));
    for (const [name, { paint }] of chips) paint(counts.get(name) ?? 0);
  });
  if (found.includes("kept")) filters.statuses.add("kept");
}

function makeDecided() {
  const chips = DECIDED.map(([name, label]) => [name, chip(label, () => filters.decided === name, () => {
    filters.decided = name;
    filtersChanged();
  })]);
  $("decided").append(...chips.map(([, { button }]) => button));
  painters.push(() => {
    const counts = new Map();
    const add = (key) => counts.set(key, (counts.get(key) ?? 0) + 1);
    const test = passes("decided");
    for (let i = 0; i < count; i++) {
      if (!test(i)) continue;
      const { decision, mark } = decisionOf(i);
      add(decision || "undecided");
      if (mark) add("marked");
    }
    for (const [name, { paint }] of chips) paint(name === "all" ? null : (counts.get(name) ?? 0));
  });
}

function makeHistograms() {
  for (const name of numbersOf.filter((name) => !NOT_BRUSHED.has(name))) {
    const histogram = makeHistogram(name, () => filtersChanged());
    if (!histogram) continue;
    $("histograms").append(histogram.element);
    painters.push(histogram.paint);
  }
}

function makeFacet(name) {
  const words = [...facetWords(name)];
  const chosen = new Set();
  filters.facets.set(name, chosen);
  const chips = words.map((word) => [word, chip(printable(word), () => chosen.has(word), () => {
    toggled(chosen, word);
    // A reason is one of a refused row: asking for it asks for those.
    if (name === "reason" && chosen.size) filters.statuses.clear();
    filtersChanged();
  })]);
  const list = make("div", { className: "facet", role: "group", "aria-label": columnName(name) });
  $("facets").append(make("h3", { textContent: columnName(name) }), list);
  let sorted = false;
  painters.push(() => {
    const counts = countWords(name, name === "reason" ? passes(":reason", "status") : passes(`:${name}`));
    if (!sorted) {
      chips.sort(([a], [b]) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || compareNames(a, b));
      list.append(...chips.map(([, { button }]) => button));
      sorted = true;
    }
    for (const [word, { paint }] of chips) paint(counts.get(word) ?? 0);
  });
}

function clearFilters() {
  filters.text = $("search").value = "";
  filters.decided = "all";
  filters.ranges.clear();
  for (const chosen of filters.facets.values()) chosen.clear();
  filters.statuses = new Set(columns.get("status").words.includes("kept") ? ["kept"] : []);
  filtersChanged();
}

function makeSidebar() {
  makeStatuses();
  makeDecided();
  makeHistograms();
  for (const name of facetColumns()) makeFacet(name);
}

const paintSidebar = () => painters.forEach((paint) => paint());
