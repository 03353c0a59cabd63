"""All attackers, by the names that `scripts/simulate --attackers` takes."""

from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.conflicter import Conflicter
from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.flooder import Flooder
from tests.simulation.attackers.forger import Forger
from tests.simulation.attackers.forker import (
    Forker,
    Hurrier,
    InventorOfParents,
    RepeaterOfEntries,
    WrongDigester,
    WrongReckoner,
)
from tests.simulation.attackers.garbler import Garbler
from tests.simulation.attackers.impersonator import Impersonator
from tests.simulation.attackers.liar_about_shares import LiarAboutShares
from tests.simulation.attackers.liar_when_asked import LiarWhenAsked
from tests.simulation.attackers.nuller import Nuller
from tests.simulation.attackers.replayer import Replayer
from tests.simulation.attackers.selective_leader import SelectiveLeader
from tests.simulation.attackers.silent_leader import SilentLeader
from tests.simulation.attackers.spammer import Spammer
from tests.simulation.attackers.voter_for_unknown import VoterForUnknown
from tests.simulation.attackers.withholder import Deserter, Withholder

ATTACKERS: dict[str, type[Attacker]] = {
    "equivocating-leader": EquivocatingLeader,
    "conflicter": Conflicter,
    "withholder": Withholder,
    "deserter": Deserter,
    "selective-leader": SelectiveLeader,
    "nuller": Nuller,
    "replayer": Replayer,
    "liar-about-shares": LiarAboutShares,
    "impersonator": Impersonator,
    "forger": Forger,
    "forker": Forker,
    "inventor-of-parents": InventorOfParents,
    "hurrier": Hurrier,
    "wrong-reckoner": WrongReckoner,
    "wrong-digester": WrongDigester,
    "repeater-of-entries": RepeaterOfEntries,
    "spammer": Spammer,
    "voter-for-unknown": VoterForUnknown,
    "garbler": Garbler,
    "silent-leader": SilentLeader,
    "flooder": Flooder,
    "liar-when-asked": LiarWhenAsked,
}
