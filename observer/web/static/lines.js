// The lines under a checkpoint: which of them are by keys of the charter, and whether those are true. Lines by other keys are
// counted and otherwise left alone, as C2SP signed-note asks; ML-DSA ones are among them here, since no browser has it.

import { encodeUtf8, isEqual } from "./encoding.js";
import { computeCosignatureMessage, parseCosignature } from "./note.js";
import { demand } from "./refusal.js";
import { verifyEd25519 } from "./signatures.js";

/** Give the lines by keys of this charter, at most one a key, and how many others there are. */
export function selectKnown(note, charter) {
  const known = [];
  for (const line of note.lines) {
    const key = charter.keys.find(({ name, keyId }) => name === line.name && isEqual(keyId, line.keyId));
    if (key === undefined) continue;
    demand(!known.some((other) => other.key === key), "note.signatures", "two lines by one key", "one line a key");
    known.push({ line, key });
  }
  return { known, unknownCount: note.lines.length - known.length };
}

export async function verifyCosignatures(known, checkpoint) {
  const cosigners = [];
  for (const { line, key } of known) {
    if (key.type === "NOTE_ED25519") {
      const message = encodeUtf8(checkpoint.text);
      await verifyEd25519(key.publicKey, message, line.signature, `log line of ${key.member.id}`);
    }
    if (key.type === "NOTE_COSIGNATURE_ED25519") {
      const { timeS, signature } = parseCosignature(line.signature);
      await verifyEd25519(
        key.publicKey,
        computeCosignatureMessage(checkpoint, timeS),
        signature,
        `cosignature of ${key.name}`,
      );
      cosigners.push({ member: key.member, timeS });
    }
  }
  return cosigners;
}
