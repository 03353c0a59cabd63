"""The witness protocol as bytes and decisions: known answers, every status, and what no reader may take."""

import json
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import domains
from ledger.checkpoints import Checkpoint
from ledger.encoding import decode_base64, encode_base64
from ledger.errors import FormatError, LedgerError, PolicyError, SignatureError
from ledger.limits import WITNESS_REQUEST_BYTES_MAX
from ledger.merkle import EMPTY_ROOT
from ledger.notes import Note, SignatureLine, VerifierKey, compute_verifier_key, encode_note, encode_vkey
from ledger.policy import KnownKeys
from ledger.positions import Seconds, TreeSize
from ledger.witnessing import (
    CLOCK_AHEAD_MAX_S,
    AddCheckpoint,
    Refused,
    Status,
    decide,
    encode_add_checkpoint,
    encode_lines,
    encode_size,
    is_fork,
    parse_add_checkpoint,
    parse_head,
    parse_lines,
    parse_size,
    refuse_malformed,
    verify_cosignature,
    verify_submission,
)
from tests.ledger.sealing import SmallLedger
from tests.tlog.foreignlog import NOW, Branch, ForeignLog, checkpoint_of, seed
from tlog.witness_key import WitnessKey

KNOWN = json.loads((Path(__file__).parents[1] / "vectors" / "witness.json").read_text(encoding="utf-8"))
LOG = ForeignLog()
FORK = Branch("fork", 3)


def known_of(*keys: VerifierKey) -> KnownKeys:
    return MappingProxyType({(key.name, key.key_id): key for key in keys})


def answer(raw: bytes, known: KnownKeys | None, latest: Checkpoint | None) -> Checkpoint | Refused:
    """What a witness decides, from body to status."""
    try:
        request = parse_add_checkpoint(raw)
    except FormatError as error:
        return refuse_malformed(error)
    checkpoint = verify_submission(request, known)
    if isinstance(checkpoint, Refused):
        return checkpoint
    return decide(request, checkpoint, latest) or checkpoint


def status(raw: bytes, latest: Checkpoint | None = None, *, known: KnownKeys | None = None) -> int:
    decided = answer(raw, known_of(LOG.key) if known is None else known, latest)
    return decided.status if isinstance(decided, Refused) else Status.COSIGNED


# -- known answers ----------------------------------------------------------------------------------------------------


def test_the_conformance_script_of_litewitness_is_answered_as_it_demands() -> None:
    script = KNOWN["litewitness"]
    origin = script["origin"]
    key = compute_verifier_key(origin, domains.NOTE_ED25519, bytes.fromhex(script["log_public_key_hex"]))
    latest = None
    for step in script["steps"]:
        hashes = "".join(f"{line}\n" for line in step["proof"])
        raw = (
            f"old {step['old']}\n{hashes}\n{origin}\n{step['size']}\n{step['root']}\n\n\u2014 {origin} {step['blob']}\n"
        )
        decided = answer(raw.encode(), known_of(key), latest)
        if isinstance(decided, Refused):
            assert (decided.status, decided.held) == (step["status"], step.get("held")), step["about"]
        else:
            assert step["status"] == 200, step["about"]
            latest = decided


def test_growths_are_answered_as_sigsum_expects() -> None:
    latest = None
    for step in KNOWN["sigsum"]["steps"]:
        decided = answer(LOG.body(step["old"], step["size"]), known_of(LOG.key), latest)
        if isinstance(decided, Refused):
            assert (decided.status, decided.held) == (step["status"], step["held"])
        else:
            assert step["status"] == 200
            latest = decided


def test_the_examples_of_the_specification_are_read_and_written_again() -> None:
    body = KNOWN["example"]["body"].encode()
    request = parse_add_checkpoint(body)
    assert (request.old_size, len(request.proof), len(request.note.signatures)) == (20_852_014, 4, 2)
    assert encode_add_checkpoint(request) == body
    lines = parse_lines(KNOWN["example"]["answer"].encode())
    assert [line.name for line in lines] == ["witness.example/w1", "witness.example/w1", "witness.example/w2"]
    assert encode_lines(lines) == KNOWN["example"]["answer"].encode()


