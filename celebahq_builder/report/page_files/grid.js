// The faces in sight, and a screenful above and below: cells come and go while the page is scrolled.

const grid = $("grid");
const cells = new Map(); // place in the order, or heading -> element
let focusPlace = 0;
let openFace = () => {};

function describe(i) {
  const parts = [printable(sourceOf(i))];
  const status = statusOf(i);
  if (rowOf(i) >= 0) parts.unshift(`row ${rowOf(i)}`);
  if (status !== "kept") parts.push(textAt("reason", i) || statusName(status));
  const score = numberAt("score", i);
  if (!Number.isNaN(score)) parts.push(`score ${score.toFixed(3)}`);
  if (textAt("marks", i)) parts.push(textAt("marks", i));
  const { decision, mark } = decisionOf(i);
  if (decision) parts.push(decision === "reject" ? "rejected" : "kept by you");
  if (mark) parts.push("marked");
  return parts.join(", ");
}

function captionOf(i) {
  const column = columns.get(filters.sort);
  const value = column?.kind === "number" ? shortNumber(column.at(i)) : "";
  if (rowOf(i) >= 0) {
    const score = numberAt("score", i);
    const shown = value || (Number.isNaN(score) ? "" : score.toFixed(3));
    return [`${rowOf(i)}${shown && ` · ${shown}`}`, [textAt("marks", i), sourceOf(i)].filter(Boolean).join(" · ")];
  }
  const first = textAt("reason", i) || statusName(statusOf(i));
  return [value ? `${value} · ${first}` : first, [textAt("marks", i), sourceOf(i)].filter(Boolean).join(" · ")];
}

function makeCell(place) {
  const i = view.order[place];
  const canvas = make("canvas", { width: 1, height: 1 });
  const open = make("button", { type: "button", className: "open", tabIndex: -1 }, canvas);
  const cross = make("button", { type: "button", className: "cross", tabIndex: -1, textContent: "✕", title: "Reject (x)" });
  const [first, second] = captionOf(i).map(printable);
  const caption = make("div", { className: "caption", "aria-hidden": "true" }, make("b", { textContent: first }), make("span", { textContent: second }));
  const badge = make("span", { className: "badge", "aria-hidden": "true" });
  const cell = make("div", { className: `cell ${statusOf(i)}`, role: "listitem", title: printable(sourceOf(i)) }, open, cross, badge, caption);
  cell.setAttribute("aria-posinset", place + 1);
  cell.setAttribute("aria-setsize", view.order.length);
  open.addEventListener("click", () => openFace(place));
  open.addEventListener("focus", () => (focusPlace = place));
  cross.addEventListener("click", () => toggleDecision(i, "reject"));
  drawRow(canvas, i, () => cell.isConnected).then((kind) => cell.classList.toggle("none", !kind));
  paintDecision(cell, i);
  return cell;
}

function paintDecision(cell, i) {
  const { decision, mark } = decisionOf(i);
  cell.classList.toggle("rejected", decision === "reject");
  cell.classList.toggle("chosen", decision === "keep");
  cell.querySelector(".badge").textContent = `${decision === "keep" ? "✓" : ""}${mark ? "★" : ""}`;
  const cross = cell.querySelector(".cross");
  cross.setAttribute("aria-pressed", decision === "reject");
  cross.setAttribute("aria-label", `Reject ${printable(sourceOf(i))}`);
  cell.querySelector(".open").setAttribute("aria-label", describe(i));
}

function placeCells() {
  const top = -grid.getBoundingClientRect().top;
  const screen = innerHeight;
  const wanted = new Set();
  for (let at = lineAt(top - screen); at < view.lines.length; at++) {
    const line = view.lines[at];
    if (line.top > top + 2 * screen) break;
    for (const heading of line.headings ?? []) {
      const key = `heading ${at} ${heading.column}`;
      wanted.add(key);
      if (!cells.has(key)) add(key, makeHeading(heading, line.top));
    }
    for (let k = 0; k < line.count; k++) {
      const place = line.first + k;
      wanted.add(place);
      if (cells.has(place)) continue;
      const cell = makeCell(place);
      setPlace(cell, k * (view.cell + GAP), line.top);
      cell.style.width = `${view.cell}px`;
      add(place, cell);
    }
  }
  for (const [key, element] of cells) {
    if (wanted.has(key) || element.contains(document.activeElement)) continue;
    element.remove();
    cells.delete(key);
  }
  const reachable = cells.has(focusPlace) ? focusPlace : [...wanted].find((key) => typeof key === "number");
  for (const [key, element] of cells) {
    if (typeof key === "number") element.querySelector(".open").tabIndex = key === reachable ? 0 : -1;
  }
}

function makeHeading({ text, column, span, many }, top) {
  const title = make("h3", {}, make("span", { textContent: printable(text) }), make("small", { textContent: many > 1 ? many : "" }));
  const heading = make("div", { className: "heading", role: "listitem", title: printable(text) }, title);
  setPlace(heading, column * (view.cell + GAP), top);
  heading.style.width = `${span * (view.cell + GAP) - GAP}px`;
  return heading;
}

function setPlace(element, left, top) {
  element.style.transform = `translate(${left}px, ${top}px)`;
}

function add(key, element) {
  cells.set(key, element);
  grid.append(element);
}

function rebuildGrid() {
  const active = grid.contains(document.activeElement);
  for (const element of cells.values()) element.remove();
  cells.clear();
  const width = grid.clientWidth;
  layOut(grouped(shownRows()), width, Number($("size").value));
  grid.style.setProperty("--cell", `${view.cell}px`);
  grid.style.height = `${view.height}px`;
  focusPlace = Math.min(focusPlace, Math.max(0, view.order.length - 1));
  placeCells();
  if (active) focusOn(focusPlace);
}

function focusOn(place) {
  if (!view.order.length) return;
  focusPlace = Math.max(0, Math.min(place, view.order.length - 1));
  const line = lineOfPlace(focusPlace);
  const rect = grid.getBoundingClientRect();
  const [from, to] = [rect.top + line.top, rect.top + line.top + line.height];
  const [high, low] = [$("bar").getBoundingClientRect().bottom + GAP, innerHeight - $("decisions").offsetHeight - GAP];
  if (from < high) scrollBy(0, from - high);
  else if (to > low) scrollBy(0, to - low);
  placeCells();
  cells.get(focusPlace)?.querySelector(".open").focus({ preventScroll: true });
}

const linesInSight = () => Math.max(1, Math.floor((innerHeight * 0.7) / (view.cell + CAPTION + GAP)));

function gridKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest(".cell")) return;
  const moves = {
    ArrowLeft: () => focusPlace - 1,
    ArrowRight: () => focusPlace + 1,
    ArrowUp: () => placeBeside(focusPlace, -1),
    ArrowDown: () => placeBeside(focusPlace, 1),
    PageUp: () => focusPlace - view.across * linesInSight(),
    PageDown: () => focusPlace + view.across * linesInSight(),
    Home: () => 0,
    End: () => view.order.length - 1,
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  focusOn(moves[event.key]());
}
