"""Answers every question wrongly: other blocks, forged certificates and seals, views nobody is in, other entries."""

from collections.abc import Sequence

from ledger.blocks import NO_SEAL, parse_header
from ledger.positions import MemberIndex, View
from node.consensus import messages as m
from node.v1 import peer_pb2
from node.wire import encode_certificate
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.blocks import make_twin


class LiarWhenAsked(Attacker):
    """Who asks must be no worse off than with no answer."""

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        return [self._twist(answer) for answer in answers]

    def _twist(self, answer: peer_pb2.FetchResponse) -> peer_pb2.FetchResponse:
        random = self.mouth.random
        twisted = peer_pb2.FetchResponse()
        twisted.CopyFrom(answer)
        match answer.WhichOneof("what"):
            case "block" if random.randrange(2):
                twisted.block.header = make_twin(parse_header(answer.block.header)).raw
            case "block":
                twisted.block.entry_hashes.append(random.randbytes(32))
            case "certificate":
                held = answer.certificate
                forged = self.mouth.forge(m.VoteKind(held.kind), View(held.view), held.digest)
                twisted.certificate.CopyFrom(encode_certificate(forged))
            case "finalization":
                twisted.finalization.header = make_twin(parse_header(answer.finalization.header)).raw
            case "view":
                twisted.view.view = random.choice([0, answer.view.view + 50, 2**62])
            case "entries":
                twisted.entries.entries[:] = [random.randbytes(20) for _ in answer.entries.entries]
            case "headers" if random.randrange(2):  # who never tells the truth is never asked for bodies
                self._twist_header(random.choice(twisted.headers.headers))
            case "final_block" if answer.final_block.entries and random.randrange(2):
                twisted.final_block.entries[:] = [random.randbytes(20) for _ in answer.final_block.entries]
            case "final_block":
                twisted.final_block.seal = random.randbytes(48)
        return twisted

    def _twist_header(self, sealed: peer_pb2.Finalization) -> None:
        if self.mouth.random.randrange(2):
            sealed.header, sealed.seal = make_twin(parse_header(sealed.header)).raw, NO_SEAL
        else:
            sealed.seal = self.mouth.random.randbytes(48)
