// What the server's copy tells beside an entry that was verified: which block added it, who signed it, what is newer.

import { Unanswered } from "./api.js";
import { definitions, el, replace } from "./dom.js";
import { decodeHex, encodeBase64, encodeHex } from "./encoding.js";
import { entryLink, refusalBox, relayed, section } from "./parts.js";
import { Refusal, demand } from "./refusal.js";
import { askVerified, refuse, session } from "./session.js";
import { verifySigners } from "./statement.js";
import { formatCount, formatTime } from "./text.js";

/** What the server's copy tells beside the proof: which block, and whether there is something newer. */
export async function showBeside(about, index, { leaf, entry, statement }, signal) {
  let told;
  try {
    told = await askVerified(`entries/${index}`, {}, signal);
    const other = new Refusal("the server's words: entry", told.leaf, `${encodeHex(leaf)}, as was verified`);
    if (told.leaf !== encodeHex(leaf) || told.entry_base64 !== encodeBase64(entry)) throw other;
    await verifyTold(told.signatures, statement);
  } catch (error) {
    if (error instanceof Unanswered) replace(about, el("p", { class: "quiet" }, `Nothing more: ${error.message}`));
    else if (error instanceof Refusal) {
      refuse(error);
      replace(about, refusalBox(error, "What this server tells beside the entry does not fit what was sealed."));
    } else throw error;
    return;
  }
  replace(
    about,
    section(
      "What the copy tells beside it",
      relayed(),
      definitions([
        ["added by block", `${formatCount(told.block.height)}, ${formatTime(told.block.time_ms)}`],
        [
          "proposed by",
          told.block.proposer === 0
            ? "nobody: the first block"
            : (session.charter.members[told.block.proposer - 1]?.name ?? String(told.block.proposer)),
        ],
        ["signed by", told.signatures.length ? told.signatures.map(describeSignature) : "nobody: the rules made it"],
        [
          "newer about the same",
          told.corrected_by === null ? "nothing, up to the newest block" : entryLink(told.corrected_by),
        ],
      ]),
    ),
  );
}

/** A signature under a key that the server names can be checked; that the key is that party's is the server's word. */
async function verifyTold(signatures, statement) {
  const keys = signatures.filter(({ public_key: key }) => key !== null);
  const owners = keys.map(({ public_key: key, keyid }) => [decodeHex(String(key), "signatures.public_key", 32), keyid]);
  const signers = await verifySigners(statement, owners);
  for (const { keyid } of keys) {
    const signer = signers.find((each) => each.owner === keyid);
    demand(signer?.keyid === keyid, "the server's words: signatures", keyid, "the hash of the key it names");
  }
}

function describeSignature({ party, keyid, public_key: key }) {
  const who = party ?? `key ${keyid.slice(0, 16)}…`;
  return el(
    "div",
    null,
    key === null
      ? `${who}: not checked here`
      : `${who}: the signature was verified here, that the key is theirs is relayed`,
  );
}
