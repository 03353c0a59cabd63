"""What statements about pauses and decisions say, and what none of them may say."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger.disclosure import check_disclosures, commit_fields
from ledger.errors import FormatError
from ledger.limits import CAPS_MAX, FROZEN_DIGESTS_MAX, FROZEN_RUNS_MAX, MEMBERS_MAX
from ledger.positions import Interval, LeafIndex, Millis, Seconds, Sequence
from ledger.statements.committee import (
    Approval,
    ExtendPause,
    LiftPause,
    Proposal,
    Resolution,
    compute_change_digest,
    encode_approval,
    encode_proposal,
    parse_approval,
    parse_proposal,
)
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import Corrects
from ledger.statements.pauses import (
    Activation,
    Cap,
    Condition,
    HiddenRunState,
    InFlightRun,
    LabPledge,
    PauseAccession,
    PauseEvent,
    PauseFreeze,
    PauseProposal,
    PauseStep,
    Terms,
    compute_terms_digest,
    encode_hidden_run_state,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_event,
    encode_pause_freeze,
    encode_pause_proposal,
    make_limit_id,
    parse_hidden_run_state,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_event,
    parse_pause_freeze,
    parse_pause_proposal,
)
from tests.ledger.rulebook import Key

HEADER: dict[str, Any] = {  # each field of its own type
    "ledger": "ab" * 32,
    "issuer": "france",
    "sequence": Sequence(4),
    "previous": "cd" * 32,
    "issued_at": Seconds(1_800_000_000),
    "corrects": None,
}
TERMS = Terms(
    title="Training above 10^25, paused",
    scope=(
        Cap(quantity="training_pflop_per_interval", maximum=10**7),
        Cap(quantity="training_pflop_per_run", maximum="9223372036854775807"),
    ),
    first_interval=Interval(30),
    interval_count=180,
    lapses=Interval(60),
    activation=Activation(nations_min=3, nations=("brazil", "france"), capacity_permille_min=600),
    lift="When evaluations of autonomy exist that the members agreed on.",
)
PROPOSED = PauseProposal(**HEADER, pause="spring", terms=TERMS)
DIGEST = compute_terms_digest(TERMS)
ACCESSION = PauseAccession(
    **HEADER,
    pause="spring",
    terms=DIGEST,
    joins=Condition(nations=("brazil", "kenya"), nations_min=4, lapses=Interval(40)),
)
PLEDGE = LabPledge(**HEADER, pause="spring", terms=DIGEST)
RUN = InFlightRun(run="r1", checkpoint="ef" * 32, band=24, digests=(f"{1:042d}A", f"{2:042d}A"))
FREEZE = PauseFreeze(
    **HEADER, pause="spring", terms=DIGEST, runs=(RUN, msgspec.structs.replace(RUN, run="r2", digests=()))
)
EVENT = PauseEvent(
    ledger="ab" * 32,
    pause="spring",
    terms=DIGEST,
    event=PauseStep.ACTIVATED,
    interval=Interval(31),
    until=Interval(211),
    nations=("brazil", "france", "kenya"),
    pledge_count=2,
    cause=LeafIndex(77),
    time_ms=Millis(1_800_000_000_123),
)
CHANGE = ExtendPause(pause="spring", until=Interval(400))
MOTION = Proposal(**HEADER, proposal="longer", change=CHANGE)
VOTE = Approval(**HEADER, proposal="longer", change=compute_change_digest(CHANGE), approves=True)


@pytest.mark.parametrize(
    ("made", "encode", "parse", "name", "digest"),
    [
        (PROPOSED, encode_pause_proposal, parse_pause_proposal, "pause/spring", DIGEST),
        (ACCESSION, encode_pause_accession, parse_pause_accession, "pause/spring/france", DIGEST),
        (PLEDGE, encode_lab_pledge, parse_lab_pledge, "pause/spring/france", DIGEST),
        (FREEZE, encode_pause_freeze, parse_pause_freeze, "pause/spring/france/freeze", DIGEST),
        (MOTION, encode_proposal, parse_proposal, "proposal/longer", VOTE.change),
        (VOTE, encode_approval, parse_approval, "proposal/longer/france", VOTE.change),
    ],
)
def test_a_statement_reads_back_and_is_about_what_it_names(
    made: Any,  # each kind's own predicate
    encode: Callable[[Any], bytes],
    parse: Callable[[bytes], Any],
    name: str,
    digest: str,
) -> None:
    statement = parse(encode(made))
    assert statement.predicate == made
    assert (statement.subject.name, statement.subject.digest.sha256) == (name, digest)
    with pytest.raises(FormatError, match="corrects"):
        encode(msgspec.structs.replace(made, corrects=Corrects("cd" * 32, "typo")))
    with pytest.raises(FormatError):
        parse(encode(made).replace(b'"france"', b'"France"'))


def test_an_event_reads_back_sorted_and_is_about_its_pause() -> None:
    raw = encode_pause_event(EVENT)
    assert parse_pause_event(raw) == EVENT
    assert json.loads(raw)["subject"][0]["name"] == "pause/spring/activated/31"
    assert raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode()
    for found, other in ((b'"interval":31', b'"interval":32'), (b"activated", b"abandoned"), (b"brazil", b"nepal")):
        with pytest.raises(FormatError):
            parse_pause_event(raw.replace(found, other, 1))


def test_digests_are_over_what_stands_in_the_predicate() -> None:
    for raw, key, digest in (
        (encode_pause_proposal(PROPOSED), b'"terms":', DIGEST),
        (encode_proposal(MOTION), b'"change":', VOTE.change),
    ):
        inner = raw[raw.index(key) + len(key) : -2]
        assert json.loads(inner)
        assert hashlib.sha256(inner).hexdigest() == digest


def test_changes_are_told_apart_by_their_kind() -> None:
    changes = (LiftPause(pause="spring"), CHANGE, Resolution(text="Noted.", digest="00" * 32))
    raws = [encode_proposal(msgspec.structs.replace(MOTION, change=change)) for change in changes]
    kinds = [json.loads(raw)["predicate"]["change"]["kind"] for raw in raws]
    assert kinds == ["lift-pause", "extend-pause", "resolution"]
    with pytest.raises(FormatError):
        parse_proposal(raws[1].replace(b"extend-pause", b"shorten-pause"))
    with pytest.raises(FormatError):
        parse_proposal(raws[0].replace(b'"kind":"lift-pause",', b""))
    with pytest.raises(FormatError):
        parse_proposal(
            raws[0].replace(b'"kind":"lift-pause","pause":"spring"', b'"pause":"spring","kind":"lift-pause"')
        )


def refuses(encode: Callable[[Any], bytes], made: Any, **changes: object) -> bool:
    with pytest.raises(FormatError):
        encode(msgspec.structs.replace(made, **changes))
    return True


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("no cap", {"scope": ()}),
        ("a quantity twice", {"scope": (TERMS.scope[0],) * 2}),
        ("quantities out of order", {"scope": TERMS.scope[::-1]}),
        ("a quantity with a capital", {"scope": (Cap(quantity="Energy", maximum=1),)}),
        ("a maximum in the wrong spelling", {"scope": (Cap(quantity="energy", maximum="9007199254740992"),)}),
        ("a cap too many", {"scope": tuple(Cap(quantity=f"q{n:02}", maximum=1) for n in range(CAPS_MAX + 1))}),
        ("no interval", {"interval_count": 0}),
        ("no title", {"title": ""}),
        ("a title of two lines", {"title": "a\nb"}),
        ("no word on lifting", {"lift": ""}),
        ("nobody", {"activation": Activation(nations_min=0, nations=(), capacity_permille_min=0)}),
        ("a nation twice", {"activation": Activation(nations_min=1, nations=("a", "a"), capacity_permille_min=0)}),
        ("more than all", {"activation": Activation(nations_min=1, nations=(), capacity_permille_min=1001)}),
        ("too many", {"activation": Activation(nations_min=MEMBERS_MAX + 1, nations=(), capacity_permille_min=0)}),
    ],
)
def test_terms_that_contradict_themselves_are_refused(what: str, changes: dict[str, object]) -> None:
    assert refuses(encode_pause_proposal, PROPOSED, terms=msgspec.structs.replace(TERMS, **changes))


def test_other_statements_that_contradict_themselves_are_refused() -> None:
    assert refuses(encode_pause_proposal, PROPOSED, pause="x" * 33)
    unsorted = Condition(nations=("kenya", "brazil"), nations_min=0, lapses=Interval(1))
    assert refuses(encode_pause_accession, ACCESSION, joins=unsorted)
    assert refuses(encode_lab_pledge, PLEDGE, terms="ab")
    for runs in (
        (),
        (RUN, RUN),
        FREEZE.runs[::-1],
        (msgspec.structs.replace(RUN, digests=RUN.digests[::-1]),),
        (msgspec.structs.replace(RUN, digests=(f"{1:042d}B",)),),
        (RUN, msgspec.structs.replace(RUN, run="r2")),
        tuple(msgspec.structs.replace(RUN, run=f"r{n:03}", digests=()) for n in range(FROZEN_RUNS_MAX + 1)),
    ):
        assert refuses(encode_pause_freeze, FREEZE, runs=runs)
    assert refuses(encode_proposal, MOTION, change=ExtendPause(pause="spring", until=Interval(0)))
    assert refuses(encode_proposal, MOTION, change=Resolution(text="", digest="00" * 32))
    assert refuses(encode_approval, VOTE, approves=1)


def test_the_longest_freeze_fits_an_entry() -> None:
    runs = tuple(
        InFlightRun(
            run=f"{number:064d}",
            checkpoint="ef" * 32,
            band=40,
            digests=tuple(f"{FROZEN_DIGESTS_MAX * number + each:042d}A" for each in range(FROZEN_DIGESTS_MAX)),
        )
        for number in range(FROZEN_RUNS_MAX)
    )
    made = msgspec.structs.replace(FREEZE, issuer="x" * 64, pause="p" * 32, runs=runs)
    sign_envelope(encode_pause_freeze(made), [Key("lab").signer])


def test_a_limit_is_named_after_its_pause_and_is_an_id() -> None:
    assert make_limit_id("spring") == "pause-spring"
    assert len(make_limit_id("x" * 32)) <= 64


def test_the_state_of_a_frozen_run_commits_and_opens() -> None:
    hidden = HiddenRunState(run_pflop=10**9, cumulative_pflop="9007199254740993", checkpoint_bytes=0)
    values = encode_hidden_run_state(hidden)
    committed = commit_fields(values, salts=[bytes([number]) * 16 for number in range(len(values))])
    run = msgspec.structs.replace(RUN, digests=committed.digests)
    encode_pause_freeze(msgspec.structs.replace(FREEZE, runs=(run,)))
    opened = check_disclosures(run.digests, list(committed.disclosures.values()))
    assert parse_hidden_run_state({disclosure.name: disclosure.value for disclosure in opened}) == hidden
    for changes in ({"run_pflop": -1}, {"cumulative_pflop": "5"}, {"checkpoint_bytes": None}, {"loss": 1}):
        with pytest.raises(FormatError):
            parse_hidden_run_state({**values, **changes})
