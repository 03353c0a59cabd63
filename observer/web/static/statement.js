// What an entry says, read from the entry's own bytes: an envelope that parties signed (DSSE v1), or, where the rules of
// the ledger computed it, a statement that nobody signs. One statement has one envelope: other spellings are refused.

import { decodeBase64, decodeHex, decodeUtf8, encodeHex } from "./encoding.js";
import { DOMAINS } from "./domains.js";
import { Refusal, demand } from "./refusal.js";
import { encodePae, sha256, verifyEd25519 } from "./signatures.js";

const ENTRY_BYTES_MAX = 0xffff;
const SIGNATURES_MAX = 128;
const ED25519_SIGNATURE_BYTES = 64;

export function parseEntry(entry) {
  demand(entry.length <= ENTRY_BYTES_MAX, "entry", `${entry.length} bytes`, `at most ${ENTRY_BYTES_MAX} bytes`);
  const text = decodeUtf8(entry, "entry");
  if (!text.startsWith('{"payload":')) {
    return { signatures: [], ...parseStatement(text) };
  }
  const envelope = parseJson(text, "entry");
  const signatures = envelope.signatures;
  demand(Array.isArray(signatures) && signatures.length > 0, "entry.signatures", "none", "at least one signature");
  demand(signatures.length <= SIGNATURES_MAX, "entry.signatures", signatures.length, `at most ${SIGNATURES_MAX}`);
  const again = {
    payload: envelope.payload,
    payloadType: envelope.payloadType,
    signatures: signatures.map((line) => ({ keyid: line?.keyid, sig: line?.sig })),
  };
  demand(
    JSON.stringify(again) === text,
    "entry",
    "another spelling of the same envelope",
    "the envelope's one encoding",
  );
  demand(
    envelope.payloadType === DOMAINS.PAYLOAD_TYPE,
    "entry.payloadType",
    envelope.payloadType,
    DOMAINS.PAYLOAD_TYPE,
  );
  demand(typeof envelope.payload === "string", "entry.payload", typeof envelope.payload, "base64");
  const payload = decodeBase64(envelope.payload, "entry.payload");
  let previous = "";
  const lines = signatures.map(({ keyid, sig }) => {
    demand(typeof keyid === "string" && typeof sig === "string", "entry.signatures", "a line without texts", "texts");
    decodeHex(keyid, "entry.signatures.keyid", 32);
    demand(keyid > previous, "entry.signatures.keyid", keyid, "ascending order, each once");
    previous = keyid;
    return { keyid, signature: decodeBase64(sig, "entry.signatures.sig") };
  });
  return { signatures: lines, payload, ...parseStatement(decodeUtf8(payload, "entry.payload")) };
}

function parseStatement(text) {
  const statement = parseJson(text, "statement");
  demand(statement._type === DOMAINS.STATEMENT_TYPE, "statement._type", statement._type, DOMAINS.STATEMENT_TYPE);
  const type = statement.predicateType;
  const match = typeof type === "string" ? /^urn:counterseal:([a-z0-9-]{1,64}):v([1-9])$/.exec(type) : null;
  demand(match !== null, "statement.predicateType", type, `${DOMAINS.PREDICATE_PREFIX}…`);
  const predicate = statement.predicate;
  demand(typeof predicate === "object" && predicate !== null, "statement.predicate", typeof predicate, "an object");
  demand(
    Array.isArray(statement.subject) && statement.subject.length === 1,
    "statement.subject",
    "another count",
    "one",
  );
  return {
    text,
    kind: match[1],
    version: Number(match[2]),
    subject: String(statement.subject[0]?.name),
    predicate,
    // What is shown is what was parsed; a text with a key twice would show something that others read differently.
    hasOneReading: JSON.stringify(statement) === text,
  };
}

function parseJson(text, field) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(field, text, "JSON");
  }
  demand(typeof value === "object" && value !== null && !Array.isArray(value), field, text, "a JSON object");
  return value;
}

/**
 * Check an entry's own Ed25519 signatures as far as the keys given reach.
 *
 * Returns for each of its lines the owner of the key, or null where none of the keys is the one it names: then nothing was
 * checked. A line by a key that is known and does not verify is refused.
 */
export async function verifySigners(parsed, owners) {
  const byKeyid = new Map();
  for (const [publicKey, owner] of owners) byKeyid.set(encodeHex(await sha256(publicKey)), { publicKey, owner });
  const signers = [];
  for (const { keyid, signature } of parsed.signatures) {
    const known = byKeyid.get(keyid);
    if (known && signature.length === ED25519_SIGNATURE_BYTES) {
      const message = encodePae(DOMAINS.PAYLOAD_TYPE, parsed.payload);
      await verifyEd25519(known.publicKey, message, signature, "entry.signatures.sig");
    }
    signers.push({ keyid, owner: known?.owner ?? null });
  }
  return signers;
}
