// Which rows are shown and in which order: search, status, reasons, ranges of numbers, decisions.

const filters = {
  text: "",
  statuses: new Set(),
  decided: "all",
  ranges: new Map(), // column of numbers -> [low, high]
  facets: new Map(), // column of texts -> Set of the texts wanted
  sort: "",
  descending: false,
  group: "",
};

const NOT_FACETS = new Set(["source", "status", "detail", "duplicate_of"]);
const NOT_BRUSHED = new Set(["row", "face_index"]);
const MOST_WORDS = 60;

const numbersOf = [...columns].filter(([, column]) => column.kind === "number").map(([name]) => name);
const sortable = [...numbersOf.filter((name) => name !== "row"), "source", ...facetColumns().filter((n) => n !== "marks")];

// Texts of few different words each: reasons, marks. A mark is one word of several.
function facetColumns() {
  return [...columns]
    .filter(([name, column]) => column.kind === "text" && !NOT_FACETS.has(name))
    .filter(([name]) => {
      const words = facetWords(name);
      return words.size && words.size <= MOST_WORDS;
    })
    .map(([name]) => name);
}

function facetWords(name) {
  const words = columns.get(name).words;
  return new Set(name === "marks" ? words.flatMap((text) => text.split(/\s+/).filter(Boolean)) : words.filter(Boolean));
}

// Of every different text once, not of every row: which texts a search finds.
const searched = ["source", "reason", "detail", "marks", "duplicate_of"].filter((name) => columns.has(name));
function textMatches(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  return words.map((word) =>
    searched.map((name) => ({
      codes: columns.get(name).codes,
      hits: columns.get(name).words.map((text) => printable(text).toLowerCase().includes(word)),
    })),
  );
}

// Returns a function i -> boolean. but: a column whose own filter is left out, for its histogram.
function predicate(but = "") {
  const tests = [];
  const matches = textMatches(filters.text);
  if (matches) tests.push((i) => matches.every((word) => word.some(({ codes, hits }) => hits[codes[i]])));
  if (filters.statuses.size && but !== "status") tests.push((i) => filters.statuses.has(statusOf(i)));
  if (filters.decided !== "all" && but !== "decided") {
    const wanted = filters.decided;
    tests.push((i) => {
      const { decision, mark } = decisionOf(i);
      return wanted === "marked" ? mark : wanted === "undecided" ? !decision : decision === wanted;
    });
  }
  for (const [name, [low, high]] of filters.ranges) {
    if (name === but) continue;
    const { values } = columns.get(name);
    tests.push((i) => values[i] >= low && values[i] <= high);
  }
  for (const [name, wanted] of filters.facets) {
    if (name === but || !wanted.size) continue;
    const { words, codes } = columns.get(name);
    const hits = words.map((text) =>
      name === "marks" ? text.split(/\s+/).some((word) => wanted.has(word)) : wanted.has(text),
    );
    tests.push((i) => hits[codes[i]]);
  }
  return (i) => tests.every((test) => test(i));
}

function shownRows() {
  const test = predicate();
  const shown = [];
  for (let i = 0; i < count; i++) if (test(i)) shown.push(i);
  sortRows(shown);
  return shown;
}

function sortRows(shown) {
  const column = columns.get(filters.sort);
  if (!column) {
    if (filters.descending) shown.reverse();
    return;
  }
  const sign = filters.descending ? -1 : 1;
  if (column.kind === "number") {
    const { values } = column;
    // What has no such number comes last either way.
    shown.sort((a, b) => {
      const x = values[a];
      const y = values[b];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return sign * (x - y) || a - b;
    });
    return;
  }
  const order = new Map([...column.words.keys()].sort((a, b) => compareNames(column.words[a], column.words[b])).map((code, at) => [code, at]));
  shown.sort((a, b) => sign * (order.get(column.codes[a]) - order.get(column.codes[b])) || a - b);
}

const collator = new Intl.Collator("en", { numeric: true });
const compareNames = (a, b) => collator.compare(a, b);

// Groups of the rows shown: [[heading, [rows]], ...]; one without a heading where none are wanted.
const groups = [
  ["", "no groups"],
  ...(columns.has("duplicate_of") ? [["duplicates", "by duplicates"]] : []),
  ...(columns.has("identity") ? [["identity", "by person"]] : []),
  ["source", "by photo"],
  ...facetColumns().filter((name) => name !== "marks").map((name) => [name, `by ${columnName(name)}`]),
];

function grouped(shown) {
  if (!filters.group) return [["", shown]];
  const found = new Map();
  const add = (key, i) => (found.has(key) ? found.get(key).push(i) : found.set(key, [i]));
  if (filters.group === "duplicates") return groupedDuplicates(shown);
  for (const i of shown) add(columns.get(filters.group).at(i), i);
  return [...found].map(([key, rows]) => [headingOf(key), rows]);
}

const headingOf = (key) =>
  typeof key === "number" ? `${filters.group} ${Number.isNaN(key) ? "unknown" : key}` : key || "none";

// Each face that has duplicates with them beside it, whatever their status.
function groupedDuplicates(shown) {
  const found = new Map();
  for (let i = 0; i < count; i++) {
    const original = indexOfId.get(textAt("duplicate_of", i));
    if (original === undefined) continue;
    if (found.has(original)) found.get(original).push(i);
    else found.set(original, [i]);
  }
  const wanted = new Set(shown);
  return [...found]
    .filter(([original, others]) => wanted.has(original) || others.some((i) => wanted.has(i)))
    .sort(([a], [b]) => a - b)
    .map(([original, others]) => [sourceOf(original), [original, ...others]]);
}
