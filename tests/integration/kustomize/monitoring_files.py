"""The alerts and dashboards of the components, each of which is about one process."""

import json
import re
from typing import Any

import yaml

from testing.cluster.manifests import KUSTOMIZE
from tests.integration.kustomize.exported_metrics import INJECTOR, SIDECAR

COMPONENTS = {INJECTOR: KUSTOMIZE / "components/monitoring", SIDECAR: KUSTOMIZE / "components/sidecar-metrics"}
"""By the `job` that they scrape."""

DASHBOARD_FILES = {INJECTOR: "podrole.json", SIDECAR: "podrole-sidecars.json"}
PLAIN_RULE_FILES = {
    INJECTOR: KUSTOMIZE / "prometheus/podrole-injector.rules.yaml",
    SIDECAR: KUSTOMIZE / "prometheus/podrole-sidecars.rules.yaml",
}

OPERATIONS_PAGE = (KUSTOMIZE.parent / "docs/operations.md").read_text()


def load_alerts(job: str) -> dict[str, Any]:
    """The groups of a component's alerts, as Prometheus reads them."""
    rules: dict[str, Any] = yaml.safe_load((COMPONENTS[job] / "alerts.yaml").read_text())["spec"]
    return rules


def load_dashboard(job: str) -> dict[str, Any]:
    """A component's dashboard."""
    dashboard: dict[str, Any] = json.loads((COMPONENTS[job] / DASHBOARD_FILES[job]).read_text())
    return dashboard


RULES = {
    rule["alert"]: (job, rule) for job in COMPONENTS for group in load_alerts(job)["groups"] for rule in group["rules"]
}
"""By the name of the alert: the job of its component, and the rule."""


def parse_alert_sections(text: str = OPERATIONS_PAGE) -> dict[str, str]:
    """The text about each alert, by the heading."""
    alerts = re.search(r"^## Alerts\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert alerts
    sections = re.findall(r"^### (.+)\n((?:(?!### ).*\n)*)", alerts[1], re.MULTILINE)
    return {heading: text.strip() for heading, text in sections}
