// What was decided about faces: rejected, kept, marked. Every step can be undone, and nothing is lost by a reload.

const decisions = new Map(); // id -> {decision: "reject" | "keep" | "", mark: boolean}
const steps = []; // each: [[id, what it was before], ...]
const listeners = [];
const NONE = Object.freeze({ decision: "", mark: false });
const storeName = `celebahq ${page.name} ${page.mark}`;

const decisionOf = (i) => decisions.get(ids[i]) ?? NONE;
const whenDecided = (listener) => listeners.push(listener);

function put(id, value) {
  if (value.decision || value.mark) decisions.set(id, value);
  else decisions.delete(id);
}

// change: {decision} or {mark}, for rows by their index.
function decide(indices, change) {
  const before = [];
  for (const i of indices) {
    const was = decisionOf(i);
    const now = { ...was, ...change };
    if (now.decision === was.decision && now.mark === was.mark) continue;
    before.push([ids[i], was]);
    put(ids[i], now);
  }
  if (!before.length) return;
  steps.push(before);
  changed(before.map(([id]) => indexOfId.get(id)));
}

const toggleDecision = (i, decision) =>
  decide([i], { decision: decisionOf(i).decision === decision ? "" : decision });
const toggleMark = (i) => decide([i], { mark: !decisionOf(i).mark });

function undo() {
  const before = steps.pop();
  if (!before) return [];
  for (const [id, was] of before) put(id, was);
  const indices = before.map(([id]) => indexOfId.get(id)).filter((i) => i !== undefined);
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

// The lists that the commands take: one id a line. An id cannot hold a line's end, which only odd file names do.
const isLine = (id) => !/[\n\r]/.test(id);
const listText = (list) => list.filter(isLine).sort((a, b) => (a < b ? -1 : 1)).map((id) => `${id}\n`).join("");
const excludeText = () => listText(idsDecided("reject"));
// Kept ones of the file are in it anyway; others are asked for.
const included = () =>
  idsDecided("keep").filter((id) => indexOfId.has(id) && statusOf(indexOfId.get(id)) !== "kept");

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
  $("saved").textContent = text;
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
      toldSaved(`Saved in ${printable(told.saved)}`);
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
  try {
    load(JSON.parse(localStorage.getItem(storeName) ?? "{}"));
  } catch {
    // a browser that keeps nothing, or something else under this name: begin with none
  }
}
