"""The settings.env that preflight writes from kube2iam and Kiam, in an overlay."""

import shutil
from pathlib import Path

import yaml

from podrole.diagnosis.agents.recognition import find_agents
from podrole.diagnosis.agents.settings_file import format_settings
from testing.cluster.manifests import KUSTOMIZE, Kubectl, find_settings
from testing.repository import ROOT

MANIFESTS = [*yaml.safe_load_all((ROOT / "testing/manifests/node-agents.yaml").read_text())]


def test_overlay_with_the_written_settings_has_their_values_and_no_others(kubectl: Kubectl, tmp_path: Path) -> None:
    overlay = Path(shutil.copytree(KUSTOMIZE, tmp_path / "kustomize")) / "overlays" / "eks"
    before = find_settings(kubectl.render(overlay))
    agents = [one for kind in ("DaemonSet", "Deployment") for one in find_agents(kind, list_workloads(kind), MANIFESTS)]

    (overlay / "settings.env").write_text(format_settings(agents, []))
    after = find_settings(kubectl.render(overlay))

    assert {name: value for name, value in after.items() if before.get(name) != value} == {
        "PODROLE_ACCOUNT_ID": "111122223333",
        "PODROLE_REGION": "eu-west-1",
        "PODROLE_ALLOWED_ROLES_FORMAT": "regexp",
    }
    assert before.keys() <= after.keys()


def list_workloads(kind: str) -> list[dict[str, object]]:
    return [one for one in MANIFESTS if one["kind"] == kind]
