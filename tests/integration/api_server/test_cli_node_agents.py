"""`podrole preflight` beside kube2iam and Kiam, on a real API server."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

import contract
from podrole.__main__ import main
from podrole.diagnosis.agents.removal import Removal
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import ROLE, build_pod
from testing.cluster.rbac_users import create_user, delete_user
from testing.repository import ROOT

BASELINE = {"pod-security.kubernetes.io/enforce": "baseline"}
MANIFESTS = [*yaml.safe_load_all((ROOT / "testing/manifests/node-agents.yaml").read_text())]


@pytest.fixture
def agents(api: ApiServer, namespaces: Namespaces) -> Iterator[str]:
    """The namespace of kube2iam and Kiam. No node runs them."""
    namespace = namespaces.make(labels={})
    for manifest in MANIFESTS:
        api.create(manifest, namespace)
    yield namespace
    for manifest in MANIFESTS:  # at once: a namespace is deleted later
        api.delete(manifest["kind"], manifest["metadata"]["name"], namespace)


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
        ("PermissionRequired", "kiam-server"),
        ("RuleOnNodes", "kube2iam"),
        ("SessionDuration", "kiam-server"),
    ]


@pytest.mark.usefixtures("injector")
def test_pods_that_depend_on_an_agent_are_counted(api: ApiServer, agents: str, namespaces: Namespaces) -> None:
    redirected, restricted = namespaces.make(), namespaces.make(labels=ENABLED | BASELINE)
    older = namespaces.make(labels={})
    pods = {
        redirected: [build_pod({}), build_pod()],
        restricted: [build_pod({}), build_pod(), build_pod()],
        older: [build_pod(), build_pod({})],
        agents: [build_pod({}, hostNetwork=True), build_pod({}, nodeSelector={"kubernetes.io/os": "windows"})],
    }
    for namespace, ones in pods.items():
        for number, pod in enumerate(ones):
            pod["metadata"]["name"] = f"app-{number}"
            api.create(pod, namespace)

    before = read_census(run(api.kubeconfig, "--output", "json", *options_for(pods)))
    api.patch(("Namespace", older), {"metadata": {"labels": ENABLED}})
    after = read_census(run(api.kubeconfig, "--output", "json", *options_for(pods)))

    need = {"NeedAgent": f"{older} (2), {restricted} (1)"}  # kube2iam has a default role for pods that ask for none
    exposed = {"InEnvMode": f"{restricted} (2)", "Unchanged": f"{restricted} (1)", **need}
    always = {"OnWindows": f"{agents} (1)", "WithHostNetwork": f"{agents} (1)"}
    assert before == {**exposed, **always, "InUnlabelledNamespaces": f"{older} (2)"}
    assert after == {**exposed, **always, "NotInjected": f"{older} (2)"}


def options_for(namespaces: Iterable[str]) -> list[str]:
    return [word for namespace in namespaces for word in ("--namespace", namespace)]


def read_census(result: Result) -> dict[str, str]:
    """The namespaces of each finding."""
    codes = {template.code for template in Removal}
    findings = [one for one in json.loads(result.stdout)["findings"] if one["code"] in codes]
    return {one["code"]: one["text"].rpartition(": ")[2].removesuffix(".") for one in findings}


@pytest.mark.usefixtures("injector")
def test_labels_list_the_injected_pods(api: ApiServer, namespace: str) -> None:
    for name, annotations in (("with-role", ROLE), ("without", {})):
        pod = build_pod(annotations)
        pod["metadata"]["name"] = name
        api.create(pod, namespace)

    stored = {one["metadata"]["name"]: one["metadata"]["labels"] for one in api.list("Pod", namespace)}

    assert stored == {
        "with-role": {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION},
        "without": {"podrole.io/mode": "block", "podrole.io/version": contract.VERSION},
    }


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
