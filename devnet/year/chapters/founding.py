"""Nations register their labs, each with its cluster's capacity in public."""

from collections.abc import Mapping

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.cast import LABS, LabRole, make_key
from ledger.statements.registry import LabKey, Registration, encode_registration


def write_founding() -> Chapter:
    """Eight labs, each signed for by its nation and by itself."""
    at = Moment(0, 150)
    acts = [
        Act(
            at,
            lab.nation,
            _register(lab),
            tells=f"{lab.nation.capitalize()} registers {lab.name}: {lab.fact.chips_count} {lab.fact.chip}",
            cosigners=(lab.id,),
        )
        for lab in LABS
    ]
    return Chapter("founding", tuple(acts))


def _register(lab: LabRole) -> Write:
    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_registration(
            Registration(
                **header,
                lab=lab.id,
                name=lab.name,
                keys=(LabKey(make_key(lab.id).public_key, "active"),),
                next_key_sha256=lab.next_key_sha256,
                clusters=(lab.registered_cluster,),
            )
        )

    return write
