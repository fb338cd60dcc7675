"""Alerts and dashboard use only metrics that the two processes export; promtool checks when each alert fires."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from injector.decision.pod_settings import POD_ANNOTATIONS
from injector.metadata_keys import SESSION_DURATION
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import state_with
from testing.cluster.manifests import KUSTOMIZE
from tests.integration.kustomize.exported_metrics import INJECTOR, Families, list_series
from tests.integration.kustomize.monitoring_files import (
    COMPONENTS,
    OPERATIONS_PAGE,
    RULES,
    load_alerts,
    load_dashboard,
    parse_alert_sections,
)

DASHBOARDS = {job: load_dashboard(job) for job in COMPONENTS}
EXPRESSIONS = {alert: (job, rule["expr"]) for alert, (job, rule) in RULES.items()} | {
    panel["title"]: (job, " or ".join(target["expr"] for target in panel["targets"]))
    for job, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
}
FOREIGN_METRICS = {"up", "apiserver_admission_webhook_rejection_count"}
SELECTED_REASONS = re.compile(r'reason=~"([^"]+)"')


def find_names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring) ?\([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:podrole_\w+|apiserver_\w+|up)\b", without_labels))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_uses_only_exported_metrics(exported: dict[str, Families], title: str) -> None:
    """Only those of its component's process: the other component may not be installed."""
    job, expression = EXPRESSIONS[title]

    named = find_names(expression)

    assert named, expression
    assert named - FOREIGN_METRICS <= set(list_series(exported[job]))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_selects_metrics_by_job(title: str) -> None:
    """Every job has an `up`."""
    job, expression = EXPRESSIONS[title]
    selectors = re.findall(r"\b(?:podrole_\w+|up)\b(\{[^}]*\})?", re.sub(r"unless \w+ offset", "", expression))

    assert all(f'job="{job}"' in selector for selector in selectors)


@pytest.mark.parametrize("alert", RULES)
def test_alert_has_a_severity_and_sentences(alert: str) -> None:
    _, rule = RULES[alert]

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith((".", ")."))
    assert rule["annotations"]["description"].endswith(".")


def test_operations_page_documents_the_reasons_that_alerts_select() -> None:
    alerts = ("PodroleServerProblems", "PodroleSidecarServerProblems")
    [reasons] = {found for alert in alerts for found in SELECTED_REASONS.findall(EXPRESSIONS[alert][1])}
    [row] = re.findall(r"^\| `podrole_server_problems_total.*$", OPERATIONS_PAGE, re.MULTILINE)

    assert set(reasons.split("|")) <= set(re.findall("`([a-z-]+)`", row))


def test_promtool_confirms_when_alerts_fire(promtool: str, tmp_path: Path) -> None:
    groups = [group for job in COMPONENTS for group in load_alerts(job)["groups"]]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": groups}))
    tests = Path(__file__).with_name("alerts.test.yaml")
    (tmp_path / tests.name).write_text(tests.read_text())

    done = subprocess.run(
        [promtool, "test", "rules", tests.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_tests_every_alert() -> None:
    tested = Path(__file__).with_name("alerts.test.yaml").read_text()

    assert [alert for alert in RULES if not re.search(rf"\b{alert}\b", tested)] == []


def test_alert_states_how_long_pods_keep_credentials_when_sts_fails() -> None:
    """STS fails just before the latest possible refresh; the minimum over all session durations that podrole allows."""
    [allowed] = [annotation.type for annotation in POD_ANNOTATIONS if annotation.key == SESSION_DURATION]
    durations = [seconds for seconds in range(0, 100_000, 60) if allowed.accepts(str(seconds))]
    left = min(_seconds_left_at_refresh(seconds) for seconds in durations)

    stated = re.search(r"at least (\d+) minutes", RULES["PodroleStsFailing"][1]["annotations"]["description"])
    documented = re.search(r"at least (\d+) minutes", parse_alert_sections()["PodroleStsFailing"])

    assert durations[0] == 1800
    assert stated
    assert documented
    assert int(stated[1]) == int(documented[1]) == left // 60


def _seconds_left_at_refresh(session_seconds: int) -> float:
    credentials = Credentials("arn:aws:iam::111122223333:role/web", "id", "key", "token", 0, session_seconds)
    return session_seconds - state_with(credentials, jitter=0).refresh_at


def test_monitor_selects_the_service_and_its_port() -> None:
    monitor = yaml.safe_load((COMPONENTS[INJECTOR] / "monitor.yaml").read_text())
    service = yaml.safe_load((KUSTOMIZE / "base" / "service.yaml").read_text())
    base = yaml.safe_load((KUSTOMIZE / "base" / "kustomization.yaml").read_text())

    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= base["labels"][0]["pairs"].items()


def test_dashboards_have_different_uids_and_titles() -> None:
    """Grafana keeps one of two dashboards with the same uid."""
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert len({dashboard["title"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize("job", DASHBOARDS)
def test_dashboard_panels_do_not_overlap(job: str) -> None:
    taken: set[tuple[int, int]] = set()

    for panel in DASHBOARDS[job]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells

    assert max(x for x, _ in taken) == 23
