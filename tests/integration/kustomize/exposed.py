"""The metrics that each process really exposes, read from what it shows Prometheus."""

import re
from collections.abc import Iterator, Mapping

import pytest
from kubernetes.client import Configuration

from injector import __main__ as injector
from injector.config import Config
from injector.webhook.metrics import Metrics
from injector.webhook.readiness import ReadinessGates
from sidecar.endpoints.counters import create_counters
from sidecar.endpoints.metrics import create_metrics_app
from tests.unit.injector.cases import ENVIRON

Families = Mapping[str, str]
"""The type of each metric, by the name that users know."""

INJECTOR = "podrole-injector"
SIDECAR = "podrole-sidecar"
"""The jobs that our monitors give the two."""


def read_injector(monkeypatch: pytest.MonkeyPatch) -> Families:
    """All of the injector's; its threads are not started."""
    metrics = Metrics()
    config = Config.from_environ(ENVIRON)
    monkeypatch.setattr("injector.__main__.Renewal.start", lambda _: None)
    monkeypatch.setattr("injector.k8s.live.load_configuration", lambda: Configuration(host="https://127.0.0.1"))
    monkeypatch.setattr("injector.k8s.watch_cache.WatchedCluster.version", lambda _: None)
    monkeypatch.setattr("injector.k8s.watch_cache.WatchedCluster.start", lambda _: None)
    injector.load_cluster(config, metrics, ReadinessGates())
    injector.load_tls(config, metrics, ReadinessGates())
    return parse_families(metrics.render().decode())


def read_sidecar() -> Families:
    """All of a sidecar's."""
    app = create_metrics_app(create_counters(), lambda: 0.0)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    return parse_families(b"".join(app(environ, lambda *_: lambda _: None)).decode())


def parse_families(text: str) -> Families:
    """What a page of metrics declares, without the times of creation that the library adds by itself."""
    declared = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    return {name: kind for name, kind in declared if not name.endswith("_created")}


def list_series(families: Families) -> Iterator[str]:
    """The names that an expression can use: a histogram has none of its own."""
    for name, kind in families.items():
        yield from [name] if kind != "histogram" else [f"{name}_{end}" for end in ("bucket", "sum", "count")]
