// The page put together: what happens on a click, a key, a resize; the lists and the command to run next.

const KEYS = [
  ["arrows, Page, Home, End", "move"],
  ["Enter", "open the face"],
  ["x", "reject, or take that back"],
  ["k", "keep"],
  ["m", "mark, to look at again"],
  ["u, Ctrl+Z", "undo the last decision"],
  ["/", "search"],
  ["?", "these keys"],
  ["Esc", "close"],
];

function refresh() {
  applyFilters();
  const above = grid.getBoundingClientRect().top - $("bar").offsetHeight;
  if (above < -GAP) scrollBy(0, above); // the first of them, not what has come to lie where one looked
  rebuildGrid();
  paintSidebar();
  paintTold();
}

function paintTold() {
  const n = view.order.length;
  $("count").textContent = `${n.toLocaleString("en-US")} of ${count.toLocaleString("en-US")} shown`;
  $("nothing").hidden = n > 0;
  $("reject-shown").hidden = n === 0 || !isFiltered();
}

// Beyond the choice of a status: all faces at once are not rejected by one click.
const isFiltered = () =>
  Boolean(filters.text.trim()) || filters.ranges.size > 0 || [...filters.facets.values()].some((chosen) => chosen.size);

function paintDecided() {
  const [rejected, kept, marked] = [idsDecided("reject").length, idsDecided("keep").length, [...decisions.values()].filter((d) => d.mark).length];
  const parts = [`${rejected.toLocaleString("en-US")} rejected`];
  if (kept) parts.push(`${kept.toLocaleString("en-US")} kept`);
  if (marked) parts.push(`${marked.toLocaleString("en-US")} marked`);
  $("decided-count").textContent = parts.join(" · ");
  $("undo").disabled = !steps.length;
  $("download").disabled = !rejected && !included().length;
}

function whenAFaceIsDecided(indices) {
  const hit = new Set(indices);
  for (const [key, cell] of cells) {
    if (typeof key === "number" && hit.has(view.order[key])) paintDecision(cell, view.order[key]);
  }
  if (details.open) paintActions(view.order[openPlace]);
  applyFilters(); // faces that were decided stay in sight until the filters change
  paintSidebar();
  paintDecided();
}

function downloadLists() {
  if (idsDecided("reject").length) download(page.exclude, excludeText());
  if (included().length) download(page.include, listText(included()));
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

// A command with the lists that it takes.
function withLists(command, takesIncluded) {
  const base = page.saved ? page.saved.replace(/[^/\\]*$/, "") : "";
  const lists = [];
  if (idsDecided("reject").length) lists.push(`--exclude ${quoted(base + page.exclude)}`);
  if (takesIncluded && included().length) lists.push(`--include ${quoted(base + page.include)}`);
  return [command, ...lists].join(" ");
}

// Browsers break a line after any hyphen, and `--keep` into `-` and `-keep`. An option stays in one piece.
function commandWords(command) {
  const words = command.split(" ").map((word) => (word.startsWith("--") ? [make("span", { className: "option", textContent: word })] : breakable(word)));
  return words.flatMap((parts, i) => (i ? [" ", ...parts] : parts));
}

function stepWithCommand(text, command, takesIncluded) {
  const code = make("code", {}, ...commandWords(withLists(command, takesIncluded)));
  const copy = make("button", { type: "button", textContent: "Copy" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // a browser that keeps its clipboard to itself
      copy.textContent = "Selected: press Ctrl+C";
    }
  });
  return make("li", {}, text, make("pre", {}, code), copy);
}

function showNext() {
  const steps = [
    page.served
      ? `Your decisions are saved, and the rejects are in ${printable(page.saved)}.`
      : `Download the list and put ${page.exclude} into the folder where you run the command.`,
  ].map((text) => make("li", {}, ...breakable(text)));
  if (page.command) {
    steps.push(stepWithCommand("Run this; what you rejected is left out, and everything else stays as it is:", page.command, true));
    if (/ LIST( |$)/.test(page.command)) {
      steps.push(make("li", { textContent: "LIST is the file that was given then: the dataset does not tell." }));
    }
  }
  if (page.drop) {
    const text = page.command ? "Or this, which makes a file of its own and needs no photographs:" : "Run this; it makes a file without what you rejected:";
    steps.push(stepWithCommand(text, page.drop, false));
  }
  if (!page.command && !page.drop) {
    steps.push(make("li", { textContent: "The rows of this dataset have no names: no command can take a list of them." }));
  }
  const odd = idsDecided("reject").filter((id) => !isLine(id)).length;
  if (odd) steps.push(make("li", { textContent: `${plural(odd, "name", "names")} with a line's end cannot stand in a list: rename the photo.` }));
  $("next-steps").replaceChildren(...steps);
  $("next-dialog").showModal();
}

