"""Errors of the shared truth: whose fault, which field, what was found, what would be right, a stable code.

`LedgerError` is never raised itself. Its kinds say what sort of thing went wrong with bytes from outside; our own
mistakes are assertions. A refusal by the rules is not an exception but a value, `Rejection`: it is a result.
Codes are UPPER_SNAKE so that they can stand as `reason` in google.rpc.ErrorInfo; once released a code never changes
its meaning. `docs/errors.md` is generated from this file.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from ledger.limits import ERROR_FOUND_CHARACTERS_MAX, ERROR_PART_CHARACTERS_MAX


class Code(StrEnum):
    """Every stable code, with what it means and what the reader can do about it."""

    summary: str

    def __new__(cls, value: str, summary: str = "") -> Self:
        """Attach the one-line summary that the documentation prints; a look-up, `Code(text)`, gives none."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.summary = summary
        return member

    # Bytes, proofs, signatures: raised by parsers and verifiers.
    FORMAT = "FORMAT", "These bytes are not of the form the field demands."
    PROOF = "PROOF", "Of the right form, but the hashes do not lead to the root."
    SIGNATURE = "SIGNATURE", "A signature or share does not verify under the key it claims."
    POLICY = "POLICY", "True, but not enough of it: too few signatures, or none that this charter knows."
    # Refusals by the rules.
    TOO_LARGE = "TOO_LARGE", "Larger than the limit; split it or send less."
    WRONG_LEDGER = "WRONG_LEDGER", "The statement names another ledger; check which charter this client is set up for."
    UNKNOWN_KIND = "UNKNOWN_KIND", "The rules of this ledger version know no such kind of statement."
    UNKNOWN_ISSUER = "UNKNOWN_ISSUER", "Nobody of this name is registered; a nation must register a lab first."
    WRONG_ISSUER = "WRONG_ISSUER", "This issuer may not make this kind of statement, or not about this subject."
    WRONG_KEY = "WRONG_KEY", "Not signed by a key that is registered for the issuer."
    KEY_REVOKED = "KEY_REVOKED", "The key was revoked at an earlier ledger index."
    COUNTERSIGNATURE_MISSING = (
        "COUNTERSIGNATURE_MISSING",
        "A signature that this kind needs beside the issuer's is missing or wrong.",
    )
    WRONG_SEQUENCE = (
        "WRONG_SEQUENCE",
        "The sequence is not the issuer's last plus one; fetch the issuer's position and rebuild.",
    )
    WRONG_PREVIOUS = "WRONG_PREVIOUS", "`previous` is not the leaf hash of the issuer's last entry."
    EQUIVOCATION = (
        "EQUIVOCATION",
        "Another statement with this issuer and sequence is already known: two stories, which is evidence.",
    )
    DUPLICATE = "DUPLICATE", "This very statement is already on the ledger; its receipt is the answer."
    INTERVAL_NOT_OVER = "INTERVAL_NOT_OVER", "A report may be filed only after its interval has ended in ledger time."
    INTERVAL_BEFORE_REGISTRATION = "INTERVAL_BEFORE_REGISTRATION", "The interval began before the lab was registered."
    INTERVAL_ALREADY_REPORTED = "INTERVAL_ALREADY_REPORTED", "There is a report for this interval; file a correction."
    NOTHING_TO_CORRECT = (
        "NOTHING_TO_CORRECT",
        "The statement corrects one that is not its issuer's latest on the same subject.",
    )
    UNKNOWN_CLUSTER = "UNKNOWN_CLUSTER", "The cluster is not registered for this lab at this interval."
    ALREADY_REGISTERED = "ALREADY_REGISTERED", "The name belongs to another party already."
    INVALID_FIELD = "INVALID_FIELD", "A field's value breaks a rule of the charter."
    COMPUTED_ONLY = "COMPUTED_ONLY", "Statements of this kind are computed by the rules and cannot be submitted."
    LIMIT_PROMISE_MISMATCH = "LIMIT_PROMISE_MISMATCH", "`limits_respected` must name exactly the limits in force."
    NOT_MISCONDUCT = "NOT_MISCONDUCT", "The votes are the member's, and an honest member may make them."
    MISCONDUCT_KNOWN = "MISCONDUCT_KNOWN", "The ledger holds evidence of this kind against this member already."
    ID_TAKEN = "ID_TAKEN", "An earlier statement chose this id, and none is used twice; choose another."
    UNKNOWN_PROPOSAL = "UNKNOWN_PROPOSAL", "Nobody proposed this to the committee."
    PROPOSAL_CLOSED = "PROPOSAL_CLOSED", "The proposal was carried, or has lapsed; a new one may be made."
    UNKNOWN_PAUSE = "UNKNOWN_PAUSE", "Nobody proposed a pause of this id."
    PAUSE_CLOSED = "PAUSE_CLOSED", "The pause is over, or not at the stage at which this can be said of it."
    TERMS_MISMATCH = "TERMS_MISMATCH", "What stands under this id has another content; read it before you agree to it."
    ALREADY_BOUND = "ALREADY_BOUND", "The issuer has bound itself to this pause, and cannot take it back or change it."
    FREEZE_KNOWN = "FREEZE_KNOWN", "The run was frozen under this pause before; where it stood then is what counts."
    BEACON_KNOWN = "BEACON_KNOWN", "The ledger has this round's beacon already; nothing remains to be done."
    ROUND_NOT_OPEN = (
        "ROUND_NOT_OPEN",
        "It is not this round's turn: it is not open, or an earlier one has no beacon yet.",
    )
    CHALLENGE_KNOWN = (
        "CHALLENGE_KNOWN",
        "The id was used, or the nation has a challenge open on this cluster's interval.",
    )
    NOTHING_TO_CHALLENGE = (
        "NOTHING_TO_CHALLENGE",
        "No declaration was filed for the interval, or its challenge window is over.",
    )
    NOT_AWAITED = "NOT_AWAITED", "Nobody waits for this: it was answered, its time has passed, or it was never asked."
    FINDING_KNOWN = "FINDING_KNOWN", "This inspector has said what they found; a finding is not changed."
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT", "Nobody and nothing of this name is registered on this ledger."
    INTERVAL_NOT_BEGUN = "INTERVAL_NOT_BEGUN", "The interval has not begun in ledger time."
    INTERVAL_TOO_OLD = "INTERVAL_TOO_OLD", "The interval lies too far back for this statement; nothing is back-dated."
    TRANSFER_KNOWN = (
        "TRANSFER_KNOWN",
        "This side has spoken of this transfer; correct that statement, or choose another id for another transfer.",
    )
    TRANSFER_SETTLED = "TRANSFER_SETTLED", "Both sides agree on this transfer; what moves back is another one."
    TOO_MANY_OPEN = "TOO_MANY_OPEN", "As many of these as one may have are open; wait until some are settled."
    YEAR_QUOTA_EXCEEDED = "YEAR_QUOTA_EXCEEDED", "The issuer has made as many of these within a year as it may."
    UNKNOWN_RUN = "UNKNOWN_RUN", "The lab has no run of this id on the ledger; it must be declared or started first."
    RUN_STATE = "RUN_STATE", "Where the run stands, this cannot be said of it."
    RUN_FROZEN = "RUN_FROZEN", "Statements of a frozen run repeat its weights and its salted digests."
    BAND_FALLS = "BAND_FALLS", "What a run has done so far cannot become less."
    LINEAGE = "LINEAGE", "The base model is not the one named, or the bands do not hold its operations."
    UNKNOWN_REVIEW = "UNKNOWN_REVIEW", "The lab has not handed this model in for review."
    REVIEW_STATE = "REVIEW_STATE", "Where the review or the model stands, this cannot be said of it."
    # Service and network conditions.
    MEMPOOL_FULL = "MEMPOOL_FULL", "The node holds as many waiting statements as it may; retry after the time given."
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED", "This issuer has too many statements waiting; retry once some are sealed."
    DRAINING = "DRAINING", "The node is shutting down; use another node."
    NOT_FOUND = "NOT_FOUND", "No such entry, statement, block or checkpoint here (yet)."
    NOT_READY = "NOT_READY", "The node has not finished founding or catching up."
    TIMEOUT = "TIMEOUT", "Not sealed in the time the caller allowed; the statement stays submitted, ask again."
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS", "The node serves as many streams as it may; retry later or use another node."
    UNAUTHENTICATED = "UNAUTHENTICATED", "The caller did not prove an identity this service accepts."
    CLOCK_AHEAD = "CLOCK_AHEAD", "The time stated is further ahead of this node's clock than allowed."
    # Local conditions of an operator, lab or observer.
    CONFIG = "CONFIG", "The configuration is wrong; the message names the setting."
    PASSPHRASE = "PASSPHRASE", "The passphrase does not open this key file."
    KEY_FILE_DAMAGED = "KEY_FILE_DAMAGED", "The key file is missing or not what was written; restore it from a backup."
    STORE_DAMAGED = "STORE_DAMAGED", "The database or vote log does not match its own checksums or the ledger's hashes."
    DISK_FULL = "DISK_FULL", "The disk refused a write; nothing was half-written. Free space and start again."
    PORT_TAKEN = "PORT_TAKEN", "Another process listens on that address."
    VERSION_MISMATCH = "VERSION_MISMATCH", "The other side speaks another version of this protocol or format."
    UNREACHABLE = "UNREACHABLE", "No address given answered; check them and the network."


