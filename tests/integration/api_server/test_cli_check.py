"""`podrole check` on pods that a real API server stored. No kubelet runs them: tests write the pod status."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import build_pod, store
from testing.cluster.rbac_users import create_user, delete_user
from tests.integration.api_server.webhooks import RegionChanger, build_configuration, run_mesh

READS = {"apiGroups": [""], "resources": ["pods", "namespaces", "serviceaccounts"], "verbs": ["get", "list"]}
RUNNING = {
    "initContainerStatuses": [
        {
            "name": name,
            "image": "example/podrole-sidecar:1",
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-09-01T10:00:00Z"}},
        }
        for name in ("podrole-sidecar",)
    ]
}


NO_NODE = "podrole-no-such-node"
"""A pod that is bound to it does not wait for the scheduler."""
READY = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


def run(kubeconfig: str | Path, *arguments: str, environ: Mapping[str, str] = ENVIRON) -> Result:
    return CliRunner().invoke(main, ["check", *arguments, "--kubeconfig", str(kubeconfig)], env=environ)


def find_codes(result: Result) -> set[str]:
    """The codes of the findings that need attention."""
    (pod,) = json.loads(result.stdout)["pods"]
    return {finding["code"] for finding in pod["findings"] if finding["level"] in {"warning", "problem", "unknown"}}


@pytest.fixture
def user_kubeconfig(api: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a user who can read pods, namespaces and ServiceAccounts, and nothing else."""
    try:
        yield create_user(api, namespace, [READS], tmp_path)
    finally:
        delete_user(api, namespace)


def test_pod_that_does_not_exist_is_a_usage_error(api: ApiServer, namespace: str) -> None:
    result = run(api.kubeconfig, f"{namespace}/nope")

    assert result.exit_code == 2
    assert f"Error: pod nope does not exist in namespace {namespace}\n" in result.stderr


def test_kind_in_place_of_a_namespace_is_reported_with_a_hint(api: ApiServer) -> None:
    result = run(api.kubeconfig, "deployment/web")

    assert result.exit_code == 2
    assert "set its namespace with -n" in result.output


def test_injected_pod_is_up_to_date(api: ApiServer, namespace: str) -> None:
    store(api, build_pod(nodeName=NO_NODE), namespace)

    result = run(api.kubeconfig, f"{namespace}/app")

    assert result.exit_code == 0, result.output
    assert "The pod was injected in redirect mode with the role arn:aws:iam::111122223333:role/reader." in result.output
    assert "The pod is up to date." in result.output


def test_changed_role_is_reported(api: ApiServer, namespace: str) -> None:
    store(api, build_pod(nodeName=NO_NODE), namespace)
    api.patch(("Pod", "app"), {"metadata": {"annotations": {"iam.amazonaws.com/role": "writer"}}}, namespace)

    result = run(api.kubeconfig, "-n", namespace, "app", "--output", "json")

    assert (result.exit_code, find_codes(result)) == (1, {"RoleChanged"})


def test_missing_namespace_label_is_reported_with_the_command(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels={})
    store(api, build_pod(nodeName=NO_NODE), namespace)

    result = run(api.kubeconfig, f"{namespace}/app")

    assert result.exit_code == 1
    assert f"> kubectl label namespace {namespace} podrole.io/injection=enabled --overwrite" in result.output


def test_pod_created_before_the_label_is_reported(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels={})
    store(api, build_pod(nodeName=NO_NODE), namespace)
    api.patch(("Namespace", namespace), {"metadata": {"labels": {"podrole.io/injection": "enabled"}}})

    result = run(api.kubeconfig, f"{namespace}/app", "--output", "json")

    assert (result.exit_code, find_codes(result)) == (1, {"NotInjected", "CreatedBeforeLabel"})


def test_selector_that_excludes_the_namespace_is_reported(
    api: ApiServer, namespace: str, run_label: dict[str, str]
) -> None:
    (key,) = run_label
    api.patch(("Namespace", namespace), {"metadata": {"labels": {key: "another-run"}}})
    store(api, build_pod(nodeName=NO_NODE), namespace)

    result = run(api.kubeconfig, f"{namespace}/app", "--output", "json")

    assert find_codes(result) == {"NotInjected", "NamespaceExcluded"}
    assert f"{key} In ({run_label[key]})" in result.output


def test_every_pod_of_an_owner_is_checked(api: ApiServer, namespace: str) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels, **build_pod()["metadata"]}, "spec": build_pod(nodeName=NO_NODE)["spec"]}
    template["metadata"] = {"labels": labels, "annotations": build_pod()["metadata"]["annotations"]}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    api.create(deployment, namespace)
    wait_for("both pods", lambda: len(api.list("Pod", namespace)) == 2)
    for pod in api.list("Pod", namespace):
        api.patch(("Pod", f"{pod['metadata']['name']}/status"), READY, namespace)
    wait_for("both are ready", lambda: api.read("Deployment", "web", namespace)["status"].get("readyReplicas") == 2)

    result = run(api.kubeconfig, "-n", namespace, "deployment/web", "--output", "json")

    pods = [pod["pod"] for pod in json.loads(result.stdout)["pods"]]
    assert result.exit_code == 0, result.output
    assert sorted(pods) == sorted(f"{namespace}/{pod['metadata']['name']}" for pod in api.list("Pod", namespace))


