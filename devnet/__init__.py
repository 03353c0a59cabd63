"""A whole network on one machine, of real processes: for demos, tests and trying things out."""
