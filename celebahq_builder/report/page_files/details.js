// One face, opened: the photograph with the box, before and after, every number, and what to do with it.

const LARGEST_PHOTO = 1600; // pixels that are drawn of its longer side
const details = $("details");
let openPlace = 0;

function openDetails(place) {
  openPlace = place;
  if (!details.open) details.showModal();
  fillDetails();
}

function moveDetails(step) {
  openPlace = Math.max(0, Math.min(openPlace + step, view.order.length - 1));
  fillDetails();
}

function fillDetails() {
  const i = view.order[openPlace];
  if (i === undefined) {
    details.close();
    return;
  }
  const active = document.activeElement;
  const focusedId = active !== details && details.contains(active) ? active.id : "";
  const button = (id, label, title, click) => {
    const element = make("button", { type: "button", id, textContent: label, title });
    element.addEventListener("click", click);
    return element;
  };
  const head = make("header", {},
    make("div", {}, make("h2", {}, ...breakable(printable(sourceOf(i)))), make("p", { className: "soft", textContent: lineAbout(i) })),
    button("close-details", "✕", "Close (Esc)", () => details.close()));
  head.querySelector("#close-details").setAttribute("aria-label", "Close");
  const wanted = () => details.open && view.order[openPlace] === i;
  const actions = make("footer", {},
    button("before-face", "‹", "The one before (←)", () => moveDetails(-1)),
    button("reject-face", "Reject", "Reject (x)", () => toggleDecision(i, "reject")),
    button("keep-face", "Keep", "Keep (k)", () => toggleDecision(i, "keep")),
    button("mark-face", "Mark", "Mark (m)", () => toggleMark(i)),
    button("after-face", "›", "The next one (→)", () => moveDetails(1)));
  actions.firstChild.setAttribute("aria-label", "The one before");
  actions.lastChild.setAttribute("aria-label", "The next one");
  const body = make("div", { className: "details-body" },
    make("div", { className: "panes" }, photoPane(i, wanted), facePane(i, wanted)),
    stagesOf(i), duplicatesOf(i), tableOf(i));
  details.replaceChildren(head, body, actions);
  details.setAttribute("aria-label", printable(sourceOf(i)));
  paintActions(i);
  (focusedId && $(focusedId) ? $(focusedId) : actions.querySelector("#reject-face")).focus();
}

function lineAbout(i) {
  const status = textAt("reason", i) || statusName(statusOf(i));
  const row = rowOf(i) >= 0 ? `row ${rowOf(i)} of the file` : status;
  const marks = textAt("marks", i) ? ` · marks: ${textAt("marks", i)}` : "";
  return `${row}${marks} · ${openPlace + 1} of ${view.order.length.toLocaleString("en-US")}`;
}

function paintActions(i) {
  const { decision, mark } = decisionOf(i);
  $("reject-face")?.setAttribute("aria-pressed", decision === "reject");
  $("keep-face")?.setAttribute("aria-pressed", decision === "keep");
  $("mark-face")?.setAttribute("aria-pressed", mark);
}

// The photo in its browser's own decoding, with the box and the points; a link to the file.
function photoPane(i, wanted) {
  const address = photoAddress(i);
  const caption = make("figcaption", { textContent: "Photograph" });
  const figure = make("figure", { className: "photo-pane" }, caption);
  const stored = page.images[ids[i]];
  const without = (why) => {
    caption.textContent = why;
    if (stored) figure.prepend(make("img", { src: stored, alt: "The photograph, small" }));
    else figure.classList.add("none");
  };
  if (!address) {
    without(page.served ? "No photographs here: celebahq-data curate takes --photos" : "The photographs are not in a folder that this page can show");
    return figure;
  }
  caption.replaceChildren(make("a", { href: address, target: "_blank", rel: "noopener noreferrer", textContent: "Open the photograph" }));
  photoOf(i, wanted).then((image) => {
    if (!wanted()) return;
    figure.prepend(boxed(i, image, photoScale(i, image)));
  }, () => wanted() && without("This browser cannot show the photograph, or it is not where it was"));
  return figure;
}

// The canvas is larger than the photo where the box leaves it, by a quarter at most.
function boxed(i, image, scale) {
  const frame = make("div", { className: "boxed" });
  const canvas = make("canvas", { role: "img", "aria-label": "The photograph with the box" });
  const quad = scale ? quadOf(i) : null;
  const [w, h] = [image.naturalWidth / (scale || 1), image.naturalHeight / (scale || 1)];
  const [xs, ys] = [0, 1].map((k) => (quad ?? [0, 0]).filter((_, at) => at % 2 === k));
  const beyond = (far, side) => Math.max(0, Math.min(far, side / 4));
  const [left, top] = [beyond(-Math.min(...xs), w), beyond(-Math.min(...ys), h)];
  const [wide, high] = [w + left + beyond(Math.max(...xs) - w, w), h + top + beyond(Math.max(...ys) - h, h)];
  const finer = Math.min(scale || 1, LARGEST_PHOTO / Math.max(wide, high));
  canvas.width = Math.max(1, Math.round(wide * finer));
  canvas.height = Math.max(1, Math.round(high * finer));
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(128 128 128)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left * finer, top * finer, w * finer, h * finer);
  frame.append(canvas);
  if (!quad) return frame;
  const overlay = svg("svg", { viewBox: `${-left} ${-top} ${wide} ${high}`, "aria-hidden": "true" });
  const thin = Math.max(wide, high) / 250;
  overlay.append(svg("polygon", { points: quad.join(" "), class: "box", "stroke-width": thin }));
  const [x0, y0, , , , , x3, y3] = quad; // the thick side is the top, so that a wrong turn shows
  overlay.append(svg("line", { x1: x0, y1: y0, x2: x3, y2: y3, class: "box", "stroke-width": 2.5 * thin }));
  const landmarks = columns.get("landmarks")?.at(i) ?? [];
  for (let k = 0; k < landmarks.length; k += 2) {
    overlay.append(svg("circle", { cx: landmarks[k], cy: landmarks[k + 1], r: 1.3 * thin, class: "point" }));
  }
  frame.append(overlay);
  return frame;
}

