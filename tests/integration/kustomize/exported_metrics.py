"""The metrics that each process exports, parsed from its own /metrics response."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kubernetes.client import Configuration

from injector import services
from injector.config import Config
from injector.webhook.metrics import Metrics
from injector.webhook.readiness import ReadinessGates
from sidecar.endpoints.counters import create_counters
from sidecar.endpoints.metrics import list_metrics, render
from testing.cases import ENVIRON

INJECTOR = "podrole-injector"
SIDECAR = "podrole-sidecar"
"""The `job` labels that our monitors set."""


@dataclass(frozen=True)
class Family:
    """One metric."""

    name: str
    """As Prometheus stores it: a counter's ends in `_total`."""

    kind: str
    """Prometheus' type: counter, gauge, histogram."""

    description: str

    @property
    def series(self) -> list[str]:
        """The names that a query can use: a histogram has three, and none is its own."""
        return [f"{self.name}_{end}" for end in ("bucket", "sum", "count")] if self.kind == "histogram" else [self.name]


Families = dict[str, Family]


def read_injector(monkeypatch: pytest.MonkeyPatch) -> Families:
    """All metrics of the injector, whose threads are not started."""
    metrics = Metrics()
    config = Config.from_environ(ENVIRON)
    monkeypatch.setattr("injector.services.CertManager.start", lambda _: None)
    monkeypatch.setattr("injector.k8s.kubeconfig.load_configuration", lambda: Configuration(host="https://127.0.0.1"))
    monkeypatch.setattr("injector.k8s.watch_cache.CachedReader.version", lambda _: None)
    monkeypatch.setattr("injector.k8s.watch_cache.CachedReader.start", lambda _: None)
    services.export_process(metrics, dict)
    services.load_cluster(config, metrics, ReadinessGates())
    services.load_tls(config, metrics, ReadinessGates())
    return parse_families(metrics.render().decode())


def read_sidecar() -> Families:
    """All metrics of a sidecar."""
    return parse_families(render(list_metrics(create_counters(), 0.0)))


def parse_families(text: str) -> Families:
    """The metrics of a response, without the `_created` timestamps that the client library adds."""
    declared = re.findall(r"^# HELP (\w+) (.*)\n# TYPE \1 (\w+)$", text, re.MULTILINE)
    return {
        name: Family(name, kind, description) for name, description, kind in declared if not name.endswith("_created")
    }


def list_series(families: Families) -> Iterator[str]:
    """The names that a query can use."""
    for family in families.values():
        yield from family.series
