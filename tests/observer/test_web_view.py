"""What is gathered, against the obvious way of doing the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FormatError, ProofError
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis
from ledger.sampling import Purpose
from ledger.statements.beacons import Sample, encode_sample
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.verdicts import STATES_BY_SEVERITY, Verdict, VerdictState
from observer.web.matrix import Matrix
from observer.web.parameters import Number, Word
from observer.web.register import Register
from observer.web.view import KINDS_MAX, UNKNOWN, View, read_line
from tests.ledger.inspecting import make_sample_answer
from tests.ledger.rulebook import Key
from tests.observer.fakeledger import FakeLedger

LEVELS = ("A0", "A1", "A2", "A3", "A4")

said = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(0, 6) | st.just(2**32 - 1),
    st.sampled_from(STATES_BY_SEVERITY),
    st.sampled_from(LEVELS),
)


def make_verdict(cluster: str, interval: int, state: VerdictState, level: str) -> Verdict:
    return Verdict(
        ledger=ZERO_HASH,
        lab="lab",
        nation="n",
        cluster=cluster,
        interval=Interval(interval),
        state=state,
        reasons=(),
        assurance=level,  # type: ignore[arg-type]  # one of the levels
        report=ZERO_HASH,
        time_ms=Millis(0),
        supersedes=ZERO_HASH,
    )


@given(st.lists(said, max_size=30))
def test_the_matrix_holds_the_newest_of_each_whatever_their_order(
    verdicts: list[tuple[str, int, VerdictState, str]],
) -> None:
    matrix, obvious = Matrix(), {}
    for index, (cluster, interval, state, level) in enumerate(verdicts):
        matrix.put(LeafIndex(index), make_verdict(cluster, interval, state, level))
        obvious[cluster, interval] = (index, state, level)
    for cluster in ("a", "b"):
        row = matrix.row("lab", cluster)
        for interval in (*range(7), 2**32 - 1):
            there = None if row is None else row.get(Interval(interval))
            expected = obvious.get((cluster, interval))
            assert (None if there is None else (there.index, there.state, there.assurance)) == expected
    states = [state for _, state, _ in obvious.values()]
    assert {state: count for state, count in matrix.counts.items() if count} == {
        state: states.count(state) for state in states
    }
    settled = [interval for (_, interval), (_, state, _) in obvious.items() if state != VerdictState.PENDING]
    assert matrix.settled() == max(settled, default=None)
    intervals = [interval for _, interval in obvious]
    assert (matrix.oldest, matrix.newest) == (min(intervals, default=None), max(intervals, default=None))


@pytest.fixture(scope="module")
def ledger() -> FakeLedger:
    ledger = FakeLedger()
    ledger.grow(4, labs=3)
    return ledger


@pytest.fixture(scope="module")
def view(ledger: FakeLedger) -> View:
    return feed(ledger)


def feed(ledger: FakeLedger) -> View:
    view = View(ledger.charter)
    for height, sealed in enumerate(ledger.chain):
        view.take(sealed, ledger.entries_of(height))
    return view


@given(
    kinds=st.none() | st.lists(st.sampled_from(["report", "verdict", "charter", "registration", "none"]), max_size=3),
    issuer=st.none() | st.sampled_from(["lab-0", "lab-1", "avalon", "nobody"]),
    before=st.none() | st.integers(0, 60) | st.just(2**63 - 1),
    limit=st.integers(1, 12),
)
def test_finding_is_the_same_as_looking_through_everything(
    ledger: FakeLedger, view: View, *, kinds: list[str] | None, issuer: str | None, before: int | None, limit: int
) -> None:
    lines = [read_line(entry) for entry in ledger.entries]
    matching = [
        index
        for index, line in enumerate(lines)
        if (kinds is None or line.kind in kinds) and (issuer is None or line.issuer == issuer)
    ]
    earlier = [index for index in reversed(matching) if before is None or index < before]
    found, count = view.find(kinds=kinds, issuer=issuer, before=before, limit=limit)
    assert (found, count) == (earlier[:limit], len(matching))


def test_every_entry_has_its_block_and_every_time_its_first_block(ledger: FakeLedger, view: View) -> None:
    for sealed in ledger.chain:
        header = sealed.header
        for index in range(header.first_index, header.tree_size):
            assert view.height_of(LeafIndex(index)) == header.height
            assert view.time_of_entry(LeafIndex(index)) == header.time_ms
        first = next(each.header.height for each in ledger.chain if each.header.time_ms >= header.time_ms)
        assert view.first_since(header.time_ms) == first
    assert view.first_since(2**63 - 1) == len(ledger.chain)
    assert view.first_since(-5) == 0


def test_blocks_that_do_not_follow_are_not_taken(ledger: FakeLedger) -> None:
    view = View(ledger.charter)
    with pytest.raises(ProofError, match=r"blocks\[0\]"):
        view.take(ledger.chain[1], ledger.entries_of(1))
    view.take(ledger.chain[0], ledger.entries_of(0))
    with pytest.raises(ProofError, match="header"):
        view.take(ledger.chain[2], ledger.entries_of(2))
    with pytest.raises(ProofError, match="tree_size"):
        view.take(ledger.chain[1], [])
    assert view.header == ledger.chain[0].header
    view.take(ledger.chain[1], ledger.entries_of(1))


def test_what_a_quorum_could_make_up_breaks_nothing_and_fills_no_memory() -> None:
    """A copy holds whatever was sealed; that the rules allow it is what an audit checks."""
    ledger = FakeLedger()
    head = b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x"}],'
    statement = head + b'"predicateType":"urn:counterseal:%s:v1","predicate":%s}'
    bodies = [statement % (b"kind-%d" % number, b"{}") for number in range(KINDS_MAX + 40)]
    bodies += [statement % (kind, b'{"issuer":"x"}') for kind in (b"registration", b"pause-proposal", b"misconduct")]
    bodies += [statement % (b"report", predicate) for predicate in (b"[]", b"null", b'{"issuer":7}', b'{"issuer":""}')]
    entries = [sign_envelope(body, [Key("x").signer]) for body in bodies]
    entries += [statement % (b"verdict", b"{}"), b"\xff\xfe", b"{", b"[" * 3000, b'{"_type":1}', b'{"payload":"!"}']
    ledger.extend(Millis(ledger.chain[-1].header.time_ms + 1), entries)
    view = feed(ledger)
    kinds = view.kinds()
    assert len(kinds) <= KINDS_MAX
    assert kinds[UNKNOWN] >= 40
    assert sum(kinds.values()) == len(ledger.entries)
    assert view.register.malformed_count == 4
    assert view.matrix.counts.total() == 0


def test_samples_wait_until_their_own_lab_answers_them() -> None:
    ledger = FakeLedger()
    ledger.register(-50, "acme", ["a1", "a2"])
    register = Register(())
    samples = [
        Sample(
            ledger=ledger.ledger,
            round=BeaconRound(3),
            purpose=Purpose.SPOT,
            lab="acme",
            cluster=cluster,
            interval=Interval(0),
            block=ZERO_HASH,
            inventory=ZERO_HASH,
            population=5,
            count=1,
            seed=ZERO_HASH,
            indices=(LeafIndex(2),),
            time_ms=Millis(1000),
            answer_by_ms=Millis(61_000),
        )
        for cluster in ("a1", "a2")
    ]
    for index, sample in enumerate(samples):
        register.take("sample", LeafIndex(index), Millis(1000), encode_sample(sample))
    assert [each.time_ms + each.window_ms for each in register.samples.values()] == [61_000, 61_000]
    register.take("sample-answer", LeafIndex(9), Millis(2000), make_sample_answer(ledger, 3, 1))
    assert [each.about for each in register.samples.values()] == ["acme/a2, round 3"]


def test_a_clock_that_stands_still_for_long_is_an_outage_as_the_rules_have_it() -> None:
    ledger = FakeLedger()
    ledger.block(0)
    ledger.block(1000)
    ledger.block(1001)
    assert [(outage.start_ms, outage.end_ms) for outage in feed(ledger).outages] == [
        (ledger.chain[1].header.time_ms, ledger.chain[2].header.time_ms)
    ]


@given(st.text(max_size=30))
def test_a_number_has_one_spelling(text: str) -> None:
    number = Number(name="n", summary="", minimum=1, maximum=500)
    try:
        parsed = number.parse(text)
    except FormatError:
        return
    assert str(parsed) == text
    assert 1 <= parsed <= 500


@given(st.text(alphabet="aZ0-_.\n/", max_size=70))
def test_a_word_is_the_whole_of_its_pattern(text: str) -> None:
    try:
        parsed = Word(name="w", summary="").parse(text)
    except FormatError:
        return
    assert parsed == text
    assert 0 < len(text) <= 64
    assert {*text} <= {*"a0-"}