// The face; where the photo can be had, what lay there before slides over it.
function facePane(i, wanted) {
  const caption = make("figcaption", { textContent: hasThumbnail(i) ? "Face" : "What would become the face" });
  const figure = make("figure", { className: "face-pane" }, caption);
  if (!hasThumbnail(i) && !quadOf(i)) return null;
  const stack = make("div", { className: "stack" });
  figure.prepend(stack);
  const after = page.served && hasThumbnail(i)
    ? make("img", { src: `faces/${rowOf(i)}.webp`, alt: "The face" })
    : make("canvas", { role: "img", "aria-label": "The face" });
  stack.append(after);
  if (after.tagName === "CANVAS") {
    if (hasThumbnail(i)) drawThumbnail(after, i, wanted);
    else if (photoAddress(i)) photoOf(i, wanted).then((image) => drawQuad(after, i, image, 512), () => {});
  }
  if (hasThumbnail(i) && photoAddress(i) && quadOf(i)) {
    photoOf(i, wanted).then((image) => {
      const before = make("canvas", { className: "before", role: "img", "aria-label": "The same part of the photograph, before" });
      const side = page.served ? 512 : Math.max(page.sheets.side, 256);
      if (!wanted() || !drawQuad(before, i, image, side)) return;
      const slider = make("input", { type: "range", min: 0, max: 100, value: 0, className: "slider", "aria-label": "Before and after" });
      const show = () => before.style.setProperty("clip-path", `inset(0 ${100 - slider.value}% 0 0)`);
      slider.addEventListener("input", show);
      show();
      stack.append(before);
      figure.insertBefore(slider, caption);
      caption.textContent = "Face; slide to see the photograph before it";
    }, () => {});
  }
  return figure;
}

// What the build stored of a few faces: every stage from the photo to the face.
function stagesOf(i) {
  const strip = document.querySelector(`#about .strip[data-id="${CSS.escape(printable(ids[i]))}"]`);
  if (!strip) return null;
  const copy = strip.cloneNode(true);
  return make("section", { "aria-label": "Stages" }, make("h3", { textContent: "Stages" }), copy);
}

function duplicatesOf(i) {
  const original = indexOfId.get(textAt("duplicate_of", i)) ?? i;
  const others = [];
  if (columns.has("duplicate_of")) {
    for (let k = 0; k < count; k++) if (textAt("duplicate_of", k) === ids[original]) others.push(k);
  }
  if (!others.length) return null;
  const list = make("div", { className: "beside" });
  for (const k of [original, ...others]) {
    const canvas = make("canvas", { width: 1, height: 1, role: "img", "aria-label": describe(k) });
    drawRow(canvas, k, () => details.open);
    const label = `${k === original ? "in the file" : "left out"}: ${printable(sourceOf(k))}`;
    list.append(make("figure", { className: k === i ? "this" : "" }, canvas, make("figcaption", { title: label }, ...breakable(label))));
  }
  return make("section", { "aria-label": "Duplicates" }, make("h3", { textContent: "The same face, side by side" }), list);
}

function tableOf(i) {
  const table = make("table", {});
  for (const [name, column] of columns) {
    if (column.kind === "points") continue;
    const value = column.at(i);
    const text = column.kind === "number" ? [shortNumber(value)] : breakable(printable(value ?? ""));
    if (text[0] === "" || (name === "row" && value < 0)) continue;
    table.append(make("tr", {}, make("th", { scope: "row", textContent: columnName(name) }), make("td", {}, ...text)));
  }
  return table;
}

function detailsKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "range") return;
  if (event.key === "ArrowLeft") moveDetails(-1);
  else if (event.key === "ArrowRight") moveDetails(1);
  else return;
  event.preventDefault();
}

// A swipe is an arrow.
let touchFrom = null;
details.addEventListener("touchstart", (event) => {
  const one = event.touches.length === 1 && event.target.type !== "range";
  touchFrom = one ? [event.touches[0].clientX, event.touches[0].clientY] : null;
}, { passive: true });
details.addEventListener("touchend", (event) => {
  if (!touchFrom) return;
  const [x, y] = [event.changedTouches[0].clientX - touchFrom[0], event.changedTouches[0].clientY - touchFrom[1]];
  if (Math.abs(x) > 60 && Math.abs(x) > 2 * Math.abs(y)) moveDetails(x < 0 ? 1 : -1);
  touchFrom = null;
}, { passive: true });
