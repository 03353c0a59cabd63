"""The cross-checks X1 to X14: whether numbers that a lab said, in public or on disclosure, can be true together.

Pure functions over plain numbers, whoever asks: a lab before it signs, an inspector who was shown the figures, the
rules where they are public. Each gives what it compared, also where it holds, and why where it could not compare.

`rows`, a row's figures against each other and against its cluster:

- X1: chip-seconds of a model are at most its chips x the interval's length.
- X2: the split adds up to all chip-seconds, and the split without idle to the busy ones.
- X3: training operations are at most what the chips in training can do at peak; soft above 70 % and below 1 %.
- X4: energy lies between all idle and 1.3 x all at TDP, a building needs 1 to 4 times that; soft, but hard below 1.
- X5: training operations are at most energy x the best operations per joule of the models; soft.
- X11: the scheduler's chip-seconds of a model are at most those there are.
- X13: numbers neither repeat the interval before nor are rounder than measurements; soft.

`runs`, training runs and where they come from:

- X6: a run's cumulative operations are what they were, or its base model's, plus the interval's; caps and freezes hold.
- X3 once more, over a whole run.

`histories`, a run from its first word to its last:

- X6: it grows by what it did, stands still while frozen, begins at its base model, and is no less than its reports.

`inventories`, books and shipments; `books`, the first of them from a lab's statements:

- X7: an inventory is the one before, plus what came in, less what went out.
- X8: the two sides of a transfer say the same, each of the other, in time.
- X12: over the whole network as much arrives as is sent, and no chip appears or vanishes.

`attestations`, hardware that speaks for itself:

- X9: attested chips are in the inventory, and none is shown twice.
- X10: attested accelerators and switches name each other.
- X14: a quote is no older than an interval.
"""
