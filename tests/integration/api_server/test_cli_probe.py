"""`podrole preflight --probe` on a real API server, without a kubelet: its permissions, and that nothing is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from podrole.diagnosis.probes import LABELS
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import Namespaces
from testing.cluster.rbac_users import Rule, create_user, delete_user
from testing.repository import ROOT

DOCUMENTED: list[Rule] = [
    {"apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "list", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]
"""With --probe-namespace."""


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podrole.cluster.probes.PROBES_SECONDS", 15)


@pytest.fixture
def plain(namespaces: Namespaces) -> str:
    return namespaces.make(labels={})


@pytest.fixture
def user(api: ApiServer, plain: str, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a user with the documented permissions and no others."""
    try:
        yield create_user(api, plain, DOCUMENTED, tmp_path)
    finally:
        delete_user(api, plain)


OWN_STS = {"PODROLE_STS_ENDPOINT": "https://sts.example.com"}
"""The issuer of these API servers, which AWS could not use, is then no problem."""


def run(kubeconfig: str | Path, *arguments: str) -> Result:
    options = ["preflight", "--no-dry-run", "--output", "json", "--kubeconfig", str(kubeconfig)]
    return CliRunner().invoke(main, [*options, *arguments], env={**ENVIRON, **OWN_STS})


def read_findings(result: Result) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["section"] == "Probe pods"]


def list_probes(api: ApiServer, namespace: str) -> list[dict[str, Any]]:
    pods = api.list("Pod", namespace)
    return [pod for pod in pods if LABELS.items() <= pod["metadata"].get("labels", {}).items()]


def test_documented_permissions_suffice_and_pods_that_do_not_run_are_deleted(
    api: ApiServer, plain: str, user: Path
) -> None:
    result = run(user, "--probe", "--probe-namespace", plain)

    findings = read_findings(result)
    assert [finding["code"] for finding in findings] == ["ProbeNotRun"] * 3
    assert not any("forbidden" in finding["text"] for finding in findings)
    assert list_probes(api, plain) == []
    assert result.exit_code == 3


def test_missing_permission_to_create_the_namespace_is_unknown_with_the_message(user: Path) -> None:
    result = run(user, "--probe")

    (finding,) = read_findings(result)
    assert (finding["level"], finding["code"]) == ("unknown", "ReadFailed")
    assert 'cannot create resource "namespaces"' in finding["text"]
    assert result.exit_code == 3


def test_labelled_namespace_is_invalid_usage_and_nothing_is_created(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, "--probe", "--probe-namespace", namespace)

    assert result.exit_code == 2
    assert "has the label podrole.io/injection" in result.output
    assert list_probes(api, namespace) == []


def test_without_the_option_nothing_is_created(api: ApiServer, plain: str) -> None:
    result = run(api.kubeconfig, "--no-probe")

    assert read_findings(result) == []
    assert list_probes(api, plain) == []


@pytest.mark.parametrize("rule", DOCUMENTED, ids=lambda rule: str(rule["resources"][0]))
def test_permission_is_documented(rule: Rule) -> None:
    text = (ROOT / "docs/cli.md").read_text().partition("Permissions for `--probe`")[2].partition("###")[0]

    for word in (*rule["verbs"], *rule["resources"]):
        assert f"`{word}`" in text
