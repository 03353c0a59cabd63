// The tree of RFC 6962 section 2.1 and inclusion proofs of RFC 9162 section 2.1.3.2, strict: every proof has exactly the
// hashes that its tree demands, each of 32 bytes. `traceInclusion` is the same walk step by step, so what is drawn is what
// was computed and nothing else.

import { concat, encodeHex, isEqual } from "./encoding.js";
import { tag } from "./domains.js";
import { demand } from "./refusal.js";
import { sha256 } from "./signatures.js";

const HASH_BYTES = 32;
const PROOF_HASHES_MAX = 63;

export async function hashLeaf(entry) {
  return sha256(concat(tag("LEAF_PREFIX"), entry));
}

async function hashNode(left, right) {
  return sha256(concat(tag("NODE_PREFIX"), left, right));
}

/**
 * Walk from a leaf to the root that a proof leads to.
 *
 * Each step has: `node`, the hash below; `isRight`, whether that is a right child; `sibling`; `parent`; and which entries,
 * [from, to), each of `nodeSpan` and `siblingSpan` stands for.
 */
async function traceInclusion({ leaf, index, size, proof }) {
  demand(index >= 0n && index < size, "proof.index", index, `below the size of the tree, ${size}`);
  demand(proof.length <= PROOF_HASHES_MAX, "proof.length", proof.length, `at most ${PROOF_HASHES_MAX} hashes`);
  for (const hash of [leaf, ...proof]) {
    demand(hash.length === HASH_BYTES, "proof.hash", `${hash.length} bytes`, `${HASH_BYTES} bytes`);
  }
  const steps = [];
  let [at, last, level, node] = [index, size - 1n, 0n, leaf];
  for (const sibling of proof) {
    demand(last !== 0n, "proof.length", `${proof.length} hashes`, `${steps.length}, as this tree demands`);
    const isRight = (at & 1n) === 1n || at === last;
    if (isRight) {
      while ((at & 1n) === 0n) [at, last, level] = [at >> 1n, last >> 1n, level + 1n];
    }
    const parent = isRight ? await hashNode(sibling, node) : await hashNode(node, sibling);
    steps.push({
      node,
      isRight,
      sibling,
      parent,
      nodeSpan: computeSpan(at, level, size),
      siblingSpan: computeSpan(isRight ? at - 1n : at + 1n, level, size),
    });
    [at, last, level, node] = [at >> 1n, last >> 1n, level + 1n, parent];
  }
  demand(last === 0n, "proof.length", `${proof.length} hashes`, "more, as this tree demands");
  return { steps, root: node };
}

export async function verifyInclusion({ leaf, index, size, proof, root }) {
  const trace = await traceInclusion({ leaf, index, size, proof });
  demand(isEqual(trace.root, root), "proof.root", encodeHex(trace.root), `the sealed root ${encodeHex(root)}`);
  return trace;
}

function computeSpan(offset, level, size) {
  const from = offset << level;
  const to = (offset + 1n) << level;
  return [from, to < size ? to : size];
}
