"""Where a proposal stands: does it extend a notarized block, over nullified views only, at a possible time.

Step 3 of the protocol in `core.py`, without its execution. Pure: the answer is a rejection, or what is still missing
to judge (which is no verdict), or nothing: well placed.
"""

from ledger.blocks import Header, verify_child
from ledger.errors import Code, ProofError, Rejection, reject
from ledger.limits import CLOCK_AHEAD_MAX_MS
from ledger.positions import Millis, View
from node.consensus.chain import Chain, Dead, Missing
from node.consensus.messages import VoteKind
from node.consensus.questions import Missable
from node.consensus.tally import Tally


def judge_place(header: Header, *, chain: Chain, tally: Tally, now: Millis) -> Rejection | list[Missable]:
    """Judge a proposal that is in the chain's tree; an empty list means that nothing speaks against it."""
    path = chain.find_path(header.digest)
    if isinstance(path, Dead):
        return reject_fork(header, chain.root.header)
    parent = chain.get_header(header.parent)
    if parent is None:
        return [header.parent]
    try:
        verify_child(header, parent=parent)
    except ProofError as error:
        return Rejection(code=error.code, field=error.field, found=error.found, expected=error.expected)
    # The parent's own time is never refused: once too far ahead, it would stop the ledger until that time has come.
    time_max_ms = max(now + CLOCK_AHEAD_MAX_MS, parent.time_ms)
    if header.time_ms > time_max_ms:
        return reject(Code.CLOCK_AHEAD, field="header.time_ms", found=header.time_ms, expected=f"at most {time_max_ms}")
    missing: list[Missable] = []
    if parent.digest != chain.root.header.digest:
        notarization = tally.get_certificate(VoteKind.NOTARIZE, parent.view)
        if notarization is None:  # its ancestors are not asked for yet: whoever made it up could make up any number
            missing.append((VoteKind.NOTARIZE, parent.view))
        elif notarization.digest != parent.digest:
            expected = f"the block notarized in view {parent.view}, {notarization.digest.hex()}"
            return reject(Code.INVALID_FIELD, field="header.parent", found=parent.digest.hex(), expected=expected)
        elif isinstance(path, Missing):
            missing.append(path.digest)
    return missing + [
        (VoteKind.NULLIFY, View(view))
        for view in range(parent.view + 1, header.view)
        if tally.get_certificate(VoteKind.NULLIFY, View(view)) is None
    ]


def reject_fork(header: Header, root: Header) -> Rejection:
    """Refuse a block of a branch that left the chain below the newest final block."""
    expected = f"a descendant of the final block {root.digest.hex()} at height {root.height}"
    return reject(Code.INVALID_FIELD, field="header.parent", found=header.parent.hex(), expected=expected)
