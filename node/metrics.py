"""What a node counts and measures, for Prometheus; each name is defined here and nowhere else.

Names end in their unit; times are in seconds as Prometheus wants them. Labels come from closed sets (members of the
charter, stable error codes), so no outsider can make the number of series grow.
Source: Prometheus exposition format, and its naming practices.
"""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ledger.blocks import Header
from ledger.positions import Epoch, Height, Millis, TreeSize, View
from node.consensus.messages import Misconduct

PREFIX: Final = "counterseal"
ADMITTED: Final = "ADMITTED"
LATENCY_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The node's registry; one a node, so that several nodes in one process stay apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._epoch = self._gauge("epoch", "Committee that votes now.")
        self._view = self._gauge("view", "Attempt number within the epoch.")
        self._height = self._gauge("height", "Newest final block.")
        self._tree_size = self._gauge("tree_size", "Entries that are final.")
        self._block_time = self._gauge("block_time_seconds", "Time that the newest final block states.")
        self._blocks = self._counter(
            "blocks", "Blocks that became final here, by own seal or through a later one.", "sealed"
        )
        self._entries = self._counter("entries", "Entries that became final here.")
        self._mempool_entries = self._gauge("mempool_entries", "Statements that wait for a block.")
        self._mempool_bytes = self._gauge("mempool_bytes", "Bytes of the statements that wait.")
        self._submissions = self._counter(
            "submissions", "Statements of labs and members taken in (ADMITTED) or refused here, by code.", "code"
        )
        self._finality = Histogram(
            "finality_seconds",
            "From admission here to finality.",
            namespace=PREFIX,
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._published_tree_size = self._gauge("published_tree_size", "Size of the newest published checkpoint.")
        self._target_tree_size = self._gauge(
            "target_tree_size", "Size of the newest checkpoint that this node published there.", "target"
        )
        self._target_failing = self._gauge(
            "target_failing", "1 while publishing there fails and is tried again.", "target"
        )
        self._target_failures = self._counter("target_failures", "Tries to publish there that failed.", "target")
        self._peer_up = self._gauge("peer_up", "1 while this node's link to the member stands.", "member")
        self._peer_skew = self._gauge("peer_clock_skew_seconds", "The member's clock minus this one.", "member")
        self._peer_height = self._gauge("peer_height", "Newest final height the member told.", "member")
        self._peer_refused = self._counter(
            "peer_refused", "Messages of the member refused, by reason.", "member", "reason"
        )
        self._evidence = self._counter("evidence", "Members' misconduct seen with proof, by kind.", "kind")
        self._faulted = self._gauge(
            "faulted", "1 if this misconduct of the member is proven on the ledger, else 0.", "member", "kind"
        )
        self._tls_not_after = self._gauge("tls_not_after_seconds", "End of validity of the TLS certificate.", "member")
        self._history = self._gauge("history_height", "The snapshot begun from, and what is audited.", "of")
        self._beacon_drawn = self._gauge("beacon_rounds_drawn", "Inspection rounds that have their beacon.")
        self._beacon_open = self._gauge("beacon_rounds_open", "Inspection rounds that wait for their beacon.")
        self._beacon_missing = self._gauge(
            "beacon_share_missing", "1 while the first open round lacks the member's share here, else 0.", "member"
        )
        self._witness_tree_size = self._gauge(
            "witness_tree_size", "Largest tree that the external witness cosigned since this node runs.", "witness"
        )
        self._witness_answers = self._counter(
            "witness_answers", "What became of questions to the external witness.", "witness", "outcome"
        )
        self._witnessed = self._counter(
            "witnessed", "Requests of foreign logs that this node answered as their witness, by HTTP status.", "status"
        )
        self._totals: dict[tuple[str, ...], int] = {}

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def on_view(self, epoch: Epoch, view: View) -> None:
        """The node entered a view."""
        self._epoch.set(epoch)
        self._view.set(view)

    def on_block(self, header: Header, *, is_sealed: bool) -> None:
        """A block became final, with its own seal or through a descendant's."""
        self._height.set(header.height)
        self._tree_size.set(header.tree_size)
        self._block_time.set(header.time_ms / 1000)
        self._blocks.labels("true" if is_sealed else "false").inc()
        self._entries.inc(header.entry_count)

    def on_history(self, begun_at: Height, audited: Height) -> None:
        """The node began from a snapshot, and has audited so far."""
        self._history.labels("begun").set(begun_at)
        self._history.labels("audited").set(audited)

    def on_submissions(self, *, admitted: int, refused: Mapping[str, int]) -> None:
        """How many statements were admitted so far, and how many refused with each code."""
        for code, total in {ADMITTED: admitted, **refused}.items():
            self._count_up(self._submissions, total, code)

    def on_finality(self, waited: Millis) -> None:
        """A statement admitted here became final."""
        self._finality.observe(waited / 1000)

    def on_publish(self, size: TreeSize) -> None:
        """A checkpoint was published."""
        self._published_tree_size.set(size)

    def on_target(self, target: str, *, size: TreeSize, is_failing: bool, failures: int) -> None:
        """How far a copy of the published folder is; targets are those of the settings."""
        self._target_tree_size.labels(target).set(size)
        self._target_failing.labels(target).set(is_failing)
        self._count_up(self._target_failures, failures, target)

    def on_evidence(self, kind: Misconduct) -> None:
        """A member was caught with proof."""
        self._evidence.labels(kind.value).inc()

    def on_faults(self, faults: Mapping[tuple[str, str], bool]) -> None:
        """Whether the ledger proves a misconduct: of each member and kind of which anything is known."""
        for (member_id, kind), is_proven in faults.items():
            self._faulted.labels(member_id, kind).set(is_proven)

    def on_beacon(self, *, drawn: int, open_count: int, is_missing: Mapping[str, bool]) -> None:
        """How many rounds have a beacon, how many wait for one, and of each member whether its share is waited for."""
        self._beacon_drawn.set(drawn)
        self._beacon_open.set(open_count)
        for member_id, is_waited_for in is_missing.items():
            self._beacon_missing.labels(member_id).set(is_waited_for)

    def on_peer(self, member_id: str, *, is_connected: bool, skew: Millis, height: int) -> None:
        """What is known of a member's link."""
        self._peer_up.labels(member_id).set(is_connected)
        self._peer_skew.labels(member_id).set(skew / 1000)
        self._peer_height.labels(member_id).set(height)

    def on_refused(self, member_id: str, refused: Mapping[str, int]) -> None:
        """How many of a member's messages were refused so far, by reason."""
        for reason, total in refused.items():
            self._count_up(self._peer_refused, total, member_id, reason)

    def on_witness(self, name: str, *, size: int, outcomes: Mapping[str, int]) -> None:
        """How far an external witness has come, and what became of all questions to it so far."""
        self._witness_tree_size.labels(name).set(size)
        for outcome, total in outcomes.items():
            self._count_up(self._witness_answers, total, name, outcome)

    def on_witnessed(self, answered: Mapping[int, int]) -> None:
        """How many requests this node answered as a witness so far, by HTTP status."""
        for status, total in answered.items():
            self._count_up(self._witnessed, total, f"{status:d}")

    def _count_up(self, counter: Counter, total: int, *labels: str) -> None:
        """Raise a counter to what somebody else has counted."""
        known = self._totals.get(labels, 0)
        counter.labels(*labels).inc(total - known)
        self._totals[labels] = total

    def on_certificates(self, not_after: Mapping[str, int]) -> None:
        """Until when each member's TLS certificate is valid, in Unix seconds."""
        for member_id, end in not_after.items():
            self._tls_not_after.labels(member_id).set(end)

    def measure_mempool(self, entries: Callable[[], int], size_bytes: Callable[[], int]) -> None:
        """Ask the mempool itself whenever someone looks."""
        self._mempool_entries.set_function(entries)
        self._mempool_bytes.set_function(size_bytes)

    def encode(self) -> bytes:
        """Everything in the exposition format, `CONTENT_TYPE`."""
        return generate_latest(self.registry)


CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
