"""Fuzz targets of `ledger`: what nodes, labs and observers read from bytes of strangers."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from ledger import checkpoints, encoding, notes, tiles
from ledger.blocks import encode_header_bundle, parse_header, parse_header_bundle
from ledger.charter import encode_charter_payload, parse_charter, parse_charter_payload
from ledger.disclosure import check_disclosures, compute_digest, encode_disclosure, parse_disclosure
from ledger.domains import KEYSTORE
from ledger.encoding import encode_base64, encode_base64url
from ledger.errors import FormatError
from ledger.forks import Fork, encode_fork, parse_fork, verify_fork
from ledger.limits import HASH_BYTES, SEAL_BYTES, SIGNATURE_BYTES
from ledger.merkle import parse_frontier
from ledger.openings import encode_openings, encode_sample_openings, parse_openings, parse_sample_openings
from ledger.positions import LeafIndex
from ledger.receipts import encode_receipt, parse_receipt
from ledger.rules.entries import prepare_entry
from ledger.rules.record import encode_record
from ledger.rules.records.runs import REVIEWS, RUNS
from ledger.rules.records.standings import STANDINGS, Fault, Standing
from ledger.rules.tables import TABLES
from ledger.sealedfile import decrypt_file, encrypt_file
from ledger.statements.committee import encode_approval, encode_proposal, parse_approval, parse_proposal
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import encode_envelope, parse_envelope, sign_envelope
from ledger.statements.intoto import encode_quantity, parse_quantity
from ledger.statements.inventories import (
    encode_hidden_inventory,
    encode_hidden_transfer,
    encode_inventory,
    encode_terms,
    encode_transfer,
    parse_hidden_inventory,
    parse_hidden_transfer,
    parse_inventory,
    parse_terms,
    parse_transfer,
)
from ledger.statements.misconduct import (
    MisconductReport,
    encode_evidence_file,
    encode_misconduct,
    parse_evidence_file,
    parse_misconduct,
)
from ledger.statements.notices import (
    encode_enforcement,
    encode_hidden_incident,
    encode_incident,
    encode_observation,
    parse_enforcement,
    parse_hidden_incident,
    parse_incident,
    parse_observation,
)
from ledger.statements.pauses import (
    PAUSE_EVENT,
    HiddenRunState,
    encode_hidden_run_state,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_event,
    encode_pause_freeze,
    encode_pause_proposal,
    parse_hidden_run_state,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_event,
    parse_pause_freeze,
    parse_pause_proposal,
)
from ledger.statements.registry import encode_registration, parse_registration
from ledger.statements.reports import (
    encode_correction,
    encode_hidden_fields,
    encode_report,
    parse_correction,
    parse_hidden_field,
    parse_hidden_fields,
    parse_report,
)
from ledger.statements.runs import (
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_review_fields,
    encode_run_decision,
    encode_run_fields,
    encode_training_run,
    parse_release_notice,
    parse_release_review,
    parse_review_event,
    parse_review_fields,
    parse_run_decision,
    parse_run_fields,
    parse_training_run,
)
from ledger.statements.verdicts import VERDICT, encode_verdict, parse_verdict
from ledger.threshold.arkworks import ArkworksBackend
from ledger.threshold.polynomials import decode_commitments, encode_secret_scalar, parse_secret_scalar
from ledger.threshold.transcripts import encode_transcript, parse_transcript
from ledger.verify import encode_certificate, parse_certificate, verify_certificate, verify_misconduct
from ledger.votes import Misconduct
from tests.formats import entries, faults, inspections, inventories, members, pauses, runs, trees
from tests.formats.draws import Draw
from tests.fuzz.target import Target, drawn, same, text_of

_ARKWORKS = ArkworksBackend()


def _json(raw: bytes) -> Any:  # whatever JSON holds
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise FormatError(field="fuzz", found="other bytes", expected="JSON") from None


def _payload(
    parse: Callable[[bytes], Any],  # each kind's own statement
    encode: Callable[[Any], bytes],
    make: Callable[[Draw], bytes],
    parser: str,
    *,
    count: int = 4,
) -> Target:
    """Target for the payload of one kind of statement; the fuzzer's bytes are tried as they are, and in an envelope."""

    def read(raw: bytes) -> None:
        same(encode(parse(raw).predicate), raw)
        entry = prepare_entry(sign_envelope(raw, [Draw("fuzz").signer().pair]))
        assert entry.find_kind()
        entry.parse_as(parse)

    return Target(read, drawn(make, count), (parser,))


