"""The list of logs a witness is configured for: read as it was written, and no line of it passed over."""

import json
from pathlib import Path

import pytest

from ledger import domains
from ledger.errors import FormatError
from ledger.loglists import LOG_LIST_BYTES_MAX, QPD_MAX, LogEntry, encode_log_list, parse_log_list
from ledger.notes import compute_verifier_key, encode_vkey
from tests.ledger.sealing import SmallLedger
from tests.tlog.foreignlog import ForeignLog

KNOWN = json.loads((Path(__file__).parents[1] / "vectors" / "witness.json").read_text(encoding="utf-8"))
ONE, TWO = ForeignLog(), ForeignLog("second.example")
VKEY, VKEY_2 = encode_vkey(ONE.key), encode_vkey(TWO.key)

WHOLE = f"""#
# List:      10qps-1Mlogs
# Revision:  123
#
logs/v0

# 1st list item
vkey {VKEY}
origin none
qpd 86400
bastion https://bastion.log.example/
contact https://log.example/contact

vkey {VKEY_2}
origin something not equal to the key's name
qpd 24
bastion none
contact sysadmin (at) second.example
"""


def test_a_list_of_the_witness_network_is_read() -> None:
    logs = parse_log_list(WHOLE.encode())
    assert list(logs) == [ONE.origin, "something not equal to the key's name"]
    assert [log.growths_per_day_max for log in logs.values()] == [86_400, 24]
    assert [list(log.known.values()) for log in logs.values()] == [[ONE.key], [TWO.key]]


def test_a_list_that_the_witness_network_publishes_is_read() -> None:
    """One of its staging lists, but for the comments."""
    logs = parse_log_list(KNOWN["list"]["text"].encode())
    assert {log.origin: log.growths_per_day_max for log in logs.values()} == KNOWN["list"]["logs"]


def test_a_list_may_be_empty_but_not_without_its_header() -> None:
    assert not parse_log_list(b"# nothing yet\nlogs/v0\n")
    for raw in (b"", b"\n", b"# logs/v0\n", b"logs/v1\n", b" logs/v0\n"):
        with pytest.raises(FormatError, match="logs line"):
            parse_log_list(raw)


def test_a_log_may_be_a_key_alone() -> None:
    log = parse_log_list(f"logs/v0\nvkey {VKEY}\n".encode())[ONE.origin]
    assert log.growths_per_day_max == 86_400


def test_entries_of_one_origin_are_one_log_with_several_keys() -> None:
    text = f"logs/v0\nvkey {VKEY}\nqpd 5\nvkey {VKEY_2}\norigin {ONE.origin}\nqpd 7\n"
    (log,) = parse_log_list(text.encode()).values()
    assert (list(log.known.values()), log.growths_per_day_max) == ([ONE.key, TWO.key], 12)


def test_budgets_that_add_up_stay_bounded() -> None:
    text = f"logs/v0\nvkey {VKEY}\nqpd {QPD_MAX}\nvkey {VKEY_2}\norigin {ONE.origin}\nqpd {QPD_MAX}\n"
    assert parse_log_list(text.encode())[ONE.origin].growths_per_day_max == QPD_MAX


def test_a_ledger_is_listed_by_its_log_keys_or_by_its_seal() -> None:
    keys = SmallLedger().keys
    for kind, raws in ((domains.NOTE_ED25519, keys.log_keys), (domains.NOTE_SEAL, (keys.group_key,))):
        entries = [LogEntry(compute_verifier_key(keys.origin, kind, raw), keys.origin) for raw in raws]
        log = parse_log_list(encode_log_list(entries).encode())[keys.origin]
        assert list(log.known.values()) == [entry.key for entry in entries]


REFUSED = {
    "a word nobody knows": f"logs/v0\nvkey {VKEY}\nquota 5\n",
    "a setting before any log": f"logs/v0\nqpd 5\nvkey {VKEY}\n",
    "a setting twice": f"logs/v0\nvkey {VKEY}\nqpd 5\nqpd 6\n",
    "a word without a value": f"logs/v0\nvkey {VKEY}\nqpd\n",
    "a key twice": f"logs/v0\nvkey {VKEY}\nvkey {VKEY}\n",
    "another key ID": f"logs/v0\nvkey {VKEY.replace(ONE.key.key_id.hex(), '00000000')}\n",
    "a key that is none": "logs/v0\nvkey log.example\n",
    "an ECDSA key": "logs/v0\nvkey log.example+00000000+AgAA\n",
    "a budget that is no number": f"logs/v0\nvkey {VKEY}\nqpd 1_0\n",
    "a budget above all bounds": f"logs/v0\nvkey {VKEY}\nqpd {QPD_MAX + 1}\n",
    "a reserved origin": f"logs/v0\nvkey {VKEY}\norigin cosignature/v1\n",
    "an origin of control characters": f"logs/v0\nvkey {VKEY}\norigin a\tb\n",
    "an origin that is too long": f"logs/v0\nvkey {VKEY}\norigin {'a' * 256}\n",
    "carriage returns": f"logs/v0\r\nvkey {VKEY}\r\n",
    "a seal key that is no point": "logs/v0\nvkey "
    + encode_vkey(compute_verifier_key("log.example", domains.NOTE_SEAL, bytes(96)))
    + "\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_line_that_is_not_understood_refuses_the_list_by_its_number(text: str) -> None:
    with pytest.raises(FormatError, match=r"logs line [1-5]:"):
        parse_log_list(text.encode())


def test_lists_are_bounded_and_text() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_log_list(b"#" * (LOG_LIST_BYTES_MAX + 1))
    with pytest.raises(FormatError, match="UTF-8"):
        parse_log_list(b"logs/v0\n\xff\n")