def test_owner_without_pods_is_reported_as_scaled_to_zero(api: ApiServer, namespace: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": build_pod()["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    api.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec}, namespace)

    result = run(api.kubeconfig, f"{namespace}/statefulset/db")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"statefulset {namespace}/db\n")
    assert "It is scaled to 0 and has no pods." in result.stdout


def test_missing_configuration_is_unknown(api: ApiServer, namespace: str) -> None:
    store(api, build_pod(nodeName=NO_NODE), namespace)

    result = run(api.kubeconfig, f"{namespace}/app", "--output", "json", environ={})

    assert (result.exit_code, find_codes(result)) == (3, {"SettingsUnknown"})


def test_unreadable_sidecar_status_is_unknown(api: ApiServer, namespace: str, user_kubeconfig: Path) -> None:
    store(api, build_pod(nodeName=NO_NODE), namespace)
    api.patch(("Pod", "app/status"), {"status": RUNNING}, namespace)

    result = run(user_kubeconfig, f"{namespace}/app", "--output", "json")

    assert (result.exit_code, find_codes(result)) == (3, {"StatusReadFailed", "GuardReadFailed"})
    assert (
        'cannot create resource \\"pods/exec\\"' in result.output
        or 'cannot get resource \\"pods/exec\\"' in result.output
    )


def test_missing_permission_is_reported(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    try:
        kubeconfig = create_user(api, namespace, [], tmp_path)

        result = run(kubeconfig, f"{namespace}/app")
    finally:
        delete_user(api, namespace)

    assert result.exit_code == 3
    assert 'cannot get resource "pods"' in result.output


def test_container_state_of_the_kubelet_is_reported(api: ApiServer, namespace: str) -> None:
    ended: dict[str, Any] = {"exitCode": 2, "reason": "Error", "message": "PODROLE_REGION is not set"}
    status = {
        **RUNNING["initContainerStatuses"][0],
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    store(api, build_pod(nodeName=NO_NODE), namespace)
    api.patch(("Pod", "app/status"), {"status": {"initContainerStatuses": [status]}}, namespace)

    result = run(api.kubeconfig, f"{namespace}/app")

    assert result.exit_code == 1
    assert "exit code 2, its configuration is invalid" in " ".join(result.output.split())
    assert "PODROLE_REGION is not set" in result.output


@pytest.fixture
def changer(
    api: ApiServer, namespaces: Namespaces, run_label: dict[str, str], tmp_path: Path
) -> Iterator[tuple[str, str]]:
    """A namespace in which another webhook changes podrole's sidecar after podrole, and its configuration's name."""
    namespace, name = namespaces.make(), f"zz-changer-{next(iter(run_label.values()))}"
    webhook = {
        "name": "changer.example.com",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "reinvocationPolicy": "IfNeeded",
    }
    with run_mesh(tmp_path, RegionChanger) as (url, ca):
        api.create(build_configuration(name, webhook, url, ca))
        try:
            wait_for("the webhook is called", lambda: "ap-south-1" in json.dumps(try_pod(api, namespace)))
            yield namespace, name
        finally:
            with suppress(RefusedError):
                api.delete("MutatingWebhookConfiguration", name)


def try_pod(api: ApiServer, namespace: str) -> dict[str, Any]:
    return store(api, build_pod(name="try"), namespace, dry_run=True)


def test_webhook_that_changes_the_sidecar_is_named(api: ApiServer, changer: tuple[str, str]) -> None:
    namespace, configuration = changer
    store(api, build_pod(nodeName=NO_NODE), namespace)

    result = run(api.kubeconfig, f"{namespace}/app")

    text = " ".join(result.output.split())
    assert result.exit_code == 1
    assert f"webhook changer.example.com ({configuration}) changes podrole's containers after podrole" in text
    assert "PODROLE_REGION is ap-south-1 and would be eu-west-1" in text


def test_webhook_that_is_gone_is_not_blamed(api: ApiServer, changer: tuple[str, str]) -> None:
    namespace, configuration = changer
    store(api, build_pod(nodeName=NO_NODE), namespace)
    api.delete("MutatingWebhookConfiguration", configuration)
    wait_for("the webhook is not called", lambda: "ap-south-1" not in json.dumps(try_pod(api, namespace)))

    result = run(api.kubeconfig, f"{namespace}/app")

    text = " ".join(result.output.split())
    assert "A new pod would not differ (dry run)" in text
    assert "changer.example.com" not in text
