"""What Prometheus reads. No label has more values than there are reasons: a pod's name is in none."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from injector.webhook.decision_log import DecisionLogEntry

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds; the API server waits for 5."""


class Metrics:
    """All of the injector's metrics, in a registry of their own: nothing of the process is in it unasked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("podrole_admission_requests", "Reviews answered.")
        self._injected = self._counter("podrole_pods_injected", "Pods that got their role.", "mode")
        self._blocked = self._counter(
            "podrole_pods_blocked", "Pods without a role, whose metadata addresses were closed."
        )
        self._skipped = self._counter("podrole_pods_skipped", "Pods allowed as they came.", "reason")
        self._denied = self._counter("podrole_pods_denied", "Pods denied by a rule.", "reason")
        self._errors = self._counter(
            "podrole_admission_errors", "Pods denied because a decision was not possible.", "reason"
        )
        self._latency = Histogram(
            "podrole_admission_duration_seconds",
            "Seconds to answer a review.",
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._watch_restarts = self._counter("podrole_watch_restarts", "Watches begun anew.", "kind", "reason")
        self.live_reads = {
            "Namespace": self._counter("podrole_namespace_live_reads", "Namespaces that the cache did not have yet."),
            "ServiceAccount": self._counter("podrole_sa_live_reads", "ServiceAccounts that it did not have yet."),
        }

    def count(self, record: DecisionLogEntry) -> None:
        """Count one answer."""
        self._requests.inc()
        self._latency.observe(record.seconds)
        match record.outcome:
            case "Inject":
                self._injected.labels(record.mode).inc()
            case "Block":
                self._blocked.inc()
            case outcome:
                counter = {"Skip": self._skipped, "Deny": self._denied}.get(outcome, self._errors)
                for reason in record.reasons:
                    counter.labels(reason).inc()

    def count_live_read(self, kind: str) -> None:
        """Count one question to the API server that the cache could not answer."""
        self.live_reads[kind].inc()

    def count_watch_restart(self, kind: str, reason: str) -> None:
        """Count a watch that began anew; `ended` is its normal end, once a minute."""
        self._watch_restarts.labels(kind, reason).inc()

    def watch(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a value that is read whenever Prometheus asks."""
        Gauge(name, meaning, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)
