"""The alerts and the dashboard, held against what the two processes really expose."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes.client import Configuration

from injector import main as injector
from injector.config import Config
from injector.metrics import Metrics
from injector.readiness import Obstacles
from sidecar.counters import create_counters
from sidecar.metrics import create_metrics_app
from tests.injector.cases import ENVIRON
from tests.kustomize.manifests import KUSTOMIZE

MONITORING = KUSTOMIZE / "components" / "monitoring"
SIDECARS = KUSTOMIZE / "components" / "sidecar-metrics"
ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "podrole.json").read_text())
RULES = [rule for group in ALERTS["spec"]["groups"] for rule in group["rules"]]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    panel["title"]: " or ".join(target["expr"] for target in panel["targets"]) for panel in DASHBOARD["panels"]
}
OF_OTHERS = {"up", "apiserver_admission_webhook_rejection_count"}
WRITTEN = {rule["alert"]: rule["annotations"]["summary"] + rule["annotations"]["description"] for rule in RULES}


def list_injector_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """All names of the injector; its threads are not started."""
    metrics = Metrics()
    config = Config.from_environ(ENVIRON)
    monkeypatch.setattr("injector.main.Renewal.prepare", lambda _: None)
    monkeypatch.setattr("injector.main.Renewal.start", lambda _: None)
    monkeypatch.setattr("injector.cluster.live.load_configuration", lambda: Configuration(host="https://127.0.0.1"))
    monkeypatch.setattr("injector.cluster.watched.WatchedCluster.version", lambda _: None)
    monkeypatch.setattr("injector.cluster.watched.WatchedCluster.start", lambda _: None)
    injector.load_cluster(config, metrics, Obstacles())
    injector.load_tls(config, metrics, Obstacles())
    for line in metrics.render().decode().splitlines():
        if match := re.match(r"# TYPE (\w+) (\w+)", line):
            name, kind = match.groups()
            yield from [name] if kind != "histogram" else [f"{name}_{end}" for end in ("bucket", "sum", "count")]


def list_sidecar_metrics() -> Iterator[str]:
    """All names of a sidecar."""
    app = create_metrics_app(create_counters(), lambda: 0.0)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    body = b"".join(app(environ, lambda *_: lambda _: None))
    yield from re.findall(r"# TYPE (\w+) ", body.decode())


def find_names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring) ?\([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:podrole_\w+|apiserver_\w+|up)\b", without_labels))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_names_only_metrics_that_are_exposed(monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    exposed = {
        "podrole-injector": {*list_injector_metrics(monkeypatch), "up"},
        "podrole-sidecar": {*list_sidecar_metrics(), "up"},
    }
    expression = EXPRESSIONS[title]
    jobs = set(re.findall(r'job="([\w-]+)"', expression))

    named = find_names(expression)

    assert named, expression
    assert named - OF_OTHERS <= set().union(*(exposed[job] for job in jobs))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_says_whose_metric_it_means(title: str) -> None:
    """Both processes count `podrole_requests_total`."""
    selectors = re.findall(r"\b(?:podrole_\w+|up)\b(\{[^}]*\})?", re.sub(r"unless \w+ offset", "", EXPRESSIONS[title]))

    assert all("job=" in selector for selector in selectors)


@pytest.mark.parametrize("alert", WRITTEN)
def test_alert_says_what_is_wrong_and_how_bad_it_is(alert: str) -> None:
    rule = next(rule for rule in RULES if rule["alert"] == alert)

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith((".", ")."))
    assert rule["annotations"]["description"].endswith(".")


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine: it is in Debian's package prometheus")
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(ALERTS["spec"]))
    tests = Path(__file__).with_name("alerts.test.yaml")
    (tmp_path / tests.name).write_text(tests.read_text())

    done = subprocess.run(
        [promtool, "test", "rules", tests.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_with_promtool() -> None:
    tested = Path(__file__).with_name("alerts.test.yaml").read_text()

    assert [rule["alert"] for rule in RULES if rule["alert"] not in tested] == []


def test_monitors_find_what_is_there() -> None:
    monitor = yaml.safe_load((MONITORING / "monitor.yaml").read_text())
    service = yaml.safe_load((KUSTOMIZE / "base" / "service.yaml").read_text())
    base = yaml.safe_load((KUSTOMIZE / "base" / "kustomization.yaml").read_text())

    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= base["labels"][0]["pairs"].items()


@pytest.mark.parametrize(("address", "target"), [("10.1.2.3", "10.1.2.3:16926"), ("fd00::1", "[fd00::1]:16926")])
def test_sidecars_are_asked_on_their_pod_s_address(address: str, target: str) -> None:
    monitor = yaml.safe_load((SIDECARS / "monitor.yaml").read_text())
    found = ""

    for rule in monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]:
        if rule.get("targetLabel") == "__address__" and (match := re.fullmatch(rule["regex"], address)):
            found = match.expand(rule["replacement"].replace("$1", r"\1"))

    assert found == target


def test_dashboard_s_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()

    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells

    assert max(x for x, _ in taken) == 23
