// Block headers: the protobuf message ledger.v1.BlockHeader in its one encoding. Fields stand in ascending order, each at
// most once, none with its default value, integers in their shortest form; anything else is refused.
// The digest over these bytes is what the seal names. Source: docs/formats.md; protobuf encoding specification.

import { SIZE_MAX, concat } from "./encoding.js";
import { tag } from "./domains.js";
import { Refusal, demand } from "./refusal.js";
import { sha256 } from "./signatures.js";

const HEADER_BYTES_MAX = 1024;
const MEMBERS_MAX = 200n;
const BLOCK_ENTRIES_MAX = 10_000n;
const VARINT = 0;
const BYTES = 2;
const FIELDS = [
  ["ledgerId", BYTES],
  ["epoch", VARINT],
  ["view", VARINT],
  ["height", VARINT],
  ["parent", BYTES],
  ["timeMs", VARINT],
  ["proposer", VARINT],
  ["firstIndex", VARINT],
  ["treeSize", VARINT],
  ["root", BYTES],
  ["entriesDigest", BYTES],
  ["stateDigest", BYTES],
];
const OPTIONAL = new Set(["stateDigest"]);

export function parseHeader(raw) {
  demand(
    raw.length > 0 && raw.length <= HEADER_BYTES_MAX,
    "header",
    `${raw.length} bytes`,
    `1 to ${HEADER_BYTES_MAX} bytes`,
  );
  const header = Object.fromEntries(FIELDS.map(([name, type]) => [name, type === VARINT ? 0n : new Uint8Array()]));
  let [at, previous] = [0, 0];
  while (at < raw.length) {
    let key, length;
    [key, at] = readVarint(raw, at);
    const [number, wire] = [Number(key >> 3n), Number(key & 7n)];
    const [name, type] = FIELDS[number - 1] ?? [];
    demand(name !== undefined && wire === type, "header", `field ${number} of type ${wire}`, "a BlockHeader's fields");
    demand(number > previous, "header", `field ${number} after ${previous}`, "ascending order, each once");
    previous = number;
    if (type === VARINT) {
      [header[name], at] = readVarint(raw, at);
      demand(
        header[name] > 0n && header[name] <= SIZE_MAX,
        `header.${name}`,
        header[name],
        "above 0 where it is written",
      );
      continue;
    }
    [length, at] = readVarint(raw, at);
    demand(length === 32n, `header.${name}`, `${length} bytes`, "32 bytes");
    header[name] = raw.slice(at, at + 32);
    demand(header[name].length === 32, `header.${name}`, "cut off", "32 bytes");
    at += 32;
  }
  for (const [name, type] of FIELDS) {
    demand(
      type === VARINT || header[name].length === 32 || OPTIONAL.has(name),
      `header.${name}`,
      "nothing",
      "32 bytes",
    );
  }
  demand(header.epoch > 0n, "header.epoch", header.epoch, "at least 1");
  demand(header.proposer <= MEMBERS_MAX, "header.proposer", header.proposer, `at most ${MEMBERS_MAX}`);
  const count = header.treeSize - header.firstIndex;
  demand(
    count >= 0n && count <= BLOCK_ENTRIES_MAX,
    "header.treeSize",
    header.treeSize,
    `${header.firstIndex} and at most ${BLOCK_ENTRIES_MAX} more`,
  );
  requireGenesisShape(header);
  return header;
}

/** Genesis, and nothing else, has view 0, no proposer, no parent and the ledger's first entry. */
function requireGenesisShape(header) {
  const isGenesis = header.height === 0n;
  const hasNoParent = header.parent.every((byte) => byte === 0);
  for (const [name, isLikeGenesis] of [
    ["view", header.view === 0n],
    ["proposer", header.proposer === 0n],
    ["parent", hasNoParent],
    ["firstIndex", header.firstIndex === 0n],
  ]) {
    demand(
      isLikeGenesis === isGenesis,
      `header.${name}`,
      header[name],
      isGenesis ? "zero at height 0" : "not zero above height 0",
    );
  }
  demand(
    !isGenesis || (header.epoch === 1n && header.treeSize === 1n),
    "header.height",
    0,
    "genesis in epoch 1 with the charter alone",
  );
}

function readVarint(raw, from) {
  let value = 0n;
  for (let at = from; at < raw.length && at < from + 10; at += 1) {
    value |= BigInt(raw[at] & 0x7f) << BigInt(7 * (at - from));
    if (raw[at] < 0x80) {
      demand(raw[at] !== 0 || at === from, "header", "a padded integer", "the shortest form");
      return [value, at + 1];
    }
  }
  throw new Refusal("header", "an integer without end", "at most 10 bytes");
}

export async function computeBlockDigest(raw) {
  return sha256(concat(tag("BLOCK"), raw));
}
