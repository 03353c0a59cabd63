"""Somebody with the TLS key of a member, which is honest, pours out lies beside what that member says itself."""

from typing import Final

from node.consensus.lanes import Lane
from tests.simulation.attackers.spammer import Spammer

STOLEN: Final = Lane(2)


class Thief(Spammer):
    """Spams in a member's name; at the level of cores, on a stream of its own."""

    lane = STOLEN
