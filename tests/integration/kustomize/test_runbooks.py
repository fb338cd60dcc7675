"""Each alert leads to its section of docs/operations.md, and a kustomization can set where that page is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from testing.cluster.manifests import KUSTOMIZE, Kubectl, find, write_kustomization
from tests.integration.kustomize.monitoring_files import PLAIN_RULE_FILES, RULES, parse_alert_sections
from tests.unit.docs.pages import list_anchors, read_block, read_section

REPOSITORY = KUSTOMIZE.parent
PAGE = REPOSITORY / "docs/operations.md"
SECTIONS = parse_alert_sections()
README = read_section(KUSTOMIZE / "README.md", "Monitoring")
ADDRESS = "https://git.example.com/podrole/docs/operations.md"


@pytest.mark.parametrize("alert", RULES)
def test_runbook_url_leads_to_the_section_of_the_alert(alert: str) -> None:
    file, _, anchor = RULES[alert][1]["annotations"]["runbook_url"].partition("#")

    assert REPOSITORY / file == PAGE
    assert anchor in list_anchors(PAGE)
    assert anchor == alert.lower()
    assert SECTIONS.get(alert)


def test_each_section_has_its_alert() -> None:
    assert sorted(SECTIONS) == sorted(RULES)


def test_documented_kustomization_sets_the_address_of_all_runbooks(kubectl: Kubectl, tmp_path: Path) -> None:
    documented = yaml.safe_load(read_block(README, "yaml"))
    own = write_kustomization(tmp_path / "own", [KUSTOMIZE / "base"], ["monitoring", "sidecar-metrics"], **documented)

    manifests = kubectl.render(own)

    rendered = {
        rule["alert"]: rule["annotations"]["runbook_url"]
        for name in ("podrole-injector", "podrole-sidecars")
        for group in find(manifests, "PrometheusRule", name)["spec"]["groups"]
        for rule in group["rules"]
    }
    assert rendered == {alert: f"{ADDRESS}#{alert.lower()}" for alert in RULES}
    assert "podrole-runbooks" not in {each["metadata"]["name"] for each in manifests}


def test_documented_command_sets_the_address_in_the_plain_rules(tmp_path: Path) -> None:
    [command] = re.findall("`(sed -i [^`]+)`", README)
    (tmp_path / "kustomize").mkdir()
    folder = shutil.copytree(KUSTOMIZE / "prometheus", tmp_path / "kustomize/prometheus")

    subprocess.run(["sh", "-c", command], cwd=tmp_path, timeout=30, check=True)

    text = "".join((folder / file.name).read_text() for file in PLAIN_RULE_FILES.values())
    assert sorted(re.findall("runbook_url: (.*)", text)) == sorted(f"{ADDRESS}#{alert.lower()}" for alert in RULES)