def shorten(found: object) -> str:
    """Render what was found for a message: one line, bounded, control characters escaped."""
    text = found if isinstance(found, str) else repr(found)
    return _one_line(text, ERROR_FOUND_CHARACTERS_MAX)


def _one_line(text: str, limit: int) -> str:
    text = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class LedgerError(ValueError):
    """Bad input, of whatever kind; catch this at an edge, raise one of its kinds.

    Each part is one line and bounded: names and neighbours of what was found may come from a stranger too.

    Attributes:
        code: stable name of the condition.
        field: dotted name of the part that is wrong.
        found: what stood there, shortened; never a secret.
        expected: what would be right.
    """

    default_code: ClassVar[Code]

    def __init__(self, *, field: str, found: object, expected: str, code: Code | None = None) -> None:
        """Keep the four parts and make one readable sentence of them."""
        self.code = self.default_code if code is None else code
        self.field = _one_line(field, ERROR_PART_CHARACTERS_MAX)
        self.found = shorten(found)
        self.expected = _one_line(expected, ERROR_PART_CHARACTERS_MAX)
        super().__init__(f"{self.field}: found {self.found}; expected {self.expected} [{self.code}]")

    def inside(self, place: object) -> Self:
        """Give the same error, which also names the file it was found in."""
        error = type(self).__new__(type(self))
        field = f"{place}: {self.field}"
        LedgerError.__init__(error, field=field, found=self.found, expected=self.expected, code=self.code)
        return error


