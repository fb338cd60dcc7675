"""`podrole preflight` beside kube2iam and Kiam, on a real API server."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import Namespaces
from testing.cluster.rbac_users import create_user, delete_user
from testing.repository import ROOT

MANIFESTS = [*yaml.safe_load_all((ROOT / "testing/manifests/node-agents.yaml").read_text())]


@pytest.fixture
def agents(api: ApiServer, namespaces: Namespaces) -> str:
    """The namespace of kube2iam and Kiam. No node runs them."""
    namespace = namespaces.make(labels={})
    for manifest in MANIFESTS:
        api.create(manifest, namespace)
    return namespace


def run(kubeconfig: str | Path, *arguments: str) -> Result:
    options = ["preflight", "--no-dry-run", "--kubeconfig", str(kubeconfig)]
    return CliRunner().invoke(main, [*options, *arguments], env=ENVIRON)


def find(result: Result, namespace: str) -> list[tuple[str, str]]:
    findings = json.loads(result.stdout)["findings"]
    return [
        (one["code"], one["text"].split()[1].partition("/")[2])
        for one in findings
        if f" {namespace}/" in one["text"] and one["code"] != "NodeAgent"
    ]


@pytest.mark.usefixtures("injector")
def test_settings_of_both_are_explained(api: ApiServer, agents: str) -> None:
    result = run(api.kubeconfig, "--output", "json")

    assert sorted(find(result, agents)) == [
        ("AllowListFormat", "kube2iam"),
        ("AllowListsRequired", "kube2iam"),
        ("AssumedFirst", "kiam-server"),
        ("BaseRoleArn", "kiam-server"),
        ("BaseRoleArn", "kube2iam"),
        ("DefaultRole", "kube2iam"),
        ("Keys", "kube2iam"),
        ("MetadataPaths", "kiam-agent"),
        ("RuleOnNodes", "kube2iam"),
        ("SessionDuration", "kiam-server"),
    ]


def test_settings_are_written_once(api: ApiServer, agents: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"

    result = run(api.kubeconfig, "--write-settings", str(file))
    text = file.read_text()
    again = run(api.kubeconfig, "--write-settings", str(file))
    printed = run(api.kubeconfig, "--write-settings", "-")

    values = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert f"podrole: wrote {file}" in result.stderr
    assert values == [
        "PODROLE_REGION=eu-west-1",
        "PODROLE_ACCOUNT_ID=111122223333",
        "PODROLE_ALLOWED_ROLES_FORMAT=regexp",
    ]
    assert f"# DaemonSet {agents}/kube2iam: --base-role-arn=arn:aws:iam::111122223333:role/\n" in text
    assert f"# - Deployment {agents}/kiam-server has --assume-role-arn=" in text
    assert again.exit_code == 2
    assert f"{file} exists and stays as it is" in again.stderr
    assert file.read_text() == text
    assert (printed.exit_code, printed.stdout) == (0, text)


def test_settings_are_not_written_where_the_agents_cannot_be_read(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    user = create_user(api, namespace, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], tmp_path)

    result = run(user, "--write-settings", str(tmp_path / "settings.env"))
    delete_user(api, namespace)

    assert result.exit_code == 2
    assert "the settings of kube2iam and Kiam are unknown" in result.stderr
    assert not (tmp_path / "settings.env").exists()
