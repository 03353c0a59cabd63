"""What an observer keeps when somebody signed what cannot be: a folder for each finding, never removed.

- `contradiction`: two sealed checkpoints that cannot both be true. While no person has decided about one of these, the
  network is *blind* for this observer (`ledger.network`); a decision is a file beside the proof and removes nothing.
- `rollback`: one member cosigned a smaller tree at a later time.
- `behind`: a checkpoint that is merely older than the copy. It proves nothing; its notes are kept, up to a number, in
  case it later does.

`proof.json` in a folder is the one file to hand on: `counterseal verify` explains it to anybody. The notes it was made
of lie beside it, and `about.json`, written last, tells where and when this observer saw it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from ledger.errors import Code, ConditionError
from ledger.positions import Height, Millis
from observer.files import write_file

FOLDER: Final = "evidence"
PROOF: Final = "proof.json"
DECIDED: Final = "decided.json"
BEHIND_KEPT_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 2_000

EvidenceKind = Literal["contradiction", "rollback", "behind"]


def keep_evidence(
    home: Path,
    kind: EvidenceKind,
    *,
    source: str,
    said: str,
    height: Height,
    ours: bytes,
    theirs: bytes,
    seen_ms: Millis,
    headers: Mapping[str, bytes] = MappingProxyType({}),
    proof: bytes = b"",
    incident: bytes = b"",
) -> Path:
    """Write both notes, and in words what is the matter with them, into a folder of their own.

    Args:
        home: the copy's folder.
        kind: what it shows.
        source: who served `theirs`.
        said: what does not fit.
        height: of the block that `theirs` names.
        ours: a note of this copy, as bytes; empty where it holds the charter alone.
        theirs: the note that was refused.
        seen_ms: when, by this machine's clock.
        headers: of `ours` and `theirs`, the bundle of headers that lead from where they part to the sealed block.
        proof: the portable proof, if there is one.
        incident: what is one and the same matter, of which one proof is enough; the two notes if not given.

    Returns:
        The folder; the same for the same incident.
    """
    folder = home / FOLDER / f"{kind}-{height}-{hashlib.sha256(incident or ours + theirs).hexdigest()[:16]}"
    if (folder / "about.json").exists() or (kind == "behind" and len(list_evidence(home, kind)) >= BEHIND_KEPT_MAX):
        return folder
    about = {"kind": kind, "source": source, "said": said, "height": height, "seen_ms": seen_ms}
    write_file(folder / "ours.note", ours)
    write_file(folder / "theirs.note", theirs)
    for name, bundle in sorted(headers.items()):
        write_file(folder / f"{name}.headers", bundle)
    if proof:
        write_file(folder / PROOF, proof)
    write_file(folder / "about.json", json.dumps(about, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")
    return folder


def list_evidence(home: Path, kind: EvidenceKind) -> list[Path]:
    """Return the folders of one kind that are complete, in the order of their names."""
    return sorted(path.parent for path in (home / FOLDER).glob(f"{kind}-*/about.json"))


def list_undecided(home: Path) -> list[Path]:
    """Return the folders of contradictions about which no person has decided."""
    return [folder for folder in list_evidence(home, "contradiction") if not (folder / DECIDED).exists()]


def find_undecided(home: Path, source: str) -> Path | None:
    """Return the contradiction that a source showed and about which no person has decided, if there is one."""
    for folder in list_undecided(home):
        if json.loads((folder / "about.json").read_bytes()).get("source") == source:
            return folder
    return None


def decide(home: Path, name: str, *, because: str, now_ms: Millis) -> Path:
    """Write down that a person has looked at a contradiction, and why they go on; the proof stays.

    Args:
        home: the copy's folder.
        name: of the evidence's folder.
        because: in the person's words, not empty.
        now_ms: when, by this machine's clock.

    Returns:
        The file that was written.

    Raises:
        ConditionError: no such evidence (`NOT_FOUND`); no reason, or too long a one (`CONFIG`).
    """
    known = {folder.name: folder for folder in list_evidence(home, "contradiction")}
    if name not in known:
        expected = f"one of {', '.join(known)}" if known else "a folder of evidence; there is none"
        raise ConditionError(field="evidence", found=name, expected=expected, code=Code.NOT_FOUND)
    if not 0 < len(because.strip()) <= REASON_CHARACTERS_MAX:
        expected = f"1 to {REASON_CHARACTERS_MAX} characters that say why"
        raise ConditionError(field="because", found=f"{len(because)} characters", expected=expected, code=Code.CONFIG)
    decision = {"because": because, "decided_ms": now_ms}
    path = known[name] / DECIDED
    write_file(path, json.dumps(decision, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")
    return path