def _misconduct_payloads() -> list[bytes]:
    made = []
    for number in range(2):
        draw = Draw(f"fuzz {number}")
        for kind in Misconduct:
            report = MisconductReport(**entries.header(draw), evidence=faults.make_evidence(draw, kind))  # type: ignore[arg-type]  # each of its own type
            made.append(encode_misconduct(report))
    return made


def _evidence_files() -> list[bytes]:
    return [line for number in range(2) for line in faults.evidence_file(Draw(f"fuzz {number}")).split(b"\n")]


def _read_evidence_file(raw: bytes) -> None:
    file = parse_evidence_file(raw)
    same(encode_evidence_file(file), raw)
    if file.evidence.header is not None:
        file.evidence.parse_header()
    verify_misconduct(raw, charter_fingerprint=None)


def _read_charter(raw: bytes) -> None:
    """As if every signature were right, so that it gets past them."""
    charter = parse_charter(raw, is_signature=lambda *_: True)
    same(charter.entry, raw)
    assert charter.quorum <= len(charter.members)


def _read_charter_payload(raw: bytes) -> None:
    charter = parse_charter_payload(raw).predicate
    again = encode_charter_payload(
        origin=charter.origin,
        title=charter.title,
        members=charter.members,
        grid=charter.grid,
        limits=charter.limits,
        accelerators=charter.accelerators,
        consensus=charter.consensus,
        group_key=charter.group_key,
        commitments=charter.commitments,
        transcript=charter.transcript,
        founded_at_ms=charter.founded_at_ms,
    )
    same(again, raw)


def _charter_payloads() -> list[bytes]:
    return [parse_envelope(entries.charter(Draw(f"fuzz {number}"))).payload for number in range(4)]


def _read_note(raw: bytes) -> None:
    note = notes.parse_note(raw)
    same(notes.encode_note(note), raw)
    for line in note.signatures:
        checkpoints_of_line(line.signature)
    checkpoint = checkpoints.parse_checkpoint(note.text)
    same(checkpoints.encode_checkpoint(checkpoint), note.text)


def checkpoints_of_line(signature: bytes) -> None:
    """Read the parts of a signature line as each of the kinds it may be; it is often none of them."""
    for size in (SIGNATURE_BYTES, 2_420):
        try:
            cosignature = checkpoints.parse_cosignature(signature, signature_bytes=size)
        except FormatError:
            continue
        same(checkpoints.encode_cosignature(cosignature.time_s, cosignature.signature), signature)


def _read_signature_line(raw: bytes) -> None:
    line = notes.parse_signature_line(text_of(raw))
    encoded = base64.b64encode(line.key_id + line.signature).decode()
    same(f"\u2014 {line.name} {encoded}", raw.decode())


def _signature_lines() -> list[bytes]:
    return [line for raw in drawn(trees.note)() for line in raw.split(b"\n\n")[1].split(b"\n") if line]


_PATHS: Sequence[tuple[Callable[[str], Any], Callable[[Any], str]]] = (  # of tiles, of bundles
    (tiles.parse_tile_path, tiles.tile_path),
    (tiles.parse_bundle_path, lambda place: tiles.bundle_path(place.index, place.width)),
    (tiles.parse_headers_path, lambda place: tiles.headers_path(place.index, place.width)),
)


def _read_path(raw: bytes) -> None:
    """At most one of the three kinds of paths takes a text, and writes it as it was."""
    text, taken = text_of(raw), 0
    for parse, encode in _PATHS:
        try:
            place = parse(text)
        except FormatError:
            continue
        taken += 1
        same(encode(place), text)
    if taken != 1:
        assert not taken
        raise FormatError(field="fuzz", found="no path", expected="a path")


