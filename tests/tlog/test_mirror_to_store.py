"""A mirror that publishes into an object store: the same files as into a folder, brought up, and no node's place."""

from pathlib import Path

import pytest

import counterseal
from ledger.limits import BUNDLE_BYTES_MAX
from tests.observer.fakeledger import FakeLedger
from tests.tlog.test_objects import few_schemas  # noqa: F401  # a fixture: thirty files alike take long
from tlog.objects import ObjectFiles
from tlog.publisher import INDEX
from tlog.reading import FolderFiles


def mirror(source: Path, home: Path, target: str, ledger: FakeLedger) -> int:
    words = ["observe", "mirror", "--from", str(source), "--home", str(home), "--to", target]
    with pytest.raises(SystemExit) as left:
        counterseal.main([*words, "--charter-fingerprint", ledger.fingerprint.hex()])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_a_mirror_brings_an_object_store_up_with_the_files_of_a_folder(bucket: str, tmp_path: Path) -> None:
    ledger = FakeLedger()
    for intervals in (1, 2):
        ledger.grow(1) if intervals == 1 else ledger.block(10_000)
        source = ledger.publish(tmp_path / "published")
        assert mirror(source, tmp_path / "home", bucket, ledger) == 0
        assert mirror(source, tmp_path / "other", str(tmp_path / "mirror"), ledger) == 0
        store, folder = ObjectFiles(bucket), FolderFiles(tmp_path / "mirror")
        try:
            assert {*store.paths()} == {*folder.paths()}
            for path in folder.paths():
                assert store.read(path, size_max=BUNDLE_BYTES_MAX) == folder.read(path, size_max=BUNDLE_BYTES_MAX)
        finally:
            store.close()


def test_a_mirror_leaves_a_store_alone_into_which_a_node_publishes(
    bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = FakeLedger()
    ledger.grow(1)
    store = ObjectFiles(bucket)
    try:
        store.replace(INDEX, b'{"software": "a node"}')
        assert mirror(ledger.publish(tmp_path / "published"), tmp_path / "home", bucket, ledger) == 5
        assert [*store.paths()] == [INDEX]
    finally:
        store.close()
    assert "a place of the mirror's own" in capsys.readouterr().err
