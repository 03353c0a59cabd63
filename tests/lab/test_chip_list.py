"""`lab.collectors.chips`: a list of accelerators is read as it stands, or refused with the line that is wrong."""

import pytest

from lab.collectors.chips import LIST_BYTES_MAX, ListedChip, parse_chip_list
from ledger.errors import Code, FormatError

LIST = b"serial,cluster,rack,model\nS1,c1,r 7,h100\r\n\nS2,c2,,a100\n"


def test_columns_may_stand_in_any_order_and_empty_lines_are_passed_over() -> None:
    assert parse_chip_list(LIST, with_clusters=True) == (
        ListedChip("c1", "h100", "S1", "r 7"),
        ListedChip("c2", "a100", "S2", ""),
    )
    assert parse_chip_list(b"model,serial\nh100,S1\n", with_clusters=False) == (ListedChip("", "h100", "S1", ""),)
    assert parse_chip_list(b"model,serial\n", with_clusters=False) == ()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "chips line 1"),
        (b"cluster,model,serial,note\n", "chips line 1"),
        (b"cluster,model\n", "chips line 1"),
        (b"cluster,model,serial,serial\n", "chips line 1"),
        (b"cluster,model,serial\nc1,h100\n", "chips line 2"),
        (b"cluster,model,serial\nC 1,h100,S1\n", "chips line 2.cluster"),
        (b"cluster,model,serial\nc1,H100,S1\n", "chips line 2"),
        (b"cluster,model,serial\nc1,h100,S 1\n", "chips line 2"),
        (b"cluster,model,serial\nc1,h100,\n", "chips line 2"),
        (b"cluster,model,serial\nc1,h100,S1\nc2,h100,S1\n", "chips line 3"),
        (b"cluster,model,serial,rack\nc1,h100,S1," + b"r" * 129 + b"\n", "chips line 2.rack"),
        (b'cluster,model,serial\nc1,h100,"S1\n', "chips line 2"),
        (b"cluster,model,serial\n\xff", "chips"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(raw: bytes, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_chip_list(raw, with_clusters=True)
    assert caught.value.field == field


def test_the_list_of_a_transfer_has_no_clusters() -> None:
    with pytest.raises(FormatError):
        parse_chip_list(LIST, with_clusters=False)


def test_a_list_that_is_too_large_is_not_read_at_all() -> None:
    with pytest.raises(FormatError) as caught:
        parse_chip_list(b" " * (LIST_BYTES_MAX + 1), with_clusters=True)
    assert caught.value.code is Code.TOO_LARGE