def test_a_cosignature_is_the_one_that_other_implementations_verified() -> None:
    """`tests/vectors/checkpoints.json`: the line of nation-aa over five leaves, at a time of 1760000000."""
    blob = "E84zqgAAAABo53gA6e8ht1JQN9iD7Vp7zNJM5x9wyHbnKOi+i5ly/K2atsC0AmHE8SWDTtTS9ay5hig33kSHGymyJmQsjBPiWWCLBg=="
    root = "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ="
    key = WitnessKey("nation-aa.counterseal.example", seed("nation-aa.counterseal.example"))
    line = key.cosign(f"ledger.counterseal.example/2026\n5\n{root}\n", time_s=Seconds(1_760_000_000))
    assert encode_base64(line.key_id + line.signature) == blob
    assert encode_vkey(key.verifier) == (
        "nation-aa.counterseal.example+13ce33aa+BPqQUVrUmGXDtKDnKLjOKEmgAidwIh/FNFNWnHkkxIrx"
    )


# -- every status -----------------------------------------------------------------------------------------------------


def test_a_first_checkpoint_a_growth_and_the_same_again_are_cosigned() -> None:
    assert status(LOG.body(0, 5)) == 200
    assert status(LOG.body(5, 9), checkpoint_of(LOG, 5)) == 200
    assert status(LOG.body(9, 9), checkpoint_of(LOG, 9)) == 200
    assert status(LOG.body(0, 0)) == 200
    assert status(LOG.body(0, 4), checkpoint_of(LOG, 0)) == 200


def test_an_unknown_log_is_404_whatever_else_is_wrong() -> None:
    decided = answer(LOG.body(9, 5), None, None)
    assert isinstance(decided, Refused)
    assert decided.status == 404


def test_a_checkpoint_that_no_configured_key_signed_is_403_even_with_an_old_size_above_its_own() -> None:
    stranger = ForeignLog("elsewhere.example")
    note = stranger.sign(LOG.text(5))
    assert status(encode_add_checkpoint(AddCheckpoint(TreeSize(9), (), note))) == 403


def test_a_line_of_a_configured_key_that_does_not_verify_is_403_beside_one_that_does() -> None:
    second = ForeignLog("second.example", key_name=LOG.origin)
    text = LOG.text(5)
    false = SignatureLine(second.key.name, second.key.key_id, bytes(64))
    note = Note(text, (*LOG.sign(text).signatures, false))
    body = encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), note))
    assert status(body, known=known_of(LOG.key, second.key)) == 403
    assert status(body, known=known_of(LOG.key)) == 200  # an unknown key's line is passed over


def test_any_one_of_a_logs_keys_is_enough() -> None:
    second = ForeignLog("second.example", key_name=LOG.origin)
    assert status(LOG.body(0, 5), known=known_of(LOG.key, second.key)) == 200


def test_an_old_size_above_the_new_one_is_400() -> None:
    assert status(LOG.body(9, 5), checkpoint_of(LOG, 9)) == 400


@pytest.mark.parametrize(("held", "old"), [(0, 3), (5, 0), (5, 4), (9, 5)])
def test_another_old_size_is_409_with_the_size_held(held: int, old: int) -> None:
    decided = answer(LOG.body(old, 9), known_of(LOG.key), checkpoint_of(LOG, held) if held else None)
    assert isinstance(decided, Refused)
    assert (decided.status, decided.held) == (409, held)


def test_a_conflict_comes_before_a_bad_proof() -> None:
    assert status(LOG.body(4, 9, proof=[]), checkpoint_of(LOG, 5)) == 409


@pytest.mark.parametrize(
    "proof",
    [[], [bytes(32)], [*Branch().prove(5, 9), bytes(32)], Branch().prove(5, 9)[:-1], Branch().prove(4, 9)],
    ids=["none", "zeros", "longer", "shorter", "another"],
)
def test_a_bad_proof_is_422(proof: list[bytes]) -> None:
    assert status(LOG.body(5, 9, proof=proof), checkpoint_of(LOG, 5)) == 422


def test_a_history_that_parted_is_422_with_its_own_right_proof() -> None:
    assert status(LOG.body(5, 9, FORK), checkpoint_of(LOG, 5)) == 422
    assert status(LOG.body(3, 9, FORK), checkpoint_of(LOG, 3)) == 200  # it had not parted there


def test_the_same_size_under_another_root_is_422_and_a_fork() -> None:
    held = checkpoint_of(LOG, 5)
    assert status(LOG.body(5, 5, FORK), held) == 422
    assert is_fork(checkpoint_of(LOG, 5, FORK), held)
    assert not is_fork(held, held)
    assert not is_fork(checkpoint_of(LOG, 6, FORK), held)
    assert not is_fork(held, None)


def test_a_proof_where_none_is_needed_is_422() -> None:
    assert status(LOG.body(0, 5, proof=[bytes(32)])) == 422
    assert status(LOG.body(5, 5, proof=[bytes(32)]), checkpoint_of(LOG, 5)) == 422


