"""Alerts and dashboard use only metrics that the two processes export; promtool checks when each alert fires."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from injector.decision.annotations import POD_ANNOTATIONS
from injector.metadata_keys import SESSION_DURATION
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import state_with
from testing.cluster.manifests import KUSTOMIZE
from tests.integration.kustomize.exported_metrics import Families, list_series

MONITORING = KUSTOMIZE / "components" / "monitoring"
SIDECARS = KUSTOMIZE / "components" / "sidecar-metrics"
ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "podrole.json").read_text())
RULES = [rule for group in ALERTS["spec"]["groups"] for rule in group["rules"]]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    panel["title"]: " or ".join(target["expr"] for target in panel["targets"]) for panel in DASHBOARD["panels"]
}
OPERATIONS_PAGE = (KUSTOMIZE.parent / "docs" / "operations.md").read_text()
FOREIGN_METRICS = {"up", "apiserver_admission_webhook_rejection_count"}
TEXTS = {rule["alert"]: rule["annotations"]["summary"] + rule["annotations"]["description"] for rule in RULES}


def find_names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring) ?\([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:podrole_\w+|apiserver_\w+|up)\b", without_labels))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_uses_only_exported_metrics(exported: dict[str, Families], title: str) -> None:
    expression = EXPRESSIONS[title]
    jobs = set(re.findall(r'job="([\w-]+)"', expression))

    named = find_names(expression)

    assert named, expression
    assert named - FOREIGN_METRICS <= {name for job in jobs for name in list_series(exported[job])}


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_selects_metrics_by_job(title: str) -> None:
    """Every job has an `up`, and the test above needs the job to know which metrics an expression can use."""
    selectors = re.findall(r"\b(?:podrole_\w+|up)\b(\{[^}]*\})?", re.sub(r"unless \w+ offset", "", EXPRESSIONS[title]))

    assert all("job=" in selector for selector in selectors)


@pytest.mark.parametrize("alert", TEXTS)
def test_alert_has_a_severity_and_sentences(alert: str) -> None:
    rule = next(rule for rule in RULES if rule["alert"] == alert)

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith((".", ")."))
    assert rule["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("alert", TEXTS)
def test_operations_page_documents_alert(alert: str) -> None:
    assert parse_alert_sections(OPERATIONS_PAGE).get(alert)


def test_operations_page_documents_the_reasons_that_an_alert_selects() -> None:
    selected = set(re.findall(r'reason=~"([^"]+)"', EXPRESSIONS["PodroleServerProblems"]))
    [reasons] = selected
    [row] = re.findall(r"^\| `podrole_server_problems_total.*$", OPERATIONS_PAGE, re.MULTILINE)

    assert set(reasons.split("|")) <= set(re.findall("`([a-z-]+)`", row))


def test_operations_page_documents_no_removed_alert() -> None:
    assert parse_alert_sections(OPERATIONS_PAGE).keys() == TEXTS.keys()


def parse_alert_sections(text: str) -> dict[str, str]:
    """The text about each alert; one heading can name several."""
    alerts = re.search(r"^## Alerts\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert alerts
    sections = re.findall(r"^### (.+)\n((?:(?!### ).*\n)*)", alerts[1], re.MULTILINE)
    return {alert: text.strip() for heading, text in sections for alert in heading.split(", ")}


@pytest.fixture
def promtool() -> str:
    """From PATH, or from the virtual environment, where requirements/install.sh puts it."""
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("promtool", path=os.pathsep.join((os.environ.get("PATH", os.defpath), beside))):
        return found
    reason = "promtool is not installed: `make test` extracts it from Debian's package prometheus"
    if os.environ.get("CI") == "true" or Path(sys.prefix, "dev.done").exists():  # `make test` was run
        pytest.fail(reason)
    pytest.skip(reason)


def test_promtool_confirms_when_alerts_fire(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(ALERTS["spec"]))
    tests = Path(__file__).with_name("alerts.test.yaml")
    (tmp_path / tests.name).write_text(tests.read_text())

    done = subprocess.run(
        [promtool, "test", "rules", tests.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_tests_every_alert() -> None:
    tested = Path(__file__).with_name("alerts.test.yaml").read_text()

    assert [rule["alert"] for rule in RULES if rule["alert"] not in tested] == []


def test_alert_states_how_long_pods_keep_credentials_when_sts_fails() -> None:
    """STS fails just before the latest possible refresh; the minimum over all session durations that podrole allows."""
    [allowed] = [annotation.type for annotation in POD_ANNOTATIONS if annotation.key == SESSION_DURATION]
    durations = [seconds for seconds in range(0, 100_000, 60) if allowed.accepts(str(seconds))]
    left = min(_seconds_left_at_refresh(seconds) for seconds in durations)

    stated = re.search(r"at least (\d+) minutes", TEXTS["PodroleStsFailing"])
    documented = re.search(r"at least (\d+) minutes", parse_alert_sections(OPERATIONS_PAGE)["PodroleStsFailing"])

    assert durations[0] == 1800
    assert stated
    assert documented
    assert int(stated[1]) == int(documented[1]) == left // 60


def _seconds_left_at_refresh(session_seconds: int) -> float:
    credentials = Credentials("arn:aws:iam::111122223333:role/web", "id", "key", "token", 0, session_seconds)
    return session_seconds - state_with(credentials, jitter=0).refresh_at


def test_monitor_selects_the_service_and_its_port() -> None:
    monitor = yaml.safe_load((MONITORING / "monitor.yaml").read_text())
    service = yaml.safe_load((KUSTOMIZE / "base" / "service.yaml").read_text())
    base = yaml.safe_load((KUSTOMIZE / "base" / "kustomization.yaml").read_text())

    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= base["labels"][0]["pairs"].items()


@pytest.mark.parametrize(
    ("address", "target"),
    [
        pytest.param("10.1.2.3", "10.1.2.3:16926", id="ipv4"),
        pytest.param("fd00::1", "[fd00::1]:16926", id="ipv6"),
    ],
)
def test_pod_monitor_scrapes_sidecar_at_pod_address(address: str, target: str) -> None:
    monitor = yaml.safe_load((SIDECARS / "monitor.yaml").read_text())
    found = ""

    for rule in monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]:
        if rule.get("targetLabel") == "__address__" and (match := re.fullmatch(rule["regex"], address)):
            found = match.expand(rule["replacement"].replace("$1", r"\1"))

    assert found == target


def test_dashboard_panels_do_not_overlap() -> None:
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
