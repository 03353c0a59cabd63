"""`inspector.report` and its page: one encoding, read strictly; whatever a lab wrote is inert on the page."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.examination import examine
from inspector.openings import check_openings, open_bundle
from inspector.page import render_page
from inspector.report import (
    Examined,
    InspectionReport,
    compute_report_digest,
    encode_report,
    make_report,
    parse_report,
)
from ledger.errors import FormatError
from tests.inspector.dossiers import Dossier, open_dossier

replaced = msgspec.structs.replace
HOSTILE = "</td><script>alert(1)</script><img src=x onerror='alert(2)'>\"&\u202e\x07\u2028"


def examine_dossier(dossier: Dossier) -> InspectionReport:
    case = dossier.case()
    bundle = open_bundle(dossier.box, case, dossier.keys)
    opened = check_openings(bundle.plain, case)
    return make_report(case, bundle, opened, examine(case, opened), nation="brittia", inspector="ada")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> InspectionReport:
    return examine_dossier(open_dossier(tmp_path_factory.mktemp("report"), chips=(0, 3)))


def render(report: InspectionReport) -> str:
    return render_page(report, digest=compute_report_digest(encode_report(report)))


def test_a_report_is_read_as_it_was_written_and_in_no_other_spelling(report: InspectionReport) -> None:
    raw = encode_report(report)
    assert parse_report(raw) == report
    assert encode_report(parse_report(raw)) == raw
    for spelled in (raw + b" ", raw.replace(b'":', b'": ', 1), raw.replace(b"{", b'{"more":1,', 1), b"[" * 10**5, b""):
        with pytest.raises(FormatError):
            parse_report(spelled)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "counterseal/inspection-report/v2"},
        {"result": "fine"},
        {"ledger": "11"},
        {"fields": {"energy_wh": "<b>"}},
        {"fields": {"another": 1}},
        {"fields": {"energy_wh": {"nested": [[[[[[]]]]]]}}},
        {"lab": "../../etc"},
        {"interval": -1},
    ],
)
def test_what_no_examination_gives_is_refused(report: InspectionReport, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_report(msgspec.json.encode(replaced(report, **changes)))


def test_no_salt_and_no_path_is_written_down(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3))
    raw = encode_report(examine_dossier(dossier))
    secrets = [secret for record in dossier.openings.records for secret in (record.salt, *record.path)]
    secrets += [secret for chip in dossier.openings.chips for secret in (chip.salt, *chip.path)]
    for secret in secrets:
        assert msgspec.json.encode(secret)[1:-1] not in raw
        assert secret.hex().encode() not in raw
    for text in dossier.openings.disclosures:
        assert text.encode() not in raw


class Tags(HTMLParser):
    """What a browser would find."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "b", "dl", "dt", "dd",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def hostile(report: InspectionReport) -> InspectionReport:
    one = Examined(
        check="X1", subject=HOSTILE, field=HOSTILE, found=HOSTILE, expected=HOSTILE, outcome="fails", reason=HOSTILE
    )
    chip = replaced(report.chips[0], serial="<script>alert(1)</script>")
    comparisons = tuple(replaced(one, outcome=outcome) for outcome in ("fails", "unusual", "not-comparable", "holds"))
    return replaced(report, comparisons=comparisons, missing=(HOSTILE,), chips=(chip,))


def test_the_page_runs_nothing_and_loads_nothing_whatever_a_lab_wrote(report: InspectionReport) -> None:
    page = render(hostile(report))
    tags = Tags()
    tags.feed(page)
    assert {tag for tag, _ in tags.found} <= ALLOWED
    names = {name for _, attributes in tags.found for name in attributes}
    assert names == {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?://|javascript:", page)


def test_characters_that_no_screen_shows_are_written_as_escapes(report: InspectionReport) -> None:
    page = render(hostile(report))
    assert all(character.isprintable() or character == "\n" for character in page)
    assert "\\u202e\\x07\\u2028" in page


def test_the_page_says_what_the_report_says(report: InspectionReport) -> None:
    page = render(report)
    assert report.result in page
    assert compute_report_digest(encode_report(report)) in page
    for one in report.comparisons:
        assert f">{one.check}<" in page
    for name in report.fields:
        assert name in page
    assert "GPU-0003" in page
    assert "NOT compared" not in page
    assert "NOT compared" in render(replaced(report, is_pinned=False))


@pytest.mark.parametrize("time_ms", [0, 2**63 - 1])
def test_any_time_of_a_ledger_can_be_shown(report: InspectionReport, time_ms: int) -> None:
    entries = tuple(replaced(entry, sealed_ms=time_ms) for entry in report.entries)
    assert "</html>" in render(replaced(report, entries=entries))