def _read_bundle(raw: bytes) -> None:
    """The first byte says how many entries to expect."""
    count, rest = 1 + (raw[0] if raw else 0), raw[1:]
    same(tiles.encode_bundle(tiles.parse_bundle(rest, count=count)), rest)


def _bundles() -> list[bytes]:
    made = [[draw.some_raw(0, 90) for _ in range(count)] for count, draw in ((1, Draw("1")), (3, Draw("3")))]
    return [bytes((len(each) - 1,)) + tiles.encode_bundle(each) for each in made]


def _read_tile(raw: bytes) -> None:
    width = min(256, max(1, len(raw) // HASH_BYTES))
    same(tiles.encode_tile(tiles.parse_tile(raw, width=width)), raw)


def _read_record(raw: bytes) -> None:
    """The first byte says of which table."""
    if not raw or raw[0] not in TABLES:
        raise FormatError(field="fuzz", found="no table", expected="a table's letter")
    same(encode_record(TABLES[raw[0]].decode(raw[1:])), raw[1:])


def _state_lines() -> list[bytes]:
    lines = []
    for number in range(4):
        draw = Draw(f"fuzz {number}")
        made = trees.make_state(draw)
        STANDINGS.put(made, Standing((Fault(Misconduct.WRONG_SHARE, LeafIndex(number)),)))
        RUNS.put(made, runs.make_run(draw))
        REVIEWS.put(made, runs.make_review(draw))
        lines += [key[:1] + value for key, value in made.items()]
        lines += [key[:1] + value for key, value in pauses.make_state(draw).items()]
    return lines


def _read_hidden_fields(raw: bytes) -> None:
    values = _json(raw)
    if not isinstance(values, dict):
        raise FormatError(field="fuzz", found="no object", expected="an object")
    hidden = parse_hidden_fields(values)
    assert parse_hidden_fields(encode_hidden_fields(hidden)) == hidden
    for name, value in values.items():
        parse_hidden_field(name, value)


def _values(
    parse: Callable[[dict[str, object]], Any],  # each kind's own fields
    encode: Callable[[Any], Any],
    make: Callable[[Draw], bytes],
    parser: str,
) -> Target:
    """Target for the hidden fields of one kind of statement, as JSON."""

    def read(raw: bytes) -> None:
        values = _json(raw)
        if not isinstance(values, dict):
            raise FormatError(field="fuzz", found="no object", expected="an object")
        hidden = parse(values)
        assert parse(dict(encode(hidden))) == hidden
        assert encode(parse(values)) == values

    return Target(read, drawn(make), (parser,))


def _read_terms(raw: bytes) -> None:
    text = text_of(raw)
    terms = parse_terms(text)
    assert parse_terms(encode_terms(terms, salt=parse_disclosure(text).salt)) == terms


def _read_disclosure(raw: bytes) -> None:
    text = text_of(raw)
    disclosure = parse_disclosure(text)
    assert parse_disclosure(encode_disclosure(disclosure)) == disclosure
    assert check_disclosures((compute_digest(text),), (text,)) == (disclosure,)


def _read_key_file(raw: bytes) -> None:
    """With its hash made right and at a low cost: what it costs to stretch is bounded, and slow on purpose."""
    start = len(KEYSTORE)
    at = start + 1 + (raw[start] if len(raw) > start else 0)
    costs = [int.from_bytes(raw[at + offset : at + offset + 4], "big") for offset in (0, 4, 8)]
    if any(cost > 64 for cost in costs):
        raise FormatError(field="fuzz", found="dear", expected="cheap")
    decrypt_file(raw + hashlib.sha256(raw).digest(), passphrase=b"fuzz", purpose="fuzz")


def _key_files() -> list[bytes]:
    made = [
        encrypt_file(
            b"secret", passphrase=passphrase, purpose="fuzz", salt=bytes(16), nonce=bytes(12), cost=members.COST
        )
        for passphrase in (b"fuzz", b"other")
    ]
    return [raw[:-HASH_BYTES] for raw in made]


def _read_spelling(raw: bytes) -> None:
    """Text and numbers in each of the spellings; a value has one of each."""
    text, taken = text_of(raw), 0
    for decode, encode in _SPELLINGS:
        try:
            value = decode(text)
        except FormatError:
            continue
        taken += 1
        same(encode(value), text)
    if not taken:
        raise FormatError(field="fuzz", found="no spelling", expected="one")


_SPELLINGS: Sequence[tuple[Callable[[str], Any], Callable[[Any], str]]] = (  # of bytes, of numbers
    (lambda text: encoding.decode_base64(text, field="fuzz"), encode_base64),
    (lambda text: encoding.decode_base64url(text, field="fuzz"), encode_base64url),
    (lambda text: encoding.decode_hex(text, field="fuzz", size=HASH_BYTES), bytes.hex),
    (lambda text: encoding.decode_decimal(text, field="fuzz"), str),
)


def _spellings() -> list[bytes]:
    return [b"AAEC", b"_-8", b"00" * 32, b"0", b"18446744073709551615", b"//8=", b"9" * 5_000]


def _read_quantity(raw: bytes) -> None:
    value = _json(raw)
    if not isinstance(value, int | str):
        raise FormatError(field="fuzz", found="no quantity", expected="a number or text")
    number = parse_quantity(value, field="fuzz")
    assert encode_quantity(number) == value


def _read_number(raw: bytes) -> None:
    same(encoding.encode_u64(encoding.decode_u64(raw, field="fuzz")), raw)


def _read_point(raw: bytes) -> None:
    """A point of either group has one encoding; the others, among them points outside the group, are refused."""
    if len(raw) == SEAL_BYTES:
        same(_ARKWORKS.encode_g1(_ARKWORKS.decode_g1(raw, field="fuzz")), raw)
    else:
        same(_ARKWORKS.encode_g2(_ARKWORKS.decode_g2(raw, field="fuzz")), raw)
        decode_commitments([raw], field="fuzz")


def _points() -> list[bytes]:
    deals = [members.deal(Draw(f"fuzz {number}")) for number in range(2)]
    message = _ARKWORKS.encode_g1(_ARKWORKS.hash_to_g1(b"fuzz", b"fuzz"))
    return [message, b"\xc0" + bytes(47), b"\xc0" + bytes(95), *(deal[:96] for deal in deals)]


def _read_secret(raw: bytes) -> None:
    same(encode_secret_scalar(parse_secret_scalar(raw, field="fuzz")), raw)


def _read_vkey(raw: bytes) -> None:
    same(notes.encode_vkey(notes.parse_vkey(text_of(raw))), raw.decode())


def _lines_of(make: Callable[[Draw], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [line for raw in drawn(make)() for line in raw.split(b"\n") if line]


def _read_certificate(raw: bytes) -> None:
    same(encode_certificate(parse_certificate(raw)), raw)
    verify_certificate(raw, charter_fingerprint=None)


def _read_header(raw: bytes) -> None:
    same(parse_header(raw).raw, raw)


def _read_fork(raw: bytes) -> None:
    same(encode_fork(parse_fork(raw)), raw)
    verify_fork(raw, charter_fingerprint=None)


def _forks() -> list[bytes]:
    draw, charter = Draw("fuzz"), entries.charter(Draw("fuzz 1"))
    older, newer, header = trees.make_note(draw), trees.make_note(draw), trees.header(draw, 7)
    return [
        encode_fork(Fork(charter, older, newer)),
        encode_fork(Fork(charter, None, newer, headers=(header,))),
        encode_fork(Fork(charter, older, newer, prefix_root=bytes(32), tree=(draw.digest(),))),
    ]


def _headers() -> list[bytes]:
    return [trees.header(Draw(f"fuzz {number}"), number or None).raw for number in range(4)]


def _read_seal_line(raw: bytes) -> None:
    same(checkpoints.encode_seal_line(checkpoints.parse_seal_line(raw)), raw)


def _read_verdict(raw: bytes) -> None:
    same(encode_verdict(parse_verdict(raw)), raw)
    assert find_computed_kind(raw) == VERDICT


def _proposals() -> list[bytes]:
    return [line for number in range(2) for line in pauses.proposal(Draw(f"fuzz {number}")).split(b"\n")]


def _read_proposal(raw: bytes) -> None:
    same(encode_proposal(parse_proposal(raw).predicate), raw)


def _read_pause_event(raw: bytes) -> None:
    same(encode_pause_event(parse_pause_event(raw)), raw)
    assert find_computed_kind(raw) == PAUSE_EVENT


def _read_hidden_run_state(raw: bytes) -> None:
    values = _json(raw)
    if not isinstance(values, dict):
        raise FormatError(field="fuzz", found="no object", expected="an object")
    assert encode_hidden_run_state(parse_hidden_run_state(values)) == values


def _hidden_run_states() -> list[bytes]:
    made = [HiddenRunState(run_pflop=n, cumulative_pflop=str(2**53 + n), checkpoint_bytes=2**40) for n in range(1, 4)]
    return [json.dumps(encode_hidden_run_state(hidden)).encode() for hidden in made]


def _envelopes() -> list[bytes]:
    return [sign_envelope(Draw(str(n)).some_raw(1, 90), [Draw(f"{n} s").signer().pair] * 1) for n in range(3)]


def _read_frontier(raw: bytes) -> None:
    frontier = parse_frontier(raw)
    same(frontier.encode(), raw)
    frontier.root()


_STATEMENTS = "ledger.statements"
TARGETS: dict[str, Target] = {
    "envelope": Target(
        lambda raw: same(encode_envelope(parse_envelope(raw)), raw), _envelopes, (f"{_STATEMENTS}.dsse.parse_envelope",)
    ),
    "registration": _payload(
        parse_registration, encode_registration, entries.registration, f"{_STATEMENTS}.registry.parse_registration"
    ),
    "report": _payload(parse_report, encode_report, entries.report, f"{_STATEMENTS}.reports.parse_report"),
    "correction": _payload(
        parse_correction, encode_correction, entries.correction, f"{_STATEMENTS}.reports.parse_correction"
    ),
    "training run": _payload(
        parse_training_run, encode_training_run, runs.training_run, f"{_STATEMENTS}.runs.parse_training_run"
    ),
    "run decision": _payload(
        parse_run_decision, encode_run_decision, runs.run_decision, f"{_STATEMENTS}.runs.parse_run_decision"
    ),
    "release review": _payload(
        parse_release_review, encode_release_review, runs.release_review, f"{_STATEMENTS}.runs.parse_release_review"
    ),
    "review event": _payload(
        parse_review_event, encode_review_event, runs.review_event, f"{_STATEMENTS}.runs.parse_review_event"
    ),
    "release notice": _payload(
        parse_release_notice, encode_release_notice, runs.release_notice, f"{_STATEMENTS}.runs.parse_release_notice"
    ),
    "run fields": _values(parse_run_fields, encode_run_fields, runs.run_fields, f"{_STATEMENTS}.runs.parse_run_fields"),
    "review fields": _values(
        parse_review_fields, encode_review_fields, runs.review_fields, f"{_STATEMENTS}.runs.parse_review_fields"
    ),
    "proposal": Target(_read_proposal, _proposals, (f"{_STATEMENTS}.committee.parse_proposal",)),
    "approval": _payload(parse_approval, encode_approval, pauses.approval, f"{_STATEMENTS}.committee.parse_approval"),
    "pause proposal": _payload(
        parse_pause_proposal,
        encode_pause_proposal,
        pauses.pause_proposal,
        f"{_STATEMENTS}.pauses.parse_pause_proposal",
    ),
    "pause accession": _payload(
        parse_pause_accession,
        encode_pause_accession,
        pauses.pause_accession,
        f"{_STATEMENTS}.pauses.parse_pause_accession",
    ),
    "lab pledge": _payload(
        parse_lab_pledge, encode_lab_pledge, pauses.lab_pledge, f"{_STATEMENTS}.pauses.parse_lab_pledge"
    ),
    "pause freeze": _payload(
        parse_pause_freeze, encode_pause_freeze, pauses.pause_freeze, f"{_STATEMENTS}.pauses.parse_pause_freeze"
    ),
    "pause event": Target(_read_pause_event, drawn(pauses.pause_event), (f"{_STATEMENTS}.pauses.parse_pause_event",)),
    "hidden run state": Target(
        _read_hidden_run_state, _hidden_run_states, (f"{_STATEMENTS}.pauses.parse_hidden_run_state",)
    ),
    "misconduct": Target(
        lambda raw: same(encode_misconduct(parse_misconduct(raw).predicate), raw),
        _misconduct_payloads,
        (f"{_STATEMENTS}.misconduct.parse_misconduct", f"{_STATEMENTS}.intoto.StatementForm.parse"),
    ),
    "openings": Target(
        lambda raw: same(encode_openings(parse_openings(raw)), raw),
        drawn(inspections.openings),
        ("ledger.openings.parse_openings",),
    ),
    "openings of a sample": Target(
        lambda raw: same(encode_sample_openings(parse_sample_openings(raw)), raw),
        drawn(inspections.sample_openings),
        ("ledger.openings.parse_sample_openings",),
    ),
    "evidence file": Target(
        _read_evidence_file,
        _evidence_files,
        (f"{_STATEMENTS}.misconduct.parse_evidence_file", f"{_STATEMENTS}.misconduct.Evidence.parse_header"),
    ),
    "verdict": Target(
        _read_verdict,
        drawn(entries.verdict),
        (f"{_STATEMENTS}.verdicts.parse_verdict", f"{_STATEMENTS}.computed.ComputedForm.parse"),
    ),
    "hidden fields": Target(
        _read_hidden_fields,
        drawn(entries.hidden_fields),
        (f"{_STATEMENTS}.reports.parse_hidden_fields", f"{_STATEMENTS}.reports.parse_hidden_field"),
    ),
    "inventory": _payload(
        parse_inventory, encode_inventory, inventories.inventory, f"{_STATEMENTS}.inventories.parse_inventory"
    ),
    "transfer": _payload(
        parse_transfer, encode_transfer, inventories.transfer, f"{_STATEMENTS}.inventories.parse_transfer"
    ),
    "shared terms": Target(
        _read_terms,
        lambda: [raw.split(b"\n")[0] for raw in drawn(inventories.terms)()],
        (f"{_STATEMENTS}.inventories.parse_terms",),
    ),
    "hidden inventory": _values(
        parse_hidden_inventory,
        encode_hidden_inventory,
        inventories.hidden_inventory,
        f"{_STATEMENTS}.inventories.parse_hidden_inventory",
    ),
    "hidden transfer": _values(
        parse_hidden_transfer,
        encode_hidden_transfer,
        inventories.hidden_transfer,
        f"{_STATEMENTS}.inventories.parse_hidden_transfer",
    ),
    "incident": _payload(
        parse_incident, encode_incident, inventories.incident, f"{_STATEMENTS}.notices.parse_incident"
    ),
    "hidden incident": _values(
        parse_hidden_incident,
        encode_hidden_incident,
        inventories.hidden_incident,
        f"{_STATEMENTS}.notices.parse_hidden_incident",
    ),
    "observation": _payload(
        parse_observation, encode_observation, inventories.observation, f"{_STATEMENTS}.notices.parse_observation"
    ),
    "enforcement": _payload(
        parse_enforcement, encode_enforcement, inventories.enforcement, f"{_STATEMENTS}.notices.parse_enforcement"
    ),
    "disclosure": Target(
        _read_disclosure,
        lambda: [raw.split(b"\n")[0] for raw in drawn(entries.disclosure)()],
        ("ledger.disclosure.parse_disclosure",),
    ),
    "quantity": Target(
        _read_quantity,
        lambda: [b"0", b"9007199254740992", b'"9007199254740993"', b"-1", b"true"],
        (f"{_STATEMENTS}.intoto.parse_quantity",),
        size_max=64,
    ),
    "charter": Target(_read_charter, drawn(entries.charter), ("ledger.charter.parse_charter",), size_max=16_384),
    "charter payload": Target(
        _read_charter_payload, _charter_payloads, ("ledger.charter.parse_charter_payload",), size_max=16_384
    ),
    "note": Target(
        _read_note,
        drawn(trees.note),
        (
            "ledger.notes.parse_note",
            "ledger.checkpoints.parse_checkpoint",
            "ledger.checkpoints.parse_cosignature",
        ),
        size_max=8_192,
    ),
    "signature line": Target(_read_signature_line, _signature_lines, ("ledger.notes.parse_signature_line",)),
    "verifier key": Target(_read_vkey, _lines_of(trees.vkey), ("ledger.notes.parse_vkey",)),
    "seal line": Target(_read_seal_line, drawn(trees.seal_line), ("ledger.checkpoints.parse_seal_line",), 256),
    "receipt": Target(
        lambda raw: same(encode_receipt(parse_receipt(raw)), raw),
        drawn(trees.receipt),
        ("ledger.receipts.parse_receipt",),
        size_max=8_192,
    ),
    "certificate": Target(
        _read_certificate, drawn(trees.certificate, 2), ("ledger.verify.parse_certificate",), size_max=32_768
    ),
    "fork proof": Target(_read_fork, _forks, ("ledger.forks.parse_fork", "ledger.forks.parse_part"), 32_768),
    "block header": Target(_read_header, _headers, ("ledger.blocks.parse_header",), 1_024),
    "header bundle": Target(
        lambda raw: same(encode_header_bundle(parse_header_bundle(raw)), raw),
        drawn(trees.header_bundle),
        ("ledger.blocks.parse_header_bundle",),
    ),
    "paths": Target(
        _read_path,
        _lines_of(trees.paths),
        ("ledger.tiles.parse_tile_path", "ledger.tiles.parse_bundle_path", "ledger.tiles.parse_headers_path"),
        128,
    ),
    "tile": Target(_read_tile, lambda: [bytes(32), bytes(32 * 9)], ("ledger.tiles.parse_tile",), 8_192 + 64),
    "entry bundle": Target(_read_bundle, _bundles, ("ledger.tiles.parse_bundle",)),
    "frontier": Target(
        _read_frontier,
        lambda: [raw[:-HASH_BYTES] for raw in drawn(trees.frontier)()],
        ("ledger.merkle.parse_frontier",),
    ),
    "state record": Target(_read_record, _state_lines, ("ledger.rules.record.Table.decode",)),
    "spellings": Target(
        _read_spelling,
        _spellings,
        tuple(f"ledger.encoding.decode_{name}" for name in ("base64", "base64url", "hex", "decimal")),
        8_192,
    ),
    "u64": Target(_read_number, lambda: [bytes(8), b"\xff" * 8], ("ledger.encoding.decode_u64",), 16),
    "points": Target(
        _read_point,
        _points,
        (
            "ledger.threshold.arkworks.ArkworksBackend.decode_g1",
            "ledger.threshold.arkworks.ArkworksBackend.decode_g2",
            "ledger.threshold.polynomials.decode_commitments",
        ),
        100,
    ),
    "secret scalar": Target(
        _read_secret,
        lambda: [bytes(31) + b"\1", b"\xff" * 32],
        ("ledger.threshold.polynomials.parse_secret_scalar",),
        40,
    ),
    "transcript": Target(
        lambda raw: same(encode_transcript(parse_transcript(raw)), raw),
        drawn(members.transcript, 3),
        ("ledger.threshold.transcripts.parse_transcript",),
        16_384,
    ),
    "key file": Target(_read_key_file, _key_files, ("ledger.sealedfile.decrypt_file",), 512),
}
