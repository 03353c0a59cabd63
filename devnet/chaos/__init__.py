"""Chaos on real processes: weather between nodes, ailments of nodes, a schedule of both, and what must hold after."""
