"""The consensus core: a deterministic state machine without I/O, clock or randomness."""
