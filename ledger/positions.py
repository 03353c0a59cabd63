"""Positions and quantities of the ledger, each its own type so that one cannot pass for another.

What each counts and from where. mypy refuses a `TreeSize` where a `LeafIndex` is meant; arithmetic gives a
plain `int` that must be wrapped again, which is where the reader should look twice.
"""

from typing import NewType

Epoch = NewType("Epoch", int)
"""Committee number; the founding committee is epoch 1."""

View = NewType("View", int)
"""Attempt number within an epoch; views start at 1, genesis is notarized in view 0."""

Height = NewType("Height", int)
"""Position of a block in the chain; genesis (the charter alone) is height 0."""

LeafIndex = NewType("LeafIndex", int)
"""Position of an entry, from 0."""

TreeSize = NewType("TreeSize", int)
"""How many entries; the next entry gets this index."""

MemberIndex = NewType("MemberIndex", int)
"""A member's number in the committee, from 1 as in the charter; 0 is nobody (genesis has no proposer)."""

Interval = NewType("Interval", int)
"""Index of a reporting interval on the charter's grid, from 0."""

BeaconRound = NewType("BeaconRound", int)
"""Number of a beacon's round on the charter's grid, from 0."""

Sequence = NewType("Sequence", int)
"""An issuer's own count of its statements, from 0."""

Millis = NewType("Millis", int)
"""Milliseconds since the Unix epoch, UTC, or a duration in milliseconds."""

Seconds = NewType("Seconds", int)
"""Seconds since the Unix epoch, UTC, or a duration in seconds."""

FIRST_EPOCH = Epoch(1)
GENESIS_VIEW = View(0)
GENESIS_HEIGHT = Height(0)
