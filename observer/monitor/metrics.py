"""What a monitor counts and measures, for Prometheus; each name is defined here and nowhere else.

Labels come from closed sets (the sources and outlets of the settings, kinds of alarms, relations), so no outsider can
make the number of series grow.
Source: Prometheus exposition format, and its naming practices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ledger.network import NetworkState
from ledger.positions import Millis
from observer.agreement import Relation
from observer.monitor.journal import OutletState
from observer.monitor.kinds import Kind
from observer.monitor.looking import Look

PREFIX: Final = "counterseal_watch"
RESULTS: Final = ("given", "failed", "left_off")
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class WatchMetrics:
    """A monitor's registry. Told by several threads; the library locks each value."""

    def __init__(self, *, sources: Sequence[str], outlets: Sequence[str], clock: Callable[[], Millis]) -> None:
        """Make every series, so that what has not happened yet is a zero and not an absence.

        Args:
            sources: URLs of the sources.
            outlets: names of the outlets.
            clock: of this machine.
        """
        self.registry = CollectorRegistry(auto_describe=True)
        self._clock, self._head_ms = clock, Millis(0)
        self._height = self._gauge("height", "Newest block of the copy.")
        self._head_age = self._gauge("head_age_seconds", "Age of that block by this machine's clock.")
        self._source = self._gauge(
            "source", "1 for how the source stood to the copy when it was last looked at.", "source", "relation"
        )
        self._network = self._gauge("network", "1 for the word that stands for the network.", "state")
        self._looks = self._counter("looks", "Looks, by whether a source was followed to its head.", "result")
        self._success = self._gauge("last_sync_success_seconds", "When a source was last followed to its head.")
        self._alarms = self._counter("alarms", "Alarms recorded since the start, by kind.", "kind")
        self._deliveries = self._counter("deliveries", "Alarms given, attempts failed, left off.", "outlet", "result")
        self._waiting = self._gauge("waiting", "Alarms that lie behind what the outlet was given.", "outlet")
        self._left_off = self._gauge("left_off", "Alarms that the outlet was never given, ever.", "outlet")
        self._head_age.set_function(self._compute_age_s)
        for source in sources:
            for relation in Relation:
                self._source.labels(source, relation.value)
        for kind in Kind:
            self._alarms.labels(kind.value)
        for outlet in outlets:
            for result in RESULTS:
                self._deliveries.labels(outlet, result)
        for result in ("followed", "not_followed", "failed"):
            self._looks.labels(result)
        self._sources, self._outlets = frozenset(sources), frozenset(outlets)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, namespace=PREFIX, registry=self.registry)

    def _compute_age_s(self) -> float:
        return (self._clock() - self._head_ms) / 1000 if self._head_ms else float("nan")

    def on_look(self, look: Look) -> None:
        """A look was made."""
        result = "failed" if look.error is not None else "followed" if look.is_followed else "not_followed"
        self._looks.labels(result).inc()
        if look.is_followed:
            self._success.set(look.at_ms / 1000)
        if look.head is not None:
            self._height.set(look.head.header.height)
            self._head_ms = look.head.header.time_ms
        for outcome in look.outcomes:
            for relation in Relation if outcome.source in self._sources else ():
                self._source.labels(outcome.source, relation.value).set(relation is outcome.relation)
        for state in NetworkState if look.network is not None else ():
            self._network.labels(state.value).set(state is look.network)
        for alarm in look.alarms:
            self._alarms.labels(alarm.kind.value).inc()

    def on_outlets(self, outlets: Mapping[str, OutletState], *, last_number: int) -> None:
        """How every outlet stands."""
        for name, outlet in outlets.items():
            if name in self._outlets:
                self._waiting.labels(name).set(last_number - outlet.position)
                self._left_off.labels(name).set(outlet.left_off_count)

    def on_result(self, outlet: str, result: str) -> None:
        """An alarm was given, an attempt failed, or an alarm was left off."""
        self._deliveries.labels(outlet, result).inc()

    def encode(self) -> bytes:
        """Everything in the exposition format, `CONTENT_TYPE`."""
        return generate_latest(self.registry)
