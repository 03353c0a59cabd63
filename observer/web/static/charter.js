// The charter, entry 0: who the members are, by which keys they are known, and the group key that checks every seal. Its
// fingerprint is SHA-256 of its bytes. It exists for the page only if every founder signed these very bytes; that these
// founders are the right ones a visitor learns elsewhere, and pastes.

import { decodeBase64, encodeHex, isEqual } from "./encoding.js";
import { AnchorRefusal, Refusal, demand } from "./refusal.js";
import { GROUP_KEY_BYTES, decodeGroupKey, requireStrongEd25519Key, sha256 } from "./signatures.js";
import { computeKeyId, requireKeyName } from "./note.js";
import { parseEntry, verifySigners } from "./statement.js";

const MEMBERS_MAX = 200;

export async function parseCharter(entry) {
  const parsed = parseEntry(entry);
  demand(
    parsed.kind === "charter" && parsed.version <= 2,
    "charter",
    `${parsed.kind} v${parsed.version}`,
    "a charter, v1 or v2",
  );
  demand(parsed.hasOneReading, "charter", "another spelling of the same charter", "its one encoding");
  const { origin, title, members, quorum, grid, founded_at_ms: foundedAtMs } = parsed.predicate;
  requireKeyName(origin, "charter.origin");
  demand(
    Array.isArray(members) && members.length > 0 && members.length <= MEMBERS_MAX,
    "charter.members",
    members?.length,
    `1 to ${MEMBERS_MAX}`,
  );
  const right = members.length - Math.floor((members.length - 1) / 3);
  demand(quorum === right, "charter.quorum", quorum, `${right} of ${members.length}`);
  const groupKey = decodeBase64(parsed.predicate.group_key, "charter.group_key", GROUP_KEY_BYTES);
  decodeGroupKey(groupKey, "charter.group_key");
  demand(
    parsed.predicate.commitments?.[0] === parsed.predicate.group_key,
    "charter.commitments",
    "another constant term",
    "the group key",
  );
  const known = members.map((member, i) => readMember(member, i + 1));
  await requireEveryFounder(parsed, known);
  return {
    entry,
    ledgerId: await sha256(entry),
    fingerprint: encodeHex(await sha256(entry)),
    origin,
    title: String(title),
    members: known,
    quorum,
    grid,
    foundedAtMs,
    predicate: parsed.predicate,
    groupKey,
    keys: await listKeys(origin, groupKey, known),
  };
}

function readMember(member, expected) {
  const field = `charter.members[${expected}]`;
  demand(member?.index === expected, `${field}.index`, member?.index, expected);
  const [identity, cosigner, log] = ["identity", "cosigner", "log"].map((name) => {
    const key = decodeBase64(String(member[name]), `${field}.${name}`, 32);
    requireStrongEd25519Key(key, `${field}.${name}`);
    return key;
  });
  requireKeyName(String(member.node), `${field}.node`);
  return {
    index: expected,
    id: String(member.id),
    name: String(member.name),
    node: member.node,
    identity,
    cosigner,
    log,
  };
}

async function requireEveryFounder(parsed, members) {
  const owners = members.map((member) => [member.identity, member.id]);
  const signers = await verifySigners(parsed, owners);
  for (const { keyid, owner } of signers) {
    demand(owner !== null, "charter.signatures", `key ID ${keyid}`, "signatures of founders alone");
  }
  for (const member of members) {
    demand(
      signers.some(({ owner }) => owner === member.id),
      "charter.signatures",
      `none of ${member.id}`,
      "a signature of every founder",
    );
  }
}

/** Every key by which this page can check a line under a checkpoint. ML-DSA keys are not among them. */
async function listKeys(origin, groupKey, members) {
  const keys = [{ type: "NOTE_SEAL", name: origin, publicKey: groupKey, member: null }];
  for (const member of members) {
    keys.push({ type: "NOTE_ED25519", name: origin, publicKey: member.log, member });
    keys.push({ type: "NOTE_COSIGNATURE_ED25519", name: member.node, publicKey: member.cosigner, member });
  }
  for (const key of keys) key.keyId = await computeKeyId(key.name, key.type, key.publicKey);
  const names = new Set(keys.map((key) => `${key.name} ${encodeHex(key.keyId)}`));
  demand(names.size === keys.length, "charter.members", "two keys under one name and key ID", "distinct key IDs");
  return keys;
}

/** Read what a visitor pastes: a charter's fingerprint (64 hexadecimal digits) or a group key (192, or base64). */
export function parseAnchor(pasted) {
  const text = pasted.replace(/[\s:-]+/g, "");
  if (/^[0-9a-fA-F]{64}$/.test(text)) return { kind: "fingerprint", value: text.toLowerCase() };
  if (/^[0-9a-fA-F]{192}$/.test(text)) return { kind: "group key", value: text.toLowerCase() };
  if (/^[A-Za-z0-9+/]{128}$/.test(text))
    return { kind: "group key", value: encodeHex(decodeBase64(text, "group key", GROUP_KEY_BYTES)) };
  throw new Refusal(
    "what you pasted",
    text.length === 0 ? "nothing" : `${text.length} characters`,
    "a fingerprint of 64 hexadecimal digits, or a group key of 192, or of 128 in base64",
  );
}

/** Hold a charter against what the visitor trusts. */
export function verifyAnchor(charter, { kind, value }) {
  const found = kind === "fingerprint" ? charter.fingerprint : encodeHex(charter.groupKey);
  if (found !== value) throw new AnchorRefusal(kind, found, `${value}, which you gave`);
}

export function isOfLedger(header, charter) {
  return isEqual(header.ledgerId, charter.ledgerId);
}
