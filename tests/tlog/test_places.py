"""Names of places: what each is, and that none with a secret in it is taken, or printed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Code, ConditionError
from tlog.places import Kind, parse_place


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("public", Kind.FOLDER, "/base/public"),
        ("/srv/public", Kind.FOLDER, "/srv/public"),
        ("file:///srv/with%20space", Kind.FOLDER, "/srv/with space"),
        ("s3://bucket", Kind.STORE, "s3://bucket"),
        ("s3://bucket/a/b/", Kind.STORE, "s3://bucket/a/b"),
        ("gs://bucket/a", Kind.STORE, "gs://bucket/a"),
        ("az://container/a", Kind.STORE, "az://container/a"),
        ("http://host:8080/a/", Kind.WEB, "http://host:8080/a"),
        ("https://host", Kind.WEB, "https://host"),
    ],
)
def test_a_place_is_what_its_name_says(text: str, kind: Kind, name: str) -> None:
    place = parse_place(text, field="x", base=Path("/base"))
    assert (place.kind, place.name, str(place)) == (kind, name, name)
    assert place.folder == (Path(name) if kind is Kind.FOLDER else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3://",
        "s3:///path",
        "s3://bucket:1/path",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "ftp://host/path",
        "file://elsewhere/path",
        "http://",
        "http://host:port/",
        "http://[::1/",
        "s3://bucket/\n",
        "s3://" + "a" * 2_000,
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_place(text, field="x")
    assert refused.value.code is Code.CONFIG


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "http", "https", "file", "ftp"])
@pytest.mark.parametrize("form", ["{}://key:{}@host/path", "{}://{}@host/path", "{}://host/path?sig={}", "{}://h/#{}"])
def test_a_secret_is_refused_and_not_printed(scheme: str, form: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_place(form.format(scheme, "hunter2"), field="x")
    assert "hunter2" not in str(refused.value)


@given(st.text(alphabet="s3gazhtpfile:/.@?#[]%a1-", max_size=30))
def test_a_name_is_taken_or_refused_and_a_store_keeps_its_name(text: str) -> None:
    try:
        place = parse_place(text, field="x")
    except ConditionError:
        return
    if place.kind is not Kind.FOLDER:
        assert parse_place(place.name, field="x") == place
