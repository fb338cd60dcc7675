"""The alerts and the dashboard, held against what the two processes really expose."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.kustomize.exposed import Families, list_series
from tests.integration.kustomize.manifests import KUSTOMIZE

MONITORING = KUSTOMIZE / "components" / "monitoring"
SIDECARS = KUSTOMIZE / "components" / "sidecar-metrics"
ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "podrole.json").read_text())
RULES = [rule for group in ALERTS["spec"]["groups"] for rule in group["rules"]]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    panel["title"]: " or ".join(target["expr"] for target in panel["targets"]) for panel in DASHBOARD["panels"]
}
HANDBOOK = (KUSTOMIZE.parent / "docs" / "operations.md").read_text()
OF_OTHERS = {"up", "apiserver_admission_webhook_rejection_count"}
WRITTEN = {rule["alert"]: rule["annotations"]["summary"] + rule["annotations"]["description"] for rule in RULES}


def find_names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring) ?\([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:podrole_\w+|apiserver_\w+|up)\b", without_labels))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_names_only_metrics_that_are_exposed(exposed: dict[str, Families], title: str) -> None:
    expression = EXPRESSIONS[title]
    jobs = set(re.findall(r'job="([\w-]+)"', expression))

    named = find_names(expression)

    assert named, expression
    assert named - OF_OTHERS <= {name for job in jobs for name in list_series(exposed[job])}


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expression_says_whose_metric_it_means(title: str) -> None:
    """Every job has an `up`, and the test above knows by the job whose names an expression may use."""
    selectors = re.findall(r"\b(?:podrole_\w+|up)\b(\{[^}]*\})?", re.sub(r"unless \w+ offset", "", EXPRESSIONS[title]))

    assert all("job=" in selector for selector in selectors)


@pytest.mark.parametrize("alert", WRITTEN)
def test_alert_says_what_is_wrong_and_how_bad_it_is(alert: str) -> None:
    rule = next(rule for rule in RULES if rule["alert"] == alert)

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith((".", ")."))
    assert rule["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("alert", WRITTEN)
def test_handbook_says_what_to_do_about_an_alert(alert: str) -> None:
    assert parse_handbook(HANDBOOK).get(alert)


def test_handbook_has_no_section_for_an_alert_that_is_none() -> None:
    assert parse_handbook(HANDBOOK).keys() == WRITTEN.keys()


def parse_handbook(text: str) -> dict[str, str]:
    """What the section on alerts says about each; a heading may name several."""
    alerts = re.search(r"^## Alerts\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert alerts
    sections = re.findall(r"^### (.+)\n((?:(?!### ).*\n)*)", alerts[1], re.MULTILINE)
    return {alert: text.strip() for heading, text in sections for alert in heading.split(", ")}


@pytest.fixture
def promtool() -> str:
    """The program: on PATH, or beside Python, where requirements/install.sh puts it."""
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("promtool", path=os.pathsep.join((os.environ.get("PATH", os.defpath), beside))):
        return found
    reason = "promtool is not on this machine: `make test` takes it out of Debian's package prometheus"
    if os.environ.get("CI") == "true" or Path(sys.prefix, "dev.done").exists():  # the mark of `make test`
        pytest.fail(reason)
    pytest.skip(reason)


def test_alerts_fire_when_they_should_and_only_then(promtool: str, tmp_path: Path) -> None:
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
