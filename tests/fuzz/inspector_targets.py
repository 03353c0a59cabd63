"""Fuzz targets of inspectors: their own files, and whatever a lab may have put into an encrypted bundle."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from inspector.answers import examine_answer
from inspector.examination import examine
from inspector.findings import encode_signed, parse_signed
from inspector.openings import Bundle, Case, check_openings
from inspector.page import render_page
from inspector.records import parse_record
from inspector.report import compute_report_digest, encode_report, make_report, parse_report
from tests.formats import inspectors, labs
from tests.fuzz.target import Target, drawn, same
from tests.inspector.answered import Answered, answer_sample
from tests.inspector.dossiers import Dossier, open_dossier


@cache
def _dossier() -> tuple[Dossier, Case]:
    with TemporaryDirectory() as folder:
        dossier = open_dossier(Path(folder), chips=(0, 3))
        return dossier, dossier.case()


def _examine(plain: bytes) -> None:
    """From bytes that only the lab chose to a report and its page: nothing of it may break on the way."""
    _, case = _dossier()
    opened = check_openings(plain, case)
    compared = examine(case, opened)
    report = make_report(case, Bundle(plain, "00" * 32), opened, compared, nation="brittia", inspector="ada")
    assert all(str(one).isprintable() for one in (*opened.comparisons, *compared))
    raw = encode_report(report)
    assert "<script" not in render_page(report, digest=compute_report_digest(raw))


@cache
def _answered() -> Answered:
    with TemporaryDirectory() as folder:
        answered = answer_sample(Path(folder))
        assert answered.case.name  # read from the files while they are there
        return answered


def _examine_answer(plain: bytes) -> None:
    """The same of an answer to a sample."""
    bundle = Bundle(plain, "00" * 32)
    report = examine_answer(_answered().case, bundle, others=(), nation="brittia", inspector="ada")
    raw = encode_report(report)
    assert "<script" not in render_page(report, digest=compute_report_digest(raw))


TARGETS: dict[str, Target] = {
    "bundle of a lab": Target(_examine, lambda: [_dossier()[0].plain], (), size_max=65_536),
    "answer of a lab to a sample": Target(_examine_answer, lambda: [_answered().plain], (), size_max=65_536),
    "report on the answer to a sample": Target(
        lambda raw: same(encode_report(parse_report(raw)), raw), drawn(inspectors.sample_report), ()
    ),
    "record as an inspector reads it": Target(parse_record, drawn(labs.record), ("inspector.records.parse_record",)),
    "inspector's report": Target(
        lambda raw: same(encode_report(parse_report(raw)), raw),
        drawn(inspectors.report),
        ("inspector.report.parse_report",),
    ),
    "finding that a nation signed": Target(
        lambda raw: encode_signed(parse_signed(raw)), drawn(inspectors.signed), ("inspector.findings.parse_signed",)
    ),
}