def test_size_0_under_another_root_than_the_empty_trees_is_422() -> None:
    text = f"{LOG.origin}\n0\n{encode_base64(bytes(32))}\n"
    assert bytes(32) != EMPTY_ROOT
    assert status(encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), LOG.sign(text)))) == 422


MALFORMED = {
    "nothing": b"",
    "no empty line": b"old 0\n",
    "no old size": LOG.body(0, 5).removeprefix(b"old 0\n"),
    "a leading zero": LOG.body(0, 5).replace(b"old 0", b"old 00", 1),
    "two spaces": LOG.body(0, 5).replace(b"old 0", b"old  0", 1),
    "a sign": LOG.body(0, 5).replace(b"old 0", b"old +0", 1),
    "carriage returns": LOG.body(0, 5).replace(b"\n", b"\r\n"),
    "a size above 2**63 - 1": LOG.body(0, 5).replace(b"old 0", b"old 9223372036854775808", 1),
    "a short hash": LOG.body(0, 5).replace(b"old 0\n", b"old 0\nQUJD\n", 1),
    "a hash that is no base64": LOG.body(0, 5).replace(b"old 0\n", b"old 0\n" + b"*" * 44 + b"\n", 1),
    "64 lines of proof": LOG.body(0, 5).replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n" * 64, 1),
    "a checkpoint without a root": LOG.body(0, 5).replace(encode_base64(Branch().root(5)).encode() + b"\n", b"", 1),
    "no signature": LOG.body(0, 5).partition("\u2014".encode())[0],
    "a signature twice": LOG.body(0, 5) + LOG.body(0, 5)[LOG.body(0, 5).index("\u2014".encode()) :],
    "no newline at the end": LOG.body(0, 5)[:-1],
    "larger than any": LOG.body(0, 5) + b"\n" * WITNESS_REQUEST_BYTES_MAX,
    "text that is none": LOG.body(0, 5).replace(b"log.example", b"log\xff.example"),
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_of_the_form_is_400(raw: bytes) -> None:
    assert status(raw) == 400


def test_63_lines_of_proof_are_read() -> None:
    assert len(parse_add_checkpoint(LOG.body(1, 5, proof=[bytes(32)] * 63)).proof) == 63


# -- foreign checkpoints ----------------------------------------------------------------------------------------------


def test_extension_lines_and_strange_origins_are_taken_of_foreign_logs() -> None:
    text = f"go.sum database tree\n5\n{encode_base64(Branch().root(5))}\nextension 1\nextension 2\n"
    head = parse_head(text)
    assert (head.checkpoint.origin, head.checkpoint.size, head.is_extended) == ("go.sum database tree", 5, True)
    assert status(encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), LOG.sign(text)))) == 200


@pytest.mark.parametrize(
    "text", ["", "\n", "a\n5\n", "a\n\n5\n", "a\n05\n" + "A" * 43 + "=\n", "a\n5\nAAAA\n", "a\n5\nx"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_head(text)


def test_the_seal_of_a_counterseal_ledger_is_its_signature() -> None:
    ledger = SmallLedger()
    key = compute_verifier_key(ledger.origin, domains.NOTE_SEAL, ledger.keys.group_key)
    note = ledger.cosigned_note()
    body = encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), note))
    assert status(body, known=known_of(key)) == 200
    unsealed = Note(note.text, tuple(line for line in note.signatures if line.key_id != key.key_id))
    assert status(encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), unsealed)), known=known_of(key)) == 403


def test_lines_that_a_seal_does_not_sign_are_not_cosigned_for_it() -> None:
    ledger = SmallLedger()
    key = compute_verifier_key(ledger.origin, domains.NOTE_SEAL, ledger.keys.group_key)
    note = ledger.note()
    body = encode_add_checkpoint(
        AddCheckpoint(TreeSize(0), (), Note(note.text + "added by anybody\n", note.signatures))
    )
    assert status(body, known=known_of(key)) == 403


def test_a_log_line_of_a_member_is_a_signature_too() -> None:
    ledger = SmallLedger()
    keys = [compute_verifier_key(ledger.origin, domains.NOTE_ED25519, raw) for raw in ledger.keys.log_keys]
    checkpoint = ledger.checkpoint()
    line = ledger.members[0].sign_log(checkpoint)
    note = Note(ledger.note().text, (line,))
    assert status(encode_add_checkpoint(AddCheckpoint(TreeSize(0), (), note)), known=known_of(*keys)) == 200


