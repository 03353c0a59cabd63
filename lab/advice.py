"""What a lab can do about an error, by its code: the half of the sentence that the error itself cannot know."""

from collections.abc import Mapping
from typing import Final

from ledger.errors import Code, LedgerError

ADVICE: Final[Mapping[Code, str]] = {
    Code.PROOF: "do not rely on it, and tell the node's nation",
    Code.SIGNATURE: "do not rely on it, and tell the node's nation",
    Code.WRONG_LEDGER: "compare the fingerprint with somebody you trust, and the node's address",
    Code.UNKNOWN_ISSUER: "send request.json to your nation, then run `counterseal lab countersign` on what comes back",
    Code.WRONG_KEY: "a rotated key counts once its registration is sealed: run `counterseal lab countersign`",
    Code.KEY_REVOKED: "ask your nation to register a new key: `counterseal lab request --rotate-key`",
    Code.WRONG_SEQUENCE: "run `counterseal lab submit`, which sends what the ledger lacks in its order",
    Code.WRONG_PREVIOUS: "run `counterseal lab submit`, which sends what the ledger lacks in its order",
    Code.EQUIVOCATION: "another statement has this number: restore the newest backup and compare",
    Code.DUPLICATE: "nothing is to be done: fetch its receipt with `counterseal lab receipt`",
    Code.INTERVAL_NOT_OVER: "run this again then",
    Code.INTERVAL_BEFORE_REGISTRATION: "report from the first interval in which a cluster counts",
    Code.INTERVAL_ALREADY_REPORTED: "run `counterseal lab submit` if it is not sealed, or correct it with --corrects",
    Code.NOTHING_TO_CORRECT: "see `counterseal lab status`, and correct the latest statement of the interval",
    Code.UNKNOWN_CLUSTER: "register it through your nation, or correct lab.toml or the export",
    Code.ALREADY_REGISTERED: "choose another id",
    Code.COUNTERSIGNATURE_MISSING: "countersign with the lab's active key, or the next key it committed to",
    Code.LIMIT_PROMISE_MISMATCH: "build the report anew: another pause binds this lab, or none any more",
    Code.UNKNOWN_RUN: "declare it first: `counterseal lab run declare`",
    Code.RUN_STATE: "see `counterseal lab status` for what was said of it",
    Code.UNKNOWN_REVIEW: "hand it in first: `counterseal lab release review`",
    Code.INTERVAL_NOT_BEGUN: "run `counterseal lab submit` then, or free its number with --give-up",
    Code.TRANSFER_KNOWN: "choose another id, or correct what was said with --why",
    Code.MEMPOOL_FULL: "try again in a while; nothing is lost",
    Code.QUOTA_EXCEEDED: "try again once some of the waiting statements are sealed",
    Code.DRAINING: "use another node",
    Code.NOT_FOUND: "see `counterseal lab status`, and run `counterseal lab submit` if it is not sealed",
    Code.NOT_READY: "try again in a while",
    Code.TIMEOUT: "run the same command again: the same statement is sent, and gets the same place",
    Code.TOO_MANY_STREAMS: "try again in a while, or use another node",
    Code.PASSPHRASE: "name the file that has it with --passphrase-file",
    Code.KEY_FILE_DAMAGED: "restore it from a backup",
    Code.STORE_DAMAGED: "restore the folder from a backup (`counterseal lab backup` made one)",
    Code.DISK_FULL: "free space and run the same command again",
    Code.UNREACHABLE: "check the addresses in lab.toml and the network, and run the same command again",
    Code.VERSION_MISMATCH: "bring both sides to the same version",
}
"""For every code that a lab can do something about; the others say enough themselves."""

_SIGN_AGAIN: Final = "the nation has made another statement since: let it sign the request again"
ADVICE_TO_ENROL: Final[Mapping[Code, str]] = dict.fromkeys(
    (Code.WRONG_SEQUENCE, Code.WRONG_PREVIOUS, Code.EQUIVOCATION), _SIGN_AGAIN
)
"""What differs when the statement is a registration, whose issuer is the nation."""


class AdvisedError(LedgerError):
    """An error with what to do next, as one sentence."""

    def __init__(self, error: LedgerError, advice: str) -> None:
        """Keep the error's parts and code, and add to its sentence."""
        super().__init__(field=error.field, found=error.found, expected=error.expected, code=error.code)
        self._sentence = f"{str(error).removesuffix(f' [{error.code}]')}; {advice} [{error.code}]"

    def __str__(self) -> str:
        """One readable sentence."""
        return self._sentence


def advise(error: LedgerError, advice: str | None = None) -> LedgerError:
    """Add what to do next, if anything can be done."""
    chosen = advice or ADVICE.get(error.code)
    return error if chosen is None or isinstance(error, AdvisedError) else AdvisedError(error, chosen)
