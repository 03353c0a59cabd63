// What the page's words mean, in the sentences of the project's own documents. Nothing here is computed.

export const STATES = Object.freeze({
  compliant: { short: "com", means: "a claim of compliance was signed in time, and obeys the agreed arithmetic" },
  pending: { short: "pen", means: "not filed yet, and the grace is not over" },
  late: { short: "lat", means: "filed after it was due" },
  unverifiable: { short: "unv", means: "filed, but something is missing or was not opened" },
  contested: { short: "con", means: "corrected too late, challenged, or not fitting what others declared" },
  missing: { short: "mis", means: "not filed by the end of the grace, or a challenge was not answered" },
  exceeded: { short: "exc", means: "a limit was exceeded, by declaration or by what inspectors found" },
});

export const STATE_NAMES = Object.keys(STATES);

export const ASSURANCES = Object.freeze({
  A0: "declared: it rests on what the lab declared, or did not; only signatures, times and arithmetic were checked",
  A1: "cross-checked: what was shown passed its checks",
  A2: "attested by hardware; the rules do not read such evidence yet",
  A3: "inspected: an inspection found the declaration consistent",
  A4: "recomputed: a part of it was computed again",
});

export const NETWORK_STATES = Object.freeze({
  holding: "every newest verdict is compliant or pending, and news arrives",
  strained: "at least one newest verdict is late, unverifiable, contested or missing",
  breached: "at least one newest verdict is exceeded",
  blind:
    "a fork was proven and nobody has decided about it; or nothing new was sealed for too long; or the clock is behind. Blind outweighs all: a ledger that stands still must not look good",
});

export const WORDS = Object.freeze({
  correctness:
    "what ran is what was declared. The ledger serves this: it fixes what was declared, when and by whom, and executes the agreed arithmetic on it.",
  completeness:
    "everything that ran was declared. The ledger alone does not show this: it reaches only as far as registered chips and inspections do.",
  ledgerTime:
    "The time of a block, agreed on by a quorum of nations before they seal it; never earlier than the block before. Deadlines follow it, and no party's own clock.",
});

export const DEADLINES = Object.freeze({
  "interval-ends": "interval ends; it may be reported",
  "reports-due": "reports are due",
  "grace-ends": "grace ends; what is not filed is missing",
  "corrections-end": "corrections are no longer free",
  "challenges-end": "can be challenged no more",
  "pause-lapses": "pause lapses if it was not activated",
  "pause-begins": "pause begins",
  "pause-ends": "pause ends",
  "response-due": "answer to a challenge is due",
  "sample-due": "answer to a sample is due",
  "approval-ends": "time to decide on a declared run ends",
  "vote-ends": "vote ends",
});

export const STEPS = Object.freeze({
  charter: "Charter",
  checkpoint: "Checkpoint",
  block: "Block header",
  seal: "Seal",
  cosignatures: "Cosignatures",
  place: "Place in the tree",
  statement: "Statement",
  telling: "The server's own words",
});
