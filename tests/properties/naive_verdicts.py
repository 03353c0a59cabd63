"""Verdicts computed the slow and obvious way: from the whole list of blocks, again for every block.

It shares no code with the rules: it reads entries as plain JSON, keeps no state between blocks but what was said last,
and asks every question anew for every lab, cluster and interval. Times are milliseconds.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Triple = tuple[str, str, int]
Saying = tuple[str, tuple[str, ...], str]
"""State, reasons, and the leaf hash of the report."""

SEVERITY = ["compliant", "pending", "late", "unverifiable", "contested", "missing", "exceeded"]
STATES = {
    "NOT_FILED_BY_DUE": "pending",
    "NOT_FILED_BY_GRACE": "missing",
    "FILED_AFTER_DUE": "late",
    "FILED_AFTER_GRACE": "late",
    "ROW_MISSING": "unverifiable",
    "CORRECTED_AFTER_WINDOW": "contested",
    "LIMIT_EXCEEDED_BY_DECLARATION": "exceeded",
}


@dataclass
class Declaration:
    """A report or correction, and the number of the block it stands in."""

    block: int
    time: int
    leaf: str
    rows: dict[str, bool]  # cluster: are all limits respected


@dataclass
class NaiveLedger:
    """Reads blocks one by one and says which verdicts each must open with."""

    start: int
    interval: int
    submit: int
    grace: int
    correction: int
    founded: int
    extension: int = 0
    times: list[int] = field(default_factory=list)
    clusters: list[tuple[int, str, str, str]] = field(default_factory=list)  # time, lab, nation, cluster
    declarations: dict[tuple[str, int], list[Declaration]] = field(default_factory=dict)
    said: dict[Triple, tuple[int, Saying]] = field(default_factory=dict)
    extended: dict[tuple[str, int], None] = field(default_factory=dict)  # labs and intervals with an outage in time

    def open(self, time: int) -> dict[Triple, Saying]:
        """The verdicts that are new in a block of this time."""
        self.times.append(time)
        new: dict[Triple, Saying] = {}
        for lab, cluster, interval in self.duties(time):
            saying = self.judge(lab, cluster, interval, time)
            before = self.said.get((lab, cluster, interval))
            if before is None or before[1][:2] != saying[:2] or self.is_fresh(lab, cluster, interval, before[0]):
                new[lab, cluster, interval] = saying
                self.said[lab, cluster, interval] = (len(self.times), saying)
        return new

    def close(self, entries: Sequence[bytes]) -> None:
        """Take in the entries that were submitted to the block opened last."""
        for entry in entries:
            envelope = json.loads(entry)
            if "payload" not in envelope:
                continue
            statement = json.loads(base64.b64decode(envelope["payload"]))
            kind, predicate = statement["predicateType"].split(":")[2], statement["predicate"]
            if kind == "registration":
                known = {cluster for _, _, _, cluster in self.clusters}
                self.clusters += [
                    (self.times[-1], predicate["lab"], predicate["issuer"], cluster["id"])
                    for cluster in predicate["clusters"]
                    if cluster["id"] not in known
                ]
            elif kind == "incident":
                self.tell(predicate)
            else:
                self.declare(entry, predicate)

    def tell(self, predicate: dict[str, Any]) -> None:  # as json.loads gave it
        lab, interval = predicate["issuer"], predicate["interval"]
        if predicate["category"] == "outage" and self.times[-1] < self.deadlines(lab, interval)[0]:
            self.extended[lab, interval] = None

    def declare(self, entry: bytes, predicate: dict[str, Any]) -> None:  # as json.loads gave it
        rows = {row["cluster"]: all(line["respected"] for line in row["limits_respected"]) for row in predicate["rows"]}
        leaf = hashlib.sha256(b"\x00" + entry).hexdigest()
        declaration = Declaration(len(self.times), self.times[-1], leaf, rows)
        self.declarations.setdefault((predicate["issuer"], predicate["interval"]), []).append(declaration)

    def duties(self, time: int) -> Iterator[Triple]:
        """Every cluster and interval that is due by now."""
        for registered, lab, _, cluster in self.clusters:
            interval = 0
            while self.end(interval) <= time:
                begins_after = self.start + interval * self.interval > registered
                if begins_after and time >= self.deadlines(lab, interval)[0]:
                    yield lab, cluster, interval
                interval += 1

    def end(self, interval: int) -> int:
        return self.start + (interval + 1) * self.interval

    def deadlines(self, lab: str, interval: int) -> tuple[int, int]:
        """Due and end of grace, moved by each outage in turn while they were open."""
        end = self.end(interval)
        due = end + self.submit + (self.extension if (lab, interval) in self.extended else 0)
        grace = due + self.grace
        for before, after in zip([self.founded, *self.times], self.times, strict=False):
            if after - before <= 2 * self.interval + self.submit + self.grace:
                continue
            if before < due and after > end:
                lost = after - max(before, end)
                due, grace = due + lost, grace + lost
            elif due <= before < grace:
                grace += after - before
        return due, grace

    def judge(self, lab: str, cluster: str, interval: int, time: int) -> Saying:
        """What is to be said now."""
        due, grace = self.deadlines(lab, interval)
        filed = self.declarations.get((lab, interval), [])
        if not filed:
            reasons = ["NOT_FILED_BY_DUE" if time < grace else "NOT_FILED_BY_GRACE"]
            return STATES[reasons[0]], tuple(reasons), "00" * 32
        found: dict[str, None] = {}
        if filed[0].time >= due:
            found["FILED_AFTER_DUE" if filed[0].time < grace else "FILED_AFTER_GRACE"] = None
        free = [d for d in filed if d is filed[0] or d.time < due + self.correction]
        late = filed[len(free) :]
        if late:
            found["CORRECTED_AFTER_WINDOW"] = None
        for declaration in [free[-1], *late]:
            if cluster not in declaration.rows:
                found["ROW_MISSING"] = None
            elif not declaration.rows[cluster]:
                found["LIMIT_EXCEEDED_BY_DECLARATION"] = None
        reasons = sorted(found)
        state = max((STATES[reason] for reason in reasons), key=SEVERITY.index, default="compliant")
        return state, tuple(reasons), filed[-1].leaf

    def is_fresh(self, lab: str, cluster: str, interval: int, since: int) -> bool:
        """Whether the cluster's row was declared since the verdict that opened block number `since`."""
        return any(d.block >= since and cluster in d.rows for d in self.declarations.get((lab, interval), []))
