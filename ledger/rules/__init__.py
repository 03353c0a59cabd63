"""What follows from what was said: one pure function over statements in ledger order, split by subject."""
