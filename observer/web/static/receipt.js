// Receipts: index, proof and checkpoint in one text. Source: C2SP tlog-proof. Believes nothing: verify.js does that.

import { decodeBase64, decodeDecimal, decodeUtf8 } from "./encoding.js";
import { DOMAINS } from "./domains.js";
import { demand } from "./refusal.js";
import { parseNote } from "./note.js";

const RECEIPT_BYTES_MAX = 2 << 20;
const PROOF_HASHES_MAX = 63;

export function parseReceipt(raw) {
  demand(raw.length <= RECEIPT_BYTES_MAX, "receipt", `${raw.length} bytes`, `at most ${RECEIPT_BYTES_MAX} bytes`);
  const end = raw.findIndex((byte, i) => byte === 10 && raw[i + 1] === 10);
  demand(end >= 0, "receipt", `${raw.length} bytes`, "a proof, an empty line and a checkpoint");
  const lines = decodeUtf8(raw.slice(0, end), "receipt").split("\n");
  demand(lines[0] === DOMAINS.RECEIPT_HEADER, "receipt.header", lines[0], DOMAINS.RECEIPT_HEADER);
  let at = 1;
  if (lines[at]?.startsWith("extra ")) {
    demand(
      decodeBase64(lines[at].slice(6), "receipt.extra").length > 0,
      "receipt.extra",
      "nothing",
      "a byte, or no line",
    );
    at += 1;
  }
  demand(lines[at]?.startsWith("index "), "receipt.index", lines[at] ?? "nothing", "a line `index <n>`");
  const hashes = lines.slice(at + 1);
  demand(hashes.length <= PROOF_HASHES_MAX, "receipt.proof", `${hashes.length} hashes`, `at most ${PROOF_HASHES_MAX}`);
  return {
    index: decodeDecimal(lines[at].slice(6), "receipt.index"),
    proof: hashes.map((line) => decodeBase64(line, "receipt.proof", 32)),
    note: parseNote(raw.slice(end + 2)),
  };
}