# -- answers ----------------------------------------------------------------------------------------------------------


WITNESS = WitnessKey("witness.example/w1", seed("w1"))
OTHER = WitnessKey("witness.example/w2", seed("w2"))
TEXT = LOG.text(5)


def test_the_line_by_the_configured_key_is_found_among_others() -> None:
    lines = [OTHER.cosign(TEXT, time_s=NOW), WITNESS.cosign(TEXT, time_s=NOW)]
    assert verify_cosignature(lines, key=WITNESS.verifier, text=TEXT, now_s=NOW) == lines[1]


def test_answers_without_a_line_of_use_are_refused() -> None:
    lines = [OTHER.cosign(TEXT, time_s=NOW)]
    with pytest.raises(PolicyError, match="no line by the witness's key"):
        verify_cosignature(lines, key=WITNESS.verifier, text=TEXT, now_s=NOW)
    with pytest.raises(SignatureError):
        verify_cosignature([WITNESS.cosign(LOG.text(6), time_s=NOW)], key=WITNESS.verifier, text=TEXT, now_s=NOW)
    twice = [WITNESS.cosign(TEXT, time_s=NOW), WITNESS.cosign(TEXT, time_s=Seconds(NOW + 1))]
    with pytest.raises(PolicyError, match="two lines"):
        verify_cosignature(twice, key=WITNESS.verifier, text=TEXT, now_s=NOW)


@pytest.mark.parametrize(("time_s", "is_taken"), [(0, False), (1, True), (NOW + CLOCK_AHEAD_MAX_S, True)])
def test_a_cosignature_says_when_and_not_in_the_future(time_s: int, *, is_taken: bool) -> None:
    for late, taken in ((0, is_taken), (1, is_taken and time_s <= NOW)):
        line = WITNESS.cosign(TEXT, time_s=Seconds(time_s + late if time_s > NOW else time_s))
        if taken:
            assert verify_cosignature([line], key=WITNESS.verifier, text=TEXT, now_s=NOW) == line
        else:
            with pytest.raises(PolicyError, match=r"answer\.time"):
                verify_cosignature([line], key=WITNESS.verifier, text=TEXT, now_s=NOW)


@pytest.mark.parametrize(
    "raw", [b"", b"5", b"05\n", b"5\n\n", b" 5\n", b"-1\n", b"9223372036854775808\n", "٤\n".encode()]
)
def test_a_conflict_without_a_size_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_size(raw)


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_size_is_read_as_it_was_written(size: int) -> None:
    assert parse_size(encode_size(TreeSize(size))) == size


@given(st.integers(min_value=0, max_value=12), st.integers(min_value=0, max_value=12))
def test_a_request_is_read_as_it_was_written(old: int, size: int) -> None:
    request = LOG.request(old, size)
    assert parse_add_checkpoint(encode_add_checkpoint(request)) == request


@given(st.data())
def test_no_change_of_a_byte_makes_a_request_cosigned_that_is_another(data: st.DataObject) -> None:
    raw = bytearray(LOG.body(5, 9))
    place = data.draw(st.integers(min_value=0, max_value=len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(min_value=0, max_value=7))
    try:
        request = parse_add_checkpoint(bytes(raw))
    except LedgerError:
        return
    checkpoint = verify_submission(request, known_of(LOG.key))
    if not isinstance(checkpoint, Refused):
        assert checkpoint == checkpoint_of(LOG, 9)
        assert decide(request, checkpoint, checkpoint_of(LOG, 5)) is not None  # the proof or the old size was changed


@pytest.mark.parametrize("raw", [b"", b"no line\n", encode_lines([WITNESS.cosign(TEXT, time_s=NOW)])[:-1], b"\xff\n"])
def test_answers_that_are_no_lines_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_lines(raw)


def test_answers_are_bounded() -> None:
    line = encode_lines([WITNESS.cosign(TEXT, time_s=NOW)])
    assert len(parse_lines(line * 16)) == 16
    with pytest.raises(FormatError, match="at most"):
        parse_lines(line * 17)
    with pytest.raises(FormatError, match="at most"):
        parse_lines(line[:-1] + b"A" * 20_000 + b"\n")


def test_a_note_that_is_stored_can_be_read_by_others() -> None:
    note = Note(TEXT, (*LOG.sign(TEXT).signatures, WITNESS.cosign(TEXT, time_s=NOW)))
    assert decode_base64(encode_note(note).decode().split("\n")[2], field="root") == Branch().root(5)
