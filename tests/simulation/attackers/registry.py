"""All attackers, by the names that `scripts/simulate --attackers` takes."""

from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.nuller import Nuller
from tests.simulation.attackers.sharer_of_wrong_shares import SharerOfWrongShares
from tests.simulation.attackers.withholder import Withholder

ATTACKERS: dict[str, type[Attacker]] = {
    "equivocating-leader": EquivocatingLeader,
    "nuller": Nuller,
    "sharer-of-wrong-shares": SharerOfWrongShares,
    "withholder": Withholder,
}
