"""`inspector.keys`: made once, encrypted at rest, and opening only what was meant for them."""

import pickle
from pathlib import Path

import msgspec
import pytest

from inspector.keys import InspectorKeys, create_keys, encode_public, open_keys
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.openings import compute_openings_context
from ledger.statements.inspections import Inspector
from tests.inspector.dossiers import CHEAP, INSPECTOR, NATION, PASSPHRASE, encrypt, the_charter


def make(path: Path, **changes: str) -> InspectorKeys:
    names = {"nation": NATION, "inspector": INSPECTOR, "name": "Ada", **changes}
    return create_keys(
        path,
        PASSPHRASE,
        nation=names["nation"],
        inspector=names["inspector"],
        name=names["name"],
        cost=CHEAP,
    )


def context(**changes: str) -> bytes:
    names = {"challenge": "c-1", "nation": NATION, "inspector": INSPECTOR, **changes}
    return compute_openings_context(ledger_id=the_charter().ledger_id, **names)


def test_what_was_made_is_opened_again_with_the_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "inspector.keys"
    made = make(path)
    read = open_keys(path, PASSPHRASE)
    assert (read.nation, read.public) == (made.nation, made.public)
    assert is_ed25519_signature(made.public.signing_key, read.sign(b"said"), b"said")
    with pytest.raises(ConditionError) as caught:
        open_keys(path, "another")
    assert caught.value.code == Code.PASSPHRASE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "inspector.keys"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ConditionError):
        make(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("changes", [{"nation": "Not An Id"}, {"inspector": ""}, {"name": ""}, {"name": "a\nb"}])
def test_ids_and_names_are_those_of_statements(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(FormatError):
        make(tmp_path / "inspector.keys", **changes)
    assert not (tmp_path / "inspector.keys").exists()


def test_the_file_for_the_nation_is_the_line_of_its_statement_and_holds_no_secret(tmp_path: Path) -> None:
    keys = make(tmp_path / "inspector.keys")
    line = msgspec.json.decode(encode_public(keys.public), type=Inspector)
    assert line == keys.public
    assert line.status == "active"
    assert {line.signing_key, line.encryption_key} != {line.signing_key}


def test_a_box_opens_for_its_ledger_challenge_nation_and_inspector_alone(tmp_path: Path) -> None:
    keys, other = make(tmp_path / "one.keys"), make(tmp_path / "other.keys")
    box = encrypt(b"what was opened", keys)
    assert keys.open(box, context=context()) == b"what was opened"
    others = [context(challenge="c-2"), context(nation="avalon"), context(inspector="bob"), b""]
    for wrong in others:
        with pytest.raises(ProofError):
            keys.open(box, context=wrong)
    with pytest.raises(ProofError):
        other.open(box, context=context())


def test_no_byte_of_a_box_can_be_changed_or_cut(tmp_path: Path) -> None:
    keys = make(tmp_path / "inspector.keys")
    box = encrypt(b"x", keys)
    for at in range(len(box)):
        with pytest.raises(ProofError):
            keys.open(box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], context=context())
        with pytest.raises(ProofError):
            keys.open(box[:at], context=context())


def test_keys_are_neither_shown_nor_pickled(tmp_path: Path) -> None:
    keys = make(tmp_path / "inspector.keys")
    assert repr(keys) == "InspectorKeys(brittia/ada)"
    with pytest.raises(TypeError):
        pickle.dumps(keys)


def test_another_file_under_the_same_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inspector.keys"
    make(path)
    raw = path.read_bytes()
    for at in (0, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises((FormatError, ConditionError)):
            open_keys(path, PASSPHRASE)
