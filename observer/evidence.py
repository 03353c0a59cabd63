"""What an observer keeps when a source shows it a checkpoint that does not continue its own copy.

Two sealed checkpoints that cannot both be true prove that a quorum signed two histories; nothing else an observer can
hold proves as much, so both notes are written to files before anything is said, and never removed. A checkpoint that is
merely older than the copy proves nothing; its notes are kept too, up to a number, in case it later does.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from ledger.positions import Height
from observer.files import write_file

FOLDER: Final = "evidence"
BEHIND_KEPT_MAX: Final = 100

EvidenceKind = Literal["contradiction", "behind"]


def keep_evidence(
    home: Path,
    kind: EvidenceKind,
    *,
    source: str,
    said: str,
    height: Height,
    ours: bytes,
    theirs: bytes,
    headers: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """Write both notes, and in words what is the matter with them, into a folder of their own.

    Args:
        home: the copy's folder.
        kind: whether they contradict each other.
        source: who served `theirs`.
        said: what does not fit.
        height: of the block that `theirs` names.
        ours: a note of this copy, as bytes; empty where it holds the charter alone.
        theirs: the note that was refused.
        headers: of `ours` and `theirs`, the bundle of headers that lead from where they part to the sealed block.

    Returns:
        The folder; the same for the same two notes.
    """
    folder = home / FOLDER / f"{kind}-{height}-{hashlib.sha256(ours + theirs).hexdigest()[:16]}"
    if folder.exists() or (kind == "behind" and len(list_evidence(home, kind)) >= BEHIND_KEPT_MAX):
        return folder
    about = {"kind": kind, "source": source, "said": said, "height": height}
    write_file(folder / "ours.note", ours)
    write_file(folder / "theirs.note", theirs)
    for name, bundle in sorted(headers.items()):
        write_file(folder / f"{name}.headers", bundle)
    write_file(folder / "about.json", json.dumps(about, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")
    return folder


def list_evidence(home: Path, kind: EvidenceKind) -> list[Path]:
    """Return the folders of one kind that are complete, in the order of their names."""
    return sorted(path.parent for path in (home / FOLDER).glob(f"{kind}-*/about.json"))
