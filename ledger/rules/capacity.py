"""Which share of the accelerator capacity is whose, as far as it was registered in public.

1. A cluster's capacity is the sum, over the models that its registration lists, of their number times the peak of the
   model in the charter's annex; a model that the annex does not name counts nothing. A cluster registered without
   capacity, or with `null`, has none.
2. What a later registration says of a cluster takes the place of what was said before, `null` too.
3. A nation's capacity is that of all clusters of its labs.

It is what nations say, and nobody has checked it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.charter import Accelerator
from ledger.rules.records.capacity import CAPACITIES, Capacity, make_cluster_name, make_nation_name
from ledger.rules.state import State
from ledger.statements.registry import Cluster, Registration


class Share(NamedTuple):
    """The capacity of some members, and of all."""

    part_gflops: int
    whole_gflops: int


def compute_gflops(cluster: Cluster, accelerators: Sequence[Accelerator]) -> int:
    """Give the capacity that a registration states for a cluster, in peak GFLOP/s; 0 for none.

    Args:
        cluster: as registered.
        accelerators: the charter's annex.
    """
    peaks = {line.model: line.peak_gflops for line in accelerators}
    return sum(line.count * peaks.get(line.model, 0) for line in cluster.capacity or ())


def note_capacity(state: State, registration: Registration) -> None:
    """Keep what a registration that was accepted says of its clusters. Only after a charter with an agreement."""
    nation = make_nation_name(registration.issuer)
    change = 0
    for cluster in registration.clusters:
        name = make_cluster_name(cluster.id)
        gflops = compute_gflops(cluster, state.charter.accelerators)
        before = _get(state, name)
        if gflops != before:
            CAPACITIES.put(state, Capacity(str(gflops)) if gflops else None, name)
            change += gflops - before
    if change:
        after = _get(state, nation) + change
        CAPACITIES.put(state, Capacity(str(after)) if after else None, nation)


def compute_share(state: State, nations: Sequence[str]) -> Share:
    """Give the capacity of these members, and of all members."""
    by_nation = {member.id: _get(state, make_nation_name(member.id)) for member in state.charter.members}
    return Share(sum(by_nation[nation] for nation in nations), sum(by_nation.values()))


def _get(state: State, name: bytes) -> int:
    capacity = CAPACITIES.get(state, name)
    return 0 if capacity is None else int(capacity.gflops)
