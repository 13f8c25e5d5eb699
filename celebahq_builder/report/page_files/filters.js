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
const NOT_BRUSHED = new Set(["row", "face_index", "identity"]);
const FIRST_NUMBERS = ["score", "invented", "padding", "eye_distance", "scale", "breadth", "isotropy", "width", "height"];
const MOST_WORDS = 60;

const numbersOf = [...columns].filter(([, column]) => column.kind === "number").map(([name]) => name);
const placeOf = (name) => (FIRST_NUMBERS.includes(name) ? FIRST_NUMBERS.indexOf(name) : FIRST_NUMBERS.length + NOT_BRUSHED.has(name));
numbersOf.sort((a, b) => placeOf(a) - placeOf(b));
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
const lowered = new Map(); // column -> its words as they are searched, made at the first search
function searchable(name) {
  if (!lowered.has(name)) lowered.set(name, columns.get(name).words.map((text) => printable(text).toLowerCase()));
  return lowered.get(name);
}

function textMatches(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  return words.map((word) =>
    searched.map((name) => ({
      codes: columns.get(name).codes,
      hits: searchable(name).map((text) => text.includes(word)),
    })),
  );
}

// Of each filter that is set: 1 for every row that it leaves out. A column's name stands behind a colon.
const masks = new Map();
const left = new Uint8Array(count); // how many filters leave a row out

function mask(key, keeps) {
  const found = new Uint8Array(count);
  for (let i = 0; i < count; i++) found[i] = keeps(i) ? 0 : 1;
  masks.set(key, found);
}

function applyFilters() {
  masks.clear();
  const matches = textMatches(filters.text);
  if (matches) mask("text", (i) => matches.every((word) => word.some(({ codes, hits }) => hits[codes[i]])));
  if (filters.statuses.size) {
    const hits = statusColumn.words.map((word) => filters.statuses.has(word));
    mask("status", (i) => hits[statusColumn.codes[i]]);
  }
  if (filters.decided !== "all") {
    const wanted = filters.decided;
    mask("decided", (i) => {
      const { decision, mark } = decisionOf(i);
      return wanted === "marked" ? mark : wanted === "undecided" ? !decision : decision === wanted;
    });
  }
  for (const [name, [low, high]] of filters.ranges) {
    const { values } = columns.get(name);
    mask(`:${name}`, (i) => values[i] >= low && values[i] <= high);
  }
  for (const [name, wanted] of filters.facets) {
    if (!wanted.size) continue;
    const { words, codes } = columns.get(name);
    const hits = words.map((text) => (name === "marks" ? text.split(/\s+/).some((word) => wanted.has(word)) : wanted.has(text)));
    mask(`:${name}`, (i) => hits[codes[i]]);
  }
  left.fill(0);
  for (const found of masks.values()) for (let i = 0; i < count; i++) left[i] += found[i];
}

// Returns a function i -> boolean. but: filters that do not count, for the numbers that stand beside them.
function passes(...but) {
  const others = but.map((key) => masks.get(key)).filter(Boolean);
  if (!others.length) return (i) => left[i] === 0;
  return (i) => left[i] === others.reduce((sum, found) => sum + found[i], 0);
}

// How many rows that pass have each of a column's words.
function countWords(name, test) {
  const { words, codes } = columns.get(name);
  const numbers = new Int32Array(words.length);
  for (let i = 0; i < count; i++) if (test(i)) numbers[codes[i]] += 1;
  const counts = new Map();
  words.forEach((text, code) => {
    for (const word of name === "marks" ? text.split(/\s+/).filter(Boolean) : [text]) {
      counts.set(word, (counts.get(word) ?? 0) + numbers[code]);
    }
  });
  return counts;
}

function shownRows() {
  const shown = [];
  for (let i = 0; i < count; i++) if (left[i] === 0) shown.push(i);
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
  const groups = [...found];
  if (filters.group === "identity") groups.sort(([, a], [, b]) => b.length - a.length); // whom there are most of first
  return groups.map(([key, rows]) => [headingOf(key), rows]);
}

const headingOf = (key) =>
  filters.group === "identity" ? (Number.isNaN(key) ? "unknown" : `person ${key}`) : typeof key === "number" ? `${filters.group} ${Number.isNaN(key) ? "unknown" : key}` : key || `no ${columnName(filters.group)}`;

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
