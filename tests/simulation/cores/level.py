"""The level of cores only: real consensus cores on stand-in ledgers, with keys that cost nothing if none are given."""

from ledger.blocks import Header, genesis_header
from ledger.positions import Millis
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.checkers.validity import Judge
from tests.simulation.cores.ledger import StandInJudge
from tests.simulation.cores.member import CoreMember
from tests.simulation.keys import MemberKeys
from tests.simulation.member import Member, Scene
from tests.simulation.nodes.founding import make_keys
from tests.simulation.plan import Plan


class Cores:
    """A `simulation.Level`."""

    name = "cores"
    origin = "simulation.example/ledger"

    def make_genesis(self, plan: Plan) -> Header:
        return genesis_header(b"charter", Millis(1_000))

    def make_judge(self, plan: Plan) -> Judge:
        return StandInJudge(self.make_genesis(plan))

    def make_member(self, scene: Scene, index: int, keys: MemberKeys, attacker: type[Attacker] | None) -> Member:
        return CoreMember(scene, index, keys, attacker)

    def make_keys(self, plan: Plan, index: int, quorum: int) -> MemberKeys:
        return make_keys(plan, index, quorum)

    def close(self) -> None:
        pass
