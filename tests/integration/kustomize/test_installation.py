"""The manifests on a real API server: validation, PodSecurity, permissions, repeated apply."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testing.cluster.api import wait_for
from testing.cluster.manifests import KUSTOMIZE, OVERLAYS, Kubectl, Manifest, find, write_kustomization
from testing.cluster.namespaces import ENABLED

FOREIGN = {"Certificate", "Issuer", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
"""Kinds of other operators, whose CRDs are not installed here."""

INJECTOR = "system:serviceaccount:podrole-system:podrole-injector"
SECRET = "podrole-injector-certs"


def build_pod(manifests: list[Manifest]) -> Manifest:
    """A pod as the Deployment creates it."""
    template = find(manifests, "Deployment")["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "replica"}}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_api_server_accepts_overlay_without_warnings(installed: Kubectl, overlay: str) -> None:
    answer = installed.run("apply", "--dry-run=server", "-k", str(KUSTOMIZE / "overlays" / overlay))

    assert "Warning" not in answer.errors


COMPONENTS = [
    "cert-manager",
    "guard-exec",
    "host-network",
    "iptables",
    "monitoring",
    "sidecar-metrics",
    "without-guard",
]


@pytest.mark.parametrize("component", COMPONENTS)
def test_api_server_accepts_component(installed: Kubectl, tmp_path: Path, component: str) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], [component])
    ours = [each for each in installed.render(folder) if each["kind"] not in FOREIGN]

    answer = installed.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(ours))

    assert "deployment.apps/podrole-injector" in answer.output


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_injector_pod_passes_pod_security_restricted(installed: Kubectl, overlay: str) -> None:
    pod = build_pod(installed.render(KUSTOMIZE / "overlays" / overlay))

    answer = installed.run(
        "--namespace=podrole-system", "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod)
    )

    labels = json.loads(installed.run("get", "namespace", "podrole-system", "--output=json").output)["metadata"][
        "labels"
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "Warning" not in answer.errors


def test_injector_pod_with_cert_manager_passes_pod_security_restricted(installed: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["cert-manager"])
    pod = build_pod(installed.render(folder))

    answer = installed.run(
        "--namespace=podrole-system", "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod)
    )

    assert "Warning" not in answer.errors


def test_host_network_needs_the_pod_security_level_of_its_component(installed: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["host-network"])
    manifests = installed.render(folder)

    refused = installed.try_run(
        "--namespace=podrole-system",
        "create",
        "--dry-run=server",
        "-f",
        "-",
        stdin=yaml.safe_dump(build_pod(manifests)),
    )

    assert "host namespaces (hostNetwork=true)" in refused.errors
    labels = find(manifests, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


def test_both_replicas_are_created(installed: Kubectl) -> None:
    """By the controllers, which PodSecurity, quotas and the priority class must allow."""

    def list_replicas() -> list[Manifest]:
        answer = installed.run("--namespace=podrole-system", "get", "pods", "--output=json")
        items: list[Manifest] = json.loads(answer.output)["items"]
        return items if len(items) == 2 else []

    replicas = wait_for("two replicas", list_replicas)

    assert {pod["spec"]["priorityClassName"] for pod in replicas} == {"system-cluster-critical"}


def test_guard_has_no_type_checking_warnings(installed: Kubectl) -> None:
    component = KUSTOMIZE / "components" / "guard-exec"
    files = [f"--filename={component / file}" for file in ("exec.yaml", "namespaces.yaml")]
    installed.run("apply", *files)
    kind = "validatingadmissionpolicies"

    def read_status() -> dict[str, Manifest]:
        items = json.loads(installed.run("get", kind, "--output=json").output)["items"]
        found = {each["metadata"]["name"]: each.get("status", {}) for each in items}
        return found if len(found) == 6 and all("typeChecking" in status for status in found.values()) else {}

    try:
        status = wait_for("the type checking of six policies", read_status)
    finally:
        installed.run("delete", *files)

    assert {name: each["typeChecking"] for name, each in status.items()} == {name: {} for name in status}


PLAIN_POD = {"containers": [{"name": "app", "image": "example/app:1"}]}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": PLAIN_POD}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "job"},
    "spec": {"template": {"spec": {**PLAIN_POD, "restartPolicy": "Never"}}},
}


@pytest.fixture
def labelled(installed: Kubectl) -> Iterator[str]:
    """A labelled namespace, after the webhook configuration was deleted."""
    name = f"guarded-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": ENABLED}}
    installed.run("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
    installed.run("delete", "mutatingwebhookconfiguration", "podrole-injector", "--ignore-not-found")
    try:
        yield name
    finally:
        installed.run("apply", "-k", str(KUSTOMIZE / "overlays" / "eks"))
        installed.run("delete", "--wait=false", "namespace", name)


def test_pod_is_refused_while_the_webhook_configuration_is_missing(installed: Kubectl, labelled: str) -> None:
    def is_refused() -> bool:
        answer = installed.try_run(f"--namespace={labelled}", "create", "-f", "-", stdin=yaml.safe_dump(POD))
        installed.run(f"--namespace={labelled}", "delete", "--now", "--ignore-not-found", "pod", "app")
        return "[SidecarMissing]" in answer.errors

    def is_reported() -> bool:
        return "[SidecarMissing]" in installed.run(f"--namespace={labelled}", "get", "events").output

    wait_for("the guard refuses the pod", is_refused)
    installed.run(f"--namespace={labelled}", "create", "-f", "-", stdin=yaml.safe_dump(JOB))
    wait_for("an event of the Job with the message of the guard", is_reported)


def test_guard_that_was_deleted_and_applied_again_is_in_effect(installed: Kubectl, labelled: str) -> None:
    installed.run("--namespace=podrole-system", "delete", "configmaps", "--all")
    installed.run("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", "--all")
    create = [f"--namespace={labelled}", "create", "--dry-run=server", "-f", "-"]
    wait_for("no guard", lambda: installed.try_run(*create, stdin=yaml.safe_dump(POD)).code == 0)

    installed.run("apply", "-k", str(KUSTOMIZE / "overlays" / "eks"))
    installed.run("delete", "mutatingwebhookconfiguration", "podrole-injector")

    def is_refused() -> bool:
        return "[SidecarMissing]" in installed.try_run(*create, stdin=yaml.safe_dump(POD)).errors

    wait_for("the guard refuses the pod", is_refused)
    host = {**POD, "spec": {**PLAIN_POD, "hostNetwork": True}}
    assert installed.try_run(*create, stdin=yaml.safe_dump(host)).code == 0


def test_pods_are_created_in_the_documented_order_of_a_removal(installed: Kubectl, labelled: str) -> None:
    installed.run("delete", "validatingadmissionpolicybinding", "podrole-pods")

    def is_created() -> bool:
        create = [f"--namespace={labelled}", "create", "-f", "-"]
        return installed.try_run(*create, stdin=yaml.safe_dump(POD)).code == 0

    wait_for("a pod is created without the guard", is_created)


ALLOWED = [
    "list namespaces",
    "watch namespaces",
    "list serviceaccounts --all-namespaces",
    "watch serviceaccounts --all-namespaces",
    "get serviceaccounts --namespace=default",
    f"get secrets/{SECRET} --namespace=podrole-system",
    f"update secrets/{SECRET} --namespace=podrole-system",
    "get mutatingwebhookconfigurations/podrole-injector",
    "patch mutatingwebhookconfigurations/podrole-injector",
    "watch mutatingwebhookconfigurations/podrole-injector",
    "get validatingwebhookconfigurations/podrole-injector",
    "patch validatingwebhookconfigurations/podrole-injector",
]
FORBIDDEN = [
    *(f"{verb} secrets --namespace=podrole-system" for verb in ("list", "watch", "create", "delete")),
    "get secrets/another --namespace=podrole-system",
    f"delete secrets/{SECRET} --namespace=podrole-system",
    f"get secrets/{SECRET} --namespace=default",
    "get secrets --all-namespaces",
    *(f"{verb} pods --all-namespaces" for verb in ("get", "list", "create", "delete", "patch")),
    "create pods/exec --namespace=podrole-system",
    "create serviceaccounts/token --namespace=default",
    "patch serviceaccounts --namespace=default",
    "patch namespaces",
    "get configmaps --namespace=podrole-system",
    "list nodes",
    *(
        f"{verb} {kind}webhookconfigurations{name}"
        for kind in ("mutating", "validating")
        for verb, name in (
            *((verb, "/another") for verb in ("get", "patch", "watch")),
            *((verb, "") for verb in ("list", "create", "delete", "patch")),
            ("delete", "/podrole-injector"),
            ("update", "/podrole-injector"),
        )
    ),
    "patch deployments.apps --namespace=podrole-system",
    "create leases.coordination.k8s.io --namespace=podrole-system",
    "bind clusterroles",
    "impersonate users",
]


@pytest.mark.parametrize("permission", ALLOWED)
def test_injector_has_permission(installed: Kubectl, permission: str) -> None:
    answer = installed.try_run("auth", "can-i", f"--as={INJECTOR}", *permission.split())

    assert answer.output.strip() == "yes", answer.errors


@pytest.mark.parametrize("permission", FORBIDDEN)
def test_injector_has_no_permission(installed: Kubectl, permission: str) -> None:
    answer = installed.try_run("auth", "can-i", f"--as={INJECTOR}", *permission.split())

    assert answer.output.strip().startswith("no"), answer.errors


def test_service_account_has_only_the_listed_permissions(installed: Kubectl) -> None:
    everybody = installed.run("auth", "can-i", "--list", "--as=system:serviceaccount:default:default").output
    injector = installed.run("auth", "can-i", "--list", f"--as={INJECTOR}", "--namespace=podrole-system").output

    rights = {" ".join(line.split()) for line in injector.splitlines()} - {
        " ".join(line.split()) for line in everybody.splitlines()
    }

    assert rights == {
        "namespaces [] [] [get list watch]",
        "serviceaccounts [] [] [get list watch]",
        f"secrets [] [{SECRET}] [get update]",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io [] [podrole-injector] [get patch watch]",
        "validatingwebhookconfigurations.admissionregistration.k8s.io [] [podrole-injector] [get patch watch]",
    }


@pytest.mark.parametrize("how", [[], ["--server-side", "--force-conflicts"]], ids=["client-side", "server-side"])
def test_second_apply_keeps_secret_data_and_ca_bundle(installed: Kubectl, how: list[str]) -> None:
    data = {"data": {"ca.crt": "Y2E=", "tls.key": "a2V5"}}
    bundle = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]
    secret = ["--namespace=podrole-system", "patch", "secret", SECRET]
    webhook = ["patch", "mutatingwebhookconfiguration", "podrole-injector"]
    installed.run(*secret, "--type=merge", "--patch", json.dumps(data))
    installed.run(*webhook, "--type=json", "--patch", json.dumps(bundle))

    installed.run("apply", *how, "-k", str(KUSTOMIZE / "overlays" / "eks"))

    kept = json.loads(installed.run(*secret[:1], "get", "secret", SECRET, "--output=json").output)
    configuration = json.loads(installed.run("get", *webhook[1:], "--output=json").output)
    assert kept["data"] == data["data"]
    assert configuration["webhooks"][0]["clientConfig"]["caBundle"] == "Y2E="


def test_kubectl_diff_is_empty_after_apply(installed: Kubectl) -> None:
    answer = installed.run("diff", "-k", str(KUSTOMIZE / "overlays" / "eks"))

    assert answer.output == ""
