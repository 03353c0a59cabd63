// One block: its header is read from its own bytes here, and its digest computed.

import { definitions, el, replace } from "../dom.js";
import { decodeBase64, decodeDecimal, decodeHex, encodeHex } from "../encoding.js";
import { computeBlockDigest, parseHeader } from "../header.js";
import { computeSealMessage } from "../note.js";
import { encodeBase64 } from "../encoding.js";
import { entryLink, refusalBox, relayed, section, verifiedMark } from "../parts.js";
import { Refusal, demand } from "../refusal.js";
import { askVerified, refuse, session } from "../session.js";
import { SEAL_BYTES, verifyBls } from "../signatures.js";
import { digest, formatCount, plural, time } from "../text.js";

export const title = "Block";
export const takesNumber = true;

export async function show(main, { parts, signal }) {
  const height = decodeDecimal(parts[0] ?? "", "height");
  const answer = await askVerified(`blocks/${height}`, {}, signal);
  try {
    replace(main, ...compose(height, answer, await verifyBlock(height, answer)));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(error);
    replace(
      main,
      el("h1", null, `Block ${height}`),
      refusalBox(error, `What this server shows as block ${height} is not what was sealed.`),
    );
  }
}

/** A block with a seal of its own is verified up to the group key; another one only as far as its digest. */
async function verifyBlock(height, answer) {
  const raw = decodeBase64(String(answer.header_base64), "header");
  const header = parseHeader(raw);
  const computed = await computeBlockDigest(raw);
  demand(header.height === height, "header.height", header.height, height);
  demand(
    encodeHex(header.ledgerId) === session.charter.fingerprint,
    "header.ledgerId",
    encodeHex(header.ledgerId),
    session.charter.fingerprint,
  );
  const told = {
    digest: encodeHex(computed),
    parent: encodeHex(header.parent),
    root: encodeHex(header.root),
    entries_digest: encodeHex(header.entriesDigest),
    tree_size: Number(header.treeSize),
  };
  for (const [name, value] of Object.entries(told))
    demand(answer[name] === value, `the server's words: ${name}`, answer[name], `${value}, as the header says`);
  if (answer.seal !== null) {
    const checkpoint = { text: `${session.charter.origin}\n${header.treeSize}\n${encodeBase64(header.root)}\n` };
    verifyBls(
      session.charter.groupKey,
      computeSealMessage(checkpoint, { ...header, blockDigest: computed }),
      decodeHex(String(answer.seal), "seal", SEAL_BYTES),
    );
  }
  return header;
}

function compose(height, answer, header) {
  const isSealed = answer.seal !== null;
  const proposer = session.charter.members[Number(header.proposer) - 1];
  return [
    el("h1", null, `Block ${height}`),
    el(
      "p",
      { class: "lead" },
      time(Number(header.timeMs)),
      `, ${plural(answer.block.entries_count, "entry", "entries")}, proposed by ${proposer?.name ?? "nobody"}`,
    ),
    section(
      "Header",
      isSealed
        ? verifiedMark("header and seal verified here")
        : relayed("header read here; final through a later block"),
      definitions([
        ["digest", digest(answer.digest)],
        [
          "parent",
          height === 0n
            ? "none: the first block"
            : [el("a", { href: `#/block/${height - 1n}` }, `block ${height - 1n}`), " ", digest(answer.parent)],
        ],
        ["next", el("a", { href: `#/block/${height + 1n}` }, `block ${height + 1n}`)],
        ["epoch, view", `${header.epoch}, ${formatCount(header.view)}`],
        [
          "entries",
          answer.block.entries_count === 0
            ? "none"
            : [
                entryLink(header.firstIndex),
                header.treeSize - header.firstIndex > 1n ? [" to ", entryLink(header.treeSize - 1n)] : null,
              ],
        ],
        ["tree size after", formatCount(header.treeSize)],
        ["root after", digest(answer.root)],
        ["entries digest", digest(answer.entries_digest)],
        ["state digest", answer.state_digest === null ? "none in this block" : digest(answer.state_digest)],
        [
          "seal",
          isSealed
            ? digest(answer.seal)
            : [
                `none of its own: final through `,
                el("a", { href: `#/block/${answer.sealed_height}` }, `block ${answer.sealed_height}`),
              ],
        ],
      ]),
    ),
  ];
}
