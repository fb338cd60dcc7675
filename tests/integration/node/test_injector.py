"""The injector while its replicas, certificates and the API server fail or change."""

import base64
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from testing.cluster.api import wait_for
from testing.services.certificates import write_certificates
from tests.integration.node.cluster import Node, build_pod
from tests.integration.node.conftest import NAMESPACE, await_rollout, list_replicas

WEBHOOK = ["mutatingwebhookconfiguration", "podrole-injector"]
SECRET = "podrole-injector-certs"


class PodCreationLoop:
    """Creates pods in dry runs, one after another, and records failures."""

    def __init__(self, node: Node, namespace: str) -> None:
        self.created = 0
        self.failures: list[str] = []
        self._node = node
        self._namespace = namespace
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        pod = yaml.safe_dump(build_pod("true", role="anybody"))
        command = [f"--namespace={self._namespace}", "create", "--dry-run=server", "--output=name", "-f", "-"]
        while not self._end.is_set():
            answer = self._node.kubectl.try_run(*command, stdin=pod)
            self.created += answer.code == 0
            if answer.code:
                self.failures.append(answer.errors)

    @contextmanager
    def running(self) -> Iterator["PodCreationLoop"]:
        self._thread.start()
        try:
            wait_for("the first pods", lambda: self.created > 2, 60)
            yield self
            seen = self.created
            wait_for("pods after that", lambda: self.created > seen + 3, 60)
        finally:
            self._end.set()
            self._thread.join()


@pytest.fixture
def loop(installed: Node, team: str) -> PodCreationLoop:
    return PodCreationLoop(installed, team)


def rollout(node: Node, *arguments: str) -> None:
    node.kubectl.run(f"--namespace={NAMESPACE}", "rollout", *arguments, "deployment/podrole-injector")


def test_rolling_restart_under_load_loses_no_pod(installed: Node, loop: PodCreationLoop) -> None:
    with loop.running():
        rollout(installed, "restart")
        await_rollout(installed)

    print(f"{loop.created} pods created, {len(loop.failures)} failed")
    assert loop.failures == []


def test_deleting_a_replica_under_load_loses_no_pod(installed: Node, loop: PodCreationLoop) -> None:
    name = list_replicas(installed)[0]["metadata"]["name"]

    with loop.running():
        installed.kubectl.run(f"--namespace={NAMESPACE}", "delete", "pod", name)
        await_rollout(installed)

    print(f"{loop.created} pods created, {len(loop.failures)} failed")
    assert loop.failures == []


