"""What a user sees: warnings, denials, kubectl's dry run, and an injector that does not run."""

import json
import os
import shutil
import subprocess

import pytest

from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, OURS, ROLE, build_pod, names_of, store
from testing.cluster.private import find_programs
from tests.integration.api_server.webhooks import Injector


@pytest.fixture(scope="session")
def kubectl() -> str:
    """kubectl from PATH, or the one that was built with the API server."""
    built = find_programs(os.environ) / "bin" / "kubectl"
    found = shutil.which("kubectl") or (str(built) if built.exists() else None)
    if found is None:
        pytest.skip("kubectl is not on PATH: install it")
    return found


def run_kubectl(
    kubectl: str, api: ApiServer, pod: dict[str, object], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    argv = [kubectl, "--kubeconfig", api.kubeconfig, "create", "-f", "-", *arguments]
    return subprocess.run(argv, input=json.dumps(pod), capture_output=True, text=True, timeout=30, check=False)


def test_kubectl_dry_run_shows_the_injection(api: ApiServer, namespace: str, kubectl: str) -> None:
    shown = run_kubectl(kubectl, api, build_pod(), "--namespace", namespace, "--dry-run=server", "-o", "json")

    assert names_of(json.loads(shown.stdout), "initContainers") == OURS
    assert api.list("Pod", namespace) == []


def test_kubectl_prints_a_warning_for_a_misspelt_annotation(api: ApiServer, namespace: str, kubectl: str) -> None:
    pod = build_pod(ROLE | {"podrole.io/sesion-duration": "3600"})

    created = run_kubectl(kubectl, api, pod, "--namespace", namespace)

    assert created.returncode == 0
    assert "Warning: " in created.stderr
    assert "podrole.io/sesion-duration" in created.stderr
    assert "Did you mean podrole.io/session-duration?" in created.stderr


def test_kubectl_prints_why_a_pod_is_denied(api: ApiServer, namespace: str, kubectl: str) -> None:
    created = run_kubectl(kubectl, api, build_pod(hostNetwork=True), "--namespace", namespace)

    assert created.returncode != 0
    assert 'admission webhook "pods.podrole.io" denied the request' in created.stderr
    assert "Remove spec.hostNetwork or the annotation iam.amazonaws.com/role." in created.stderr


@pytest.mark.parametrize("key", ["podrole.io/sesion-duration", "podrole.io/colour"])
@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])
def test_unknown_annotation_gets_a_warning(api: ApiServer, namespace: str, key: str, *, dry_run: bool) -> None:
    answer = api.create(build_pod(ROLE | {key: "1"}), namespace, dry_run=dry_run)

    assert [key in warning for warning in answer.warnings] == [True]


DENIED = {
    "host-network-with-role": (build_pod(hostNetwork=True), "uses the node's network (spec.hostNetwork)"),
    "windows-with-role": (build_pod(os={"name": "windows"}), "runs on Windows"),
    "bad-role": (build_pod({"iam.amazonaws.com/role": "arn:aws:iam::1:role/x"}), "which is not a valid role"),
    "other-partition": (build_pod({"iam.amazonaws.com/role": "arn:aws-cn:iam::111122223333:role/x"}), "partition aws"),
    "bad-value": (build_pod(ROLE | {"podrole.io/session-duration": "60"}), "1800 to 43200"),
    "sidecar-user": (
        build_pod(containers=[{**APP, "securityContext": {"runAsUser": 16925}}]),
        "spec.containers[app].securityContext.runAsUser is 16925",
    ),
    "override-not-allowed": (build_pod(ROLE | {"podrole.io/mode": "env"}), "podrole.io/mode"),
}
"""Row of the outcome table: a pod, and a part of the denial message."""


@pytest.mark.parametrize(("pod", "message"), [pytest.param(*DENIED[row], id=row) for row in DENIED])
@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])
def test_denial_message_reaches_the_client(
    api: ApiServer, namespace: str, pod: dict[str, object], message: str, *, dry_run: bool
) -> None:
    with pytest.raises(RefusedError) as denial:
        api.create(pod, namespace, dry_run=dry_run)

    assert 'admission webhook "pods.podrole.io" denied the request: ' in str(denial.value)
    assert message in str(denial.value)
    assert api.list("Pod", namespace) == []


def test_denial_lists_every_reason(api: ApiServer, namespace: str) -> None:
    annotations = {"iam.amazonaws.com/role": "no role", "podrole.io/session-duration": "long"}
    pod = build_pod(annotations, hostNetwork=True)

    with pytest.raises(RefusedError) as denial:
        api.create(pod, namespace)

    for code in ("[HostNetworkWithRole]", "[InvalidRole]", "[InvalidValue]"):
        assert code in str(denial.value)


def test_injector_outage_stops_only_pods_of_labelled_namespaces(
    api: ApiServer, injector: Injector, namespaces: Namespaces
) -> None:
    labelled, unlabelled = namespaces.make(), namespaces.make(labels={})
    injector.stop()
    try:
        with pytest.raises(RefusedError, match=r'failed calling webhook "pods\.podrole\.io"'):
            api.create(build_pod(), labelled)
        stored = store(api, build_pod(), unlabelled)
    finally:
        injector.start()

    assert "initContainers" not in stored["spec"]
    assert wait_for("injection", lambda: names_of(store(api, build_pod(), labelled), "initContainers")) == OURS
