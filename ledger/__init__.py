"""The shared truth: formats, proofs, keys, statements, rules. Pure: bytes in, values out."""
