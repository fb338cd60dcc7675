"""The injector's metrics. Labels have few values: never names of pods, and those of some namespaces only."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from injector.decision.outcomes import Outcome
from injector.webhook.decision_log import DecisionLogEntry
from injector.webhook.denials import DenialCounts
from injector.webhook.workload_warnings import WorkloadOutcome
from server.background import BackgroundThread

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds; the API server waits for at most 5."""

KINDS = ("Namespace", "ServiceAccount")
"""What the cache holds."""

READ_LIMITS = ("known", "namespace", "unknown")
"""Which limit of waiting reviews was reached."""

Read = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _ScrapeCollector(Collector):
    """Builds one metric each time that Prometheus scrapes."""

    build: Callable[[], Metric]

    def collect(self) -> Iterable[Metric]:
        return [self.build()]


class Metrics:
    """All metrics of the injector, in their own registry: without the defaults of the client library.

    Names of counters are passed without `_total`, which the client library appends.
    """

    def __init__(self, worker_starts: int = 1) -> None:
        self._registry = CollectorRegistry()
        self.counter(
            "podrole_worker_starts",
            "Workers that this replica has started. More than one: a worker died, and its counters are lost.",
            lambda: worker_starts,
        )
        self.denials = DenialCounts()
        self._registry.register(_ScrapeCollector(self._build_denials))
        self._threads: list[BackgroundThread] = []
        self._export_threads()
        self._requests = self._counter("podrole_admission_requests", "Admission reviews answered.")
        self._injected = self._counter("podrole_pods_injected", "Pods injected, by mode.", "mode")
        self._blocked = self._counter(
            "podrole_pods_blocked", "Pods without a role whose access to instance metadata was blocked."
        )
        self._skipped = self._counter("podrole_pods_skipped", "Pods allowed without a change, by reason.", "reason")
        self._denied = self._counter("podrole_pods_denied", "Pods denied by a rule, by reason.", "reason")
        self._errors = self._counter(
            "podrole_admission_errors", "Pods denied because no decision was possible, by reason.", "reason"
        )
        self._latency = Histogram(
            "podrole_admission_duration_seconds",
            "Time to answer an admission review.",
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._workload_reviews = self._counter(
            "podrole_workload_reviews", "Reviews of workloads answered, which are never denied, by outcome.", "outcome"
        )
        for workload_outcome in WorkloadOutcome:
            self._workload_reviews.labels(workload_outcome)
        self._watch_restarts = self._counter("podrole_watch_restarts", "Watches restarted.", "kind", "reason")
        self._live_reads = self._counter(
            "podrole_live_reads", "Reads that went to the API server because the cache could not answer.", "kind"
        )
        self._refused_reads = self._counter(
            "podrole_live_reads_refused", "Reviews that got 429 as too many waited for reads, by limit.", "limit"
        )
        for limit in READ_LIMITS:
            self._refused_reads.labels(limit)
        for kind in KINDS:  # at 0 from the start: `increase` does not count the step from no series to 1
            self._live_reads.labels(kind)

    def count(self, entry: DecisionLogEntry) -> None:
        """Count one answer."""
        self._requests.inc()
        self._latency.observe(entry.seconds)
        if entry.outcome is Outcome.DENY:
            self.denials.count(entry.namespace, entry.reasons)
        match entry.outcome:
            case Outcome.INJECT:
                self._injected.labels(entry.mode).inc()
            case Outcome.BLOCK:
                self._blocked.inc()
            case outcome:
                counter = {Outcome.SKIP: self._skipped, Outcome.DENY: self._denied}.get(outcome, self._errors)
                for reason in entry.reasons:
                    counter.labels(reason).inc()

    def count_workload(self, outcome: WorkloadOutcome) -> None:
        """Count one answer about a workload."""
        self._workload_reviews.labels(outcome).inc()

    def count_live_read(self, kind: str) -> None:
        """Count one read that went to the API server because the cache could not answer."""
        self._live_reads.labels(kind).inc()

    def count_refused_read(self, limit: str) -> None:
        """Count one review that got 429; the limits are those of `injector.k8s.live_reads`."""
        self._refused_reads.labels(limit).inc()

    def count_watch_restart(self, kind: str, reason: str) -> None:
        """Count a restarted watch; the reason `ended` is the normal end, about once a minute."""
        self._watch_restarts.labels(kind, reason).inc()

    def gauge(self, name: str, description: str, read: Read) -> None:
        """Export a value that is read at each scrape."""
        self._registry.register(_ScrapeCollector(lambda: GaugeMetricFamily(name, description, value=read())))

    def gauge_by_kind(self, name: str, description: str, read: Callable[[], Mapping[str, float | None]]) -> None:
        """Export one value for each kind of object, read at each scrape; None becomes NaN."""
        self._export(GaugeMetricFamily, name, description, "kind", read)

    def gauge_by_field(self, name: str, description: str, read: Callable[[], Mapping[str, float | None]]) -> None:
        """Export one value for each field of an object, read at each scrape; None becomes NaN."""
        self._export(GaugeMetricFamily, name, description, "field", read)

    def counter_by_reason(self, name: str, description: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Export one count for each reason, read at each scrape."""
        self._export(CounterMetricFamily, name, description, "reason", read)

    def add_thread(self, thread: BackgroundThread) -> None:
        """Export the errors of a thread, and when it last completed a pass."""
        self._threads.append(thread)

    def counter(self, name: str, description: str, read: Read) -> None:
        """Export a count that only grows, read at each scrape."""
        self._registry.register(_ScrapeCollector(lambda: CounterMetricFamily(name, description, value=read())))

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _build_denials(self) -> Metric:
        description = "Pods denied by a rule, by the namespace of the pod and reason; two reasons count for both."
        family = CounterMetricFamily("podrole_admission_denials", description, labels=["pod_namespace", "reason"])
        for labels, count in self.denials.copy().items():
            family.add_metric(labels, count)
        return family

    def _export_threads(self) -> None:
        self._export(
            CounterMetricFamily,
            "podrole_thread_failures",
            "Errors that ended the work of a background thread; it starts again.",
            "thread",
            lambda: {thread.name: thread.failures for thread in self._threads},
        )
        self._export(
            GaugeMetricFamily,
            "podrole_thread_last_pass_age_seconds",
            "Time since a background thread last completed a pass without an error.",
            "thread",
            lambda: {thread.name: thread.pass_age_seconds for thread in self._threads},
        )

    def _export(
        self,
        family_class: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        description: str,
        label: str,
        read: Callable[[], Mapping[str, float | None]],
    ) -> None:
        def build() -> Metric:
            family = family_class(name, description, labels=[label])
            for value_of_label, value in list(read().items()):  # other threads can add a label value
                family.add_metric([value_of_label], math.nan if value is None else value)
            return family

        self._registry.register(_ScrapeCollector(build))

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self._registry)