function showPart(faces) {
  $("workbench").hidden = !faces;
  $("about").hidden = faces;
  $("decisions").hidden = !faces;
  $("show-faces").setAttribute("aria-pressed", faces);
  $("show-about").setAttribute("aria-pressed", !faces);
  scrollTo(0, 0);
  if (faces) refresh();
}

function showFilters(open) {
  document.body.classList.toggle("filtering", open);
  $("open-filters").setAttribute("aria-expanded", open);
  if (open) $("close-filters").focus();
}

function key(event) {
  const typing = event.target.closest?.("input:not([type=range]), select, textarea");
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !typing) {
    event.preventDefault();
    undo();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const other = document.querySelector("dialog[open]:not(#details)");
  if (other || $("workbench").hidden) return;
  const place = details.open ? openPlace : event.target.closest?.(".cell") ? focusPlace : -1;
  const i = view.order[place];
  const does = {
    x: () => i !== undefined && toggleDecision(i, "reject"),
    k: () => i !== undefined && toggleDecision(i, "keep"),
    m: () => i !== undefined && toggleMark(i),
    u: undo,
    "/": () => !details.open && $("search").focus(),
    "?": () => $("help-dialog").showModal(),
  }[event.key];
  if (!does) {
    if (details.open) detailsKey(event);
    else gridKey(event);
    return;
  }
  event.preventDefault();
  does();
}

function fillSelect(select, options) {
  select.append(...options.map(([value, label]) => make("option", { value, textContent: label })));
}

function soon(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      action();
    });
  };
}

function begin() {
  fillSelect($("sort"), [["", "as in the file"], ...sortable.map((name) => [name, columnName(name)])]);
  fillSelect($("group"), groups);
  $("keys").append(...KEYS.map(([keys, does]) => make("tr", {}, make("th", { scope: "row", textContent: keys }), make("td", { textContent: does }))));
  makeSidebar();
  filtersChanged = soon(refresh);
  openFace = openDetails;
  whenDecided(whenAFaceIsDecided);

  $("bar").addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("input", () => ((filters.text = $("search").value), filtersChanged()));
  $("sort").addEventListener("change", () => {
    filters.sort = $("sort").value;
    filters.descending = columns.get(filters.sort)?.kind === "number";
    paintDirection();
    filtersChanged();
  });
  $("group").addEventListener("change", () => ((filters.group = $("group").value), filtersChanged()));
  $("direction").addEventListener("click", () => ((filters.descending = !filters.descending), paintDirection(), filtersChanged()));
  $("size").addEventListener("input", soon(rebuildGrid));
  $("clear").addEventListener("click", clearFilters);
  $("open-filters").addEventListener("click", () => showFilters(true));
  $("close-filters").addEventListener("click", () => (showFilters(false), $("open-filters").focus()));
  $("reject-shown").addEventListener("click", () => decide(view.order, { decision: "reject" }));
  $("undo").addEventListener("click", undo);
  $("download").addEventListener("click", downloadLists);
  $("next").addEventListener("click", showNext);
  $("show-faces").addEventListener("click", () => showPart(true));
  $("show-about").addEventListener("click", () => showPart(false));
  $("show-help").addEventListener("click", () => $("help-dialog").showModal());
  details.addEventListener("close", () => focusOn(openPlace));
  document.addEventListener("keydown", key);
  addEventListener("scroll", soon(placeCells), { passive: true });
  let width = 0;
  new ResizeObserver(() => {
    if (grid.clientWidth === width || $("workbench").hidden) return;
    width = grid.clientWidth;
    rebuildGrid();
  }).observe(grid);

  $("parts").hidden = false;
  if (page.served) $("download").textContent = "Download a copy";
  paintDirection();
  paintDecided();
  showPart(true);
  document.body.dataset.ready = "";
}

function paintDirection() {
  $("direction").textContent = filters.descending ? "↓" : "↑";
  $("direction").setAttribute("aria-label", filters.descending ? "Descending; reverse the order" : "Ascending; reverse the order");
}

begin();
