// The rows that this page is about, column by column, and their names as text that can be shown.

const page = JSON.parse(document.getElementById("data").textContent);
const count = page.rows;
const $ = (id) => document.getElementById(id);

// name -> {kind: "number", at(i)} | {kind: "text", at(i), words, codes} | {kind: "points", at(i)}
const columns = new Map();
for (const [name, column] of Object.entries(page.columns)) {
  if (column.numbers) {
    const values = Float64Array.from(column.numbers, (x) => (x === null ? NaN : x));
    columns.set(name, { kind: "number", values, at: (i) => values[i] });
  } else if (column.words) {
    const { words, codes } = column;
    columns.set(name, { kind: "text", words, codes, at: (i) => words[codes[i]] });
  } else {
    columns.set(name, { kind: "points", at: (i) => column.points[i] });
  }
}
page.columns = null;

// What other programs call by these names may be something else.
const KINDS = { source: "text", status: "text", reason: "text", detail: "text", marks: "text", duplicate_of: "text" };
Object.assign(KINDS, { row: "number", face_index: "number", score: "number", width: "number", height: "number" });
Object.assign(KINDS, { quad: "points", landmarks: "points" });
for (const [name, kind] of Object.entries(KINDS)) if (columns.get(name)?.kind !== kind) columns.delete(name);

const numberAt = (name, i) => columns.get(name)?.at(i) ?? NaN;
const textAt = (name, i) => columns.get(name)?.at(i) ?? "";
const [sourceColumn, statusColumn, rowColumn] = ["source", "status", "row"].map((name) => columns.get(name));
const sourceOf = (i) => sourceColumn.at(i);
const statusOf = (i) => statusColumn.at(i);
const rowOf = (i) => rowColumn.at(i);
const idOf = (i) => `${sourceOf(i)}#${numberAt("face_index", i)}`;
const ids = Array.from({ length: count }, (_, i) => idOf(i));
const indexOfId = new Map(ids.map((id, i) => [id, i]));

const STATUS = {
  kept: "kept",
  beaten: "not among the best",
  duplicate: "duplicates",
  refused: "refused",
  failed: "failed",
};
const statusName = (status) => STATUS[status] ?? status;
const columnName = (name) => name.replaceAll("_", " ");

// A name with everything that is not printable spelled out. Bytes that are no UTF-8 came as lone surrogates.
function printable(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => {
    const code = c.codePointAt(0);
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

// The bytes of such a text, lone surrogates becoming the bytes that they stand for.
function bytesOf(text) {
  const encoder = new TextEncoder();
  const parts = text.split(/([\udc80-\udcff])/u); // with u, the half of a pair is none of these
  const encoded = parts.map((part) =>
    /^[\udc80-\udcff]$/.test(part) ? Uint8Array.of(part.charCodeAt(0) - 0xdc00) : encoder.encode(part),
  );
  const all = new Uint8Array(encoded.reduce((n, part) => n + part.length, 0));
  encoded.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

// Where the photo lies, as an address; null where there is none.
function photoAddress(i) {
  if (!page.photos) return null;
  const escaped = Array.from(bytesOf(sourceOf(i)), (b) =>
    /[A-Za-z0-9_.~/-]/.test(String.fromCharCode(b)) ? String.fromCharCode(b) : `%${b.toString(16).padStart(2, "0")}`,
  );
  return page.photos + escaped.join("");
}

function shortNumber(x) {
  if (Number.isNaN(x)) return "";
  if (Number.isInteger(x)) return x.toLocaleString("en-US");
  return Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en-US") : String(Number(x.toPrecision(3)));
}

// An element with properties, ARIA and data attributes, and children; text becomes text, never markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name.startsWith("data-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A text in parts between which a long name breaks first: after slashes, underscores and dots, not within a number.
// What ends before such a place, in place of a lookbehind, which Safari has since 16.4.
const BREAKS = /\S[/_](?=[^\s/._])|\.(?=[^\s/._\d])|\D\.(?=\d)/gu;
function breakable(text) {
  const ends = Array.from(text.matchAll(BREAKS), (found) => found.index + found[0].length);
  return [0, ...ends].flatMap((from, i) => [...(i ? [make("wbr")] : []), text.slice(from, ends[i])]);
}

const plural = (n, one, many) => `${n.toLocaleString("en-US")} ${n === 1 ? one : many}`;
