// Where every face lies on a page of any length: lines of cells and headings, found by their distance from the top.

const GAP = 8;
const CAPTION = 38;
const HEADING = 40;

const view = {
  order: [], // rows as they are shown, one after the other
  lines: [], // {top, height, headings} or {top, height, first, count}
  starts: [], // the first place of every line of faces
  startLines: [], // and which line that is
  height: 0,
  across: 1,
  cell: 100,
};

function layOut(groups, width, wish) {
  const across = Math.max(width < 500 ? 3 : 2, Math.floor((width + GAP) / (wish + GAP)));
  const cell = (width - GAP * (across - 1)) / across;
  const [lines, order, starts, startLines] = [[], [], [], []];
  let top = 0;
  const addHeadings = (headings) => {
    lines.push({ top, height: HEADING, headings });
    top += HEADING;
  };
  const addFaces = (rows) => {
    for (let k = 0; k < rows.length; k += across) {
      const number = Math.min(across, rows.length - k);
      starts.push(order.length);
      startLines.push(lines.length);
      lines.push({ top, height: cell + CAPTION, first: order.length, count: number });
      top += cell + CAPTION + GAP;
      for (let j = 0; j < number; j++) order.push(rows[k + j]);
    }
  };
  // Small groups share a line, each under its own heading.
  let shared = { headings: [], rows: [] };
  const close = () => {
    if (!shared.rows.length) return;
    addHeadings(shared.headings);
    addFaces(shared.rows);
    shared = { headings: [], rows: [] };
  };
  for (const [text, rows] of groups) {
    if (shared.rows.length + rows.length > across || !text) close();
    if (!text) addFaces(rows);
    else if (rows.length > across) {
      addHeadings([{ text, column: 0, span: across, many: rows.length }]);
      addFaces(rows);
    } else {
      shared.headings.push({ text, column: shared.rows.length, span: rows.length, many: rows.length });
      shared.rows.push(...rows);
    }
  }
  close();
  Object.assign(view, { order, lines, starts, startLines, height: top, across, cell });
}

// The first line that ends below a distance from the top.
function lineAt(distance) {
  let [low, high] = [0, view.lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { top, height } = view.lines[middle];
    if (top + height < distance) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Which line of faces a place lies on, counted without the headings.
function faceLine(place) {
  let [low, high] = [0, view.starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (view.starts[middle] <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

const lineOfPlace = (place) => view.lines[view.startLines[faceLine(place)]];

// The place one line further up or down, in the same column where there is one.
function placeBeside(place, step) {
  const at = faceLine(place);
  const line = view.lines[view.startLines[at + step]];
  return line ? line.first + Math.min(place - view.starts[at], line.count - 1) : place;
}
