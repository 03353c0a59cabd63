"""A mirror: what was verified into a copy, published again as the static ledger, for whoever does not ask a node."""