def test_killing_a_replica_under_load_fails_only_requests_in_flight(installed: Node, loop: PodCreationLoop) -> None:
    """Until its endpoint is removed, the API server can still connect to it. podrole cannot prevent that failure."""
    pod = list_replicas(installed)[0]
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]

    with loop.running():
        installed.run_on_node("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)
        await_rollout(installed)

    print(f"{loop.created} pods created, {len(loop.failures)} failed: {loop.failures[:1]}")
    assert all("failed calling webhook" in failure for failure in loop.failures)
    assert len(loop.failures) <= max(3, loop.created // 5)


def test_without_replicas_only_labelled_namespaces_reject_pods(installed: Node, team: str, plain: str) -> None:
    pod = build_pod("true", role="anybody")
    installed.kubectl.run(f"--namespace={NAMESPACE}", "scale", "deployment/podrole-injector", "--replicas=0")
    try:
        wait_for("the replicas' end", lambda: not list_replicas(installed), 90)
        message = installed.create_denied(pod, team)
        for namespace in ("kube-system", plain):
            command = [f"--namespace={namespace}", "create", "--dry-run=server", "-f", "-"]
            installed.kubectl.run(*command, stdin=yaml.safe_dump(pod))
    finally:
        installed.kubectl.run(f"--namespace={NAMESPACE}", "scale", "deployment/podrole-injector", "--replicas=2")
    begin = time.monotonic()
    wait_for("the first pod", lambda: _try_create(installed, team), 120)

    print(message, f"pods are created again {time.monotonic() - begin:.1f} s after scaling up")
    assert 'failed calling webhook "pods.podrole.io"' in message
    await_rollout(installed)


def _try_create(node: Node, namespace: str) -> bool:
    command = [f"--namespace={namespace}", "create", "--dry-run=server", "-f", "-"]
    return node.kubectl.try_run(*command, stdin=yaml.safe_dump(build_pod("true", role="anybody"))).code == 0


def read_bundle(node: Node) -> str:
    configuration = node.read(*WEBHOOK)
    bundle: str = configuration["webhooks"][0]["clientConfig"].get("caBundle", "")
    return bundle


@pytest.mark.parametrize("value", ["", "c29tZWJvZHkgZWxzZQ=="], ids=["wiped", "overwritten"])
def test_ca_bundle_is_repaired_within_seconds(installed: Node, value: str) -> None:
    before = read_bundle(installed)
    operation = {"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": value or None}

    def damage() -> None:
        patch = json.dumps([operation if value else {"op": "remove", "path": operation["path"]}])
        installed.kubectl.run("patch", *WEBHOOK, "--type=json", "--patch", patch)

    if value:
        operation["value"] = _build_other_ca()
    damage()
    begin = time.monotonic()
    wait_for("the repair", lambda: read_bundle(installed) == before, 30)

    print(f"repaired within {time.monotonic() - begin:.1f} s")


def _build_other_ca() -> str:
    with tempfile.TemporaryDirectory() as directory:
        return base64.b64encode(write_certificates(Path(directory), ["127.0.0.1"]).ca.read_bytes()).decode()


def rotate(node: Node, what: str) -> None:
    annotation = f"podrole.io/rotate={what}"
    node.kubectl.run(f"--namespace={NAMESPACE}", "annotate", "secret", SECRET, annotation)


def await_rotation(node: Node, before: dict[str, str], keys: set[str], within_seconds: float) -> None:
    """Wait until these keys have changed. A new CA is published for some time before it signs a serving certificate."""

    def is_done() -> bool:
        data = node.read("secret", SECRET, NAMESPACE)["data"]
        return all(data[key] != before[key] for key in keys)

    wait_for("the rotation", is_done, within_seconds)


@pytest.mark.parametrize(
    ("what", "key", "within_seconds"), [("leaf", "tls.crt", 60), ("ca", "ca.crt", 600)], ids=["leaf", "ca"]
)
def test_rotation_under_load_loses_no_pod(
    installed: Node, loop: PodCreationLoop, what: str, key: str, within_seconds: float
) -> None:
    before = installed.read("secret", SECRET, NAMESPACE)["data"]

    with loop.running():
        rotate(installed, what)
        await_rotation(installed, before, {key, "tls.crt"}, within_seconds)

    print(f"{loop.created} pods created, {len(loop.failures)} failed")
    assert loop.failures == []
    annotations = installed.read("secret", SECRET, NAMESPACE)["metadata"].get("annotations") or {}
    assert "podrole.io/rotate" not in annotations


@pytest.mark.parametrize(
    "damage",
    [{"tls.key": "bm90IGEga2V5"}, {"ca.key": "bm90IGEga2V5", "ca.crt": "bm8="}, None],
    ids=["serving-key", "ca", "everything"],
)
def test_damaged_secret_is_replaced_and_no_pod_is_lost(
    installed: Node, loop: PodCreationLoop, damage: dict[str, str] | None
) -> None:
    before = installed.read("secret", SECRET, NAMESPACE)["data"]

    with loop.running():
        patch = json.dumps({"data": damage})
        installed.kubectl.run(f"--namespace={NAMESPACE}", "patch", "secret", SECRET, "--type=merge", "--patch", patch)
        wait_for("the repair", lambda: _is_whole(installed, before, damage), 60)

    print(f"{loop.created} pods created, {len(loop.failures)} failed")
    assert loop.failures == []


def _is_whole(node: Node, before: dict[str, str], damage: dict[str, str] | None) -> bool:
    data = node.read("secret", SECRET, NAMESPACE).get("data") or {}
    return data.keys() >= before.keys() and not (damage and damage.items() <= data.items())


def test_reapplying_the_manifests_under_load_loses_no_pod(loop: PodCreationLoop, reapply: Callable[[], None]) -> None:
    with loop.running():
        reapply()

    print(f"{loop.created} pods created, {len(loop.failures)} failed")
    assert loop.failures == []


def test_webhook_works_after_an_api_server_restart(installed: Node, team: str) -> None:
    cluster = installed.private
    if cluster is None:
        pytest.skip("the API server of KUBECONFIG is not restarted")
    before = read_bundle(installed)
    uids = {pod["metadata"]["uid"] for pod in list_replicas(installed)}

    cluster.stop_api_server()
    cluster.start()
    wait_for("the first pod", lambda: _try_create(installed, team), 120)

    assert read_bundle(installed) == before
    assert {pod["metadata"]["uid"] for pod in list_replicas(installed)} == uids
    assert _try_create(installed, team)