class FormatError(LedgerError):
    """These bytes are not of the form."""

    default_code = Code.FORMAT


class ProofError(LedgerError):
    """Of the form, but the mathematics says no."""

    default_code = Code.PROOF


class SignatureError(LedgerError):
    """A signature does not verify under a key it must verify under."""

    default_code = Code.SIGNATURE


class PolicyError(LedgerError):
    """True, but not enough of it (quorum, witnesses)."""

    default_code = Code.POLICY


class ConditionError(LedgerError):
    """Nothing is wrong with the bytes: a node, a disk, a port or a configuration is not in the state needed."""

    default_code = Code.NOT_READY


@dataclass(frozen=True, slots=True)
class Rejection:
    """The rules' answer when a statement may not enter: the same four parts as an error, as a value."""

    code: Code
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        """One readable sentence, the same as the error's."""
        return f"{self.field}: found {self.found}; expected {self.expected} [{self.code}]"


def reject(code: Code, *, field: str, found: object, expected: str) -> Rejection:
    """Make a `Rejection` with `found` shortened."""
    return Rejection(
        code=code,
        field=_one_line(field, ERROR_PART_CHARACTERS_MAX),
        found=shorten(found),
        expected=_one_line(expected, ERROR_PART_CHARACTERS_MAX),
    )


class RejectedError(LedgerError):
    """A `Rejection` on its way through an interface that speaks in exceptions (services, clients)."""

    default_code = Code.INVALID_FIELD

    def __init__(self, rejection: Rejection) -> None:
        """Carry the rejection's parts unchanged."""
        super().__init__(field=rejection.field, found=rejection.found, expected=rejection.expected, code=rejection.code)
