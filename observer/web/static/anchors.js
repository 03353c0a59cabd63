// What the visitor trusts, by ledger: a charter's fingerprint or a group key that was pasted. It is kept in this browser
// alone, under the ledger's own name, and sent to nobody. Another ledger never inherits it.

const PREFIX = "counterseal/anchor/";

function storage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // a browser may forbid it; then nothing is remembered
  }
}

const forgotten = new Map(); // where nothing can be stored, what was pasted lasts as long as the page

export function recallAnchor(origin) {
  const text = storage()?.getItem(PREFIX + origin) ?? forgotten.get(origin) ?? null;
  if (text === null) return null;
  const match = /^(fingerprint|group key) ([0-9a-f]{64}|[0-9a-f]{192})$/.exec(text);
  return match === null ? null : { kind: match[1], value: match[2] };
}

export function rememberAnchor(origin, { kind, value }) {
  forgotten.set(origin, `${kind} ${value}`);
  try {
    storage()?.setItem(PREFIX + origin, `${kind} ${value}`);
  } catch {
    // full, or forbidden: it lasts as long as the page
  }
}

export function forgetAnchor(origin) {
  forgotten.delete(origin);
  storage()?.removeItem(PREFIX + origin);
}

/** Names of the ledgers for which something is remembered in this browser, from this very address. */
export function listAnchored() {
  const kept = storage();
  const names = kept
    ? Object.keys(kept)
        .filter((name) => name.startsWith(PREFIX))
        .map((name) => name.slice(PREFIX.length))
    : [];
  return [...new Set([...names, ...forgotten.keys()])].sort();
}
