"""Accelerator capacity that nations registered in public: what the latest registration of each cluster says."""

from typing import Final

from ledger.rules.record import Record, Table


class Capacity(Record, frozen=True):
    """Peak GFLOP/s by the charter's annex, as a decimal number: the product of what people write may exceed 64 bits."""

    gflops: str


CAPACITIES: Final = Table(b"q", Capacity)


def make_cluster_name(cluster: str) -> bytes:
    """Name of a cluster's capacity."""
    return f"c/{cluster}".encode()


def make_nation_name(nation: str) -> bytes:
    """Name of the capacity of all clusters of a nation's labs."""
    return f"n/{nation}".encode()
