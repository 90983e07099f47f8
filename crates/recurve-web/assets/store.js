// What is looked at: one object, mirrored in the address, so that a view can be kept or sent.

const DEFAULTS = {
  view: "", part: 0, plane: "h", unit: 0, t: 0, from: null, count: null, text: null, edits: [], series: null, epoch: null,
  colour: "unit", rank: "variance", a: null, b: null,
};
const NUMBERS = new Set(["part", "unit", "t", "from", "count", "series", "epoch", "a", "b"]);

export const state = { ...DEFAULTS };
const listeners = new Set();

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(DEFAULTS)) {
    const text = given.get(key);
    if (text === null) state[key] = DEFAULTS[key];
    else if (NUMBERS.has(key)) state[key] = Number.isFinite(+text) ? Math.max(0, Math.trunc(+text)) : DEFAULTS[key];
    else if (key === "edits") {
      try { state.edits = JSON.parse(text); } catch { state.edits = []; }
    } else state[key] = text;
  }
}

function writeAddress() {
  const kept = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (key === "edits" ? value.length : value !== DEFAULTS[key] && value !== null) {
      kept.set(key, key === "edits" ? JSON.stringify(value) : value);
    }
  }
  const hash = `#${kept}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

let pending = 0;
/** Changes what is looked at and tells everybody who listens which keys have changed. */
export function set(changes) {
  const changed = new Set();
  for (const [key, value] of Object.entries(changes)) {
    if (JSON.stringify(state[key]) !== JSON.stringify(value)) {
      state[key] = value;
      changed.add(key);
    }
  }
  if (!changed.size) return;
  // Browsers limit how often an address may change.
  clearTimeout(pending);
  pending = setTimeout(writeAddress, 120);
  for (const listener of listeners) listener(changed);
}

/** Tells `listener` of changes, as a set of keys. */
export function listen(listener) {
  listeners.add(listener);
}

readAddress();
window.addEventListener("hashchange", () => {
  const before = { ...state };
  readAddress();
  const changed = new Set(Object.keys(state).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(state[key])));
  if (changed.size) for (const listener of listeners) listener(changed);
});
