// What was decided about faces: rejected, kept, marked. Every step can be undone, and nothing is lost by a reload.

const decisions = new Map(); // id -> {decision: "reject" | "keep" | "", mark: boolean}
const steps = []; // each: [[id, what it was before], ...]
const listeners = [];
const NONE = Object.freeze({ decision: "", mark: false });
const storeName = `celebahq ${page.mark} ${page.name}`;
const before = page.before ?? { exclude: [], include: [] }; // the lists that this dataset was made with

const decisionOf = (i) => decisions.get(ids[i]) ?? NONE;
const whenDecided = (listener) => listeners.push(listener);

function put(id, value) {
  if (value.decision || value.mark) decisions.set(id, value);
  else decisions.delete(id);
}

// change: {decision} or {mark}, for rows by their index.
function decide(indices, change) {
  const undone = [];
  for (const i of indices) {
    const was = decisionOf(i);
    const now = { ...was, ...change };
    if (now.decision === was.decision && now.mark === was.mark) continue;
    undone.push([ids[i], was]);
    put(ids[i], now);
  }
  if (!undone.length) return;
  steps.push(undone);
  changed(undone.map(([id]) => indexOfId.get(id)));
}

const toggleDecision = (i, decision) =>
  decide([i], { decision: decisionOf(i).decision === decision ? "" : decision });
const toggleMark = (i) => decide([i], { mark: !decisionOf(i).mark });

function undo() {
  const undone = steps.pop();
  if (!undone) return [];
  for (const [id, was] of undone) put(id, was);
  const indices = undone.map(([id]) => indexOfId.get(id)).filter((i) => i !== undefined);
  changed(indices);
  return indices;
}

function changed(indices) {
  save();
  for (const listener of listeners) listener(indices);
}

function idsDecided(decision) {
  return [...decisions].filter(([, value]) => value.decision === decision).map(([id]) => id);
}

// The lists that the commands take: one id a line, without lines that begin with #. What a line cannot hold, only odd
// file names do.
const isLine = (id) => !/[\n\r]/.test(id);
const lineOf = (id) => (/^(#|\s|\.\/|\ufeff)/.test(id) ? `./${id}\n` : `${id}\n`);
const listText = (list) => list.filter(isLine).sort((a, b) => (a < b ? -1 : 1)).map(lineOf).join("");
const excludeText = () => listText(idsDecided("reject"));

// Kept ones of the file are in it anyway, but for those that it was told to keep; others are asked for.
const included = () => {
  const asked = new Set(before.include);
  return idsDecided("keep").filter((id) => asked.has(id) || (indexOfId.has(id) && statusOf(indexOfId.get(id)) !== "kept"));
};

function download(name, text) {
  const address = URL.createObjectURL(new Blob([bytesOf(text)], { type: "text/plain" }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const asObject = () => Object.fromEntries(decisions);

function load(found) {
  for (const [id, value] of Object.entries(found ?? {})) {
    const decision = ["reject", "keep"].includes(value?.decision) ? value.decision : "";
    put(id, { decision, mark: value?.mark === true });
  }
}

const toldSaved = (text, wrong = false) => {
  $("saved").replaceChildren(...breakable(text));
  $("saved").classList.toggle("wrong", wrong);
};

let save = () => {
  try {
    localStorage.setItem(storeName, JSON.stringify(asObject()));
  } catch {
    toldSaved("This browser keeps nothing: download the list before you leave.", true);
  }
};

if (page.served) {
  let { version } = page.decisions;
  let waiting = null;
  let busy = false;
  let unsaved = false;
  const send = async () => {
    waiting = null;
    if (busy) {
      waiting = setTimeout(send, 100);
      return;
    }
    busy = true;
    unsaved = false;
    try {
      const answer = await fetch("decisions", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ version, decisions: asObject() }),
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.message);
      version = told.version;
      if (!unsaved) toldSaved(`Saved in ${printable(told.saved)}`); // else another decision was made meanwhile
    } catch (error) {
      unsaved = true;
      const why = error instanceof TypeError ? "celebahq-data curate has ended" : error.message;
      toldSaved(`Not saved: ${printable(why)}`, true);
    } finally {
      busy = false;
    }
  };
  save = () => {
    unsaved = true;
    toldSaved("Saving …");
    clearTimeout(waiting);
    waiting = setTimeout(send, 100);
  };
  addEventListener("beforeunload", (event) => {
    if (unsaved || busy) event.preventDefault();
  });
  load(page.decisions.values);
} else {
  let stored = null;
  try {
    stored = JSON.parse(localStorage.getItem(storeName));
  } catch {
    // a browser that keeps nothing, or something else under this name
  }
  if (stored === null) {
    for (const id of before.exclude) put(id, { decision: "reject", mark: false });
    for (const id of before.include) put(id, { decision: "keep", mark: false });
  } else load(stored);
}
