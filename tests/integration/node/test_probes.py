"""`podrole preflight --probe` on a real kubelet: its pods run, find what is open, and are gone afterwards."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from injector.patch.template import SHIPPED
from podrole.__main__ import main as podrole
from podrole.diagnosis.probes import SELECTOR
from testing.cluster.api import wait_for
from tests.integration.node.cluster import Node, build_pod
from tests.integration.node.conftest import BRIDGE, delete_namespace, make_namespace
from tests.integration.node.test_shapes import label

SECTION = "Probe pods"
LOAD_RULES = "[nft, -f, /etc/podrole/block.nft]"


@pytest.fixture(scope="module")
def second_class(installed: Node) -> Iterator[str]:
    """A RuntimeClass with the same runtime as the default one."""
    name = f"second-{uuid.uuid4().hex[:6]}"
    manifest = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runc"}
    installed.apply(manifest, "default")
    yield name
    installed.kubectl.run("delete", "runtimeclass", name)


@pytest.fixture
def unlabelled(installed: Node) -> Iterator[str]:
    name = make_namespace(installed, f"probe-{uuid.uuid4().hex[:8]}", {})
    yield name
    delete_namespace(installed, name)


def run(node: Node, *arguments: str, **environ: str) -> Result:
    options = ["preflight", "--no-dry-run", *arguments]
    result = CliRunner().invoke(podrole, options, env={"KUBECONFIG": node.kubectl.kubeconfig, **environ})
    print(result.output)
    return result


def read_findings(result: Result) -> list[dict[str, Any]]:
    found = json.loads(result.stdout)["findings"]
    return [finding for finding in found if finding["section"] == SECTION]


def count_leftovers(node: Node) -> int:
    pods = node.kubectl.run("get", "pods", "-A", f"--selector={SELECTOR}", "--output=json").output
    namespaces = node.kubectl.run("get", "namespaces", f"--selector={SELECTOR}", "--output=json").output
    return len(json.loads(pods)["items"]) + len(json.loads(namespaces)["items"])


def await_cleanup(node: Node) -> None:
    wait_for("the end of the probes", lambda: count_leftovers(node) == 0, 60)


def test_probe_proves_the_rules_with_each_runtime_class_and_finds_open_metadata(
    installed: Node,
    second_class: str,
    metadata: str,
) -> None:
    result = run(installed, "--probe", "--output=json")

    found = {(finding["code"], finding["text"]) for finding in read_findings(result)}
    for runtime in ("the default runtime", f"RuntimeClass {second_class}"):
        codes = [code for code, text in found if f"with {runtime}" in text]
        assert sorted(codes) == ["BlockProven", "NodeMetadataReachable", "RedirectProven"]
    assert any(f"{metadata} gives session tokens and metadata without a token" in text for _, text in found)
    assert result.exit_code == 0
    await_cleanup(installed)


def test_probe_runs_on_the_chosen_node_and_names_it(installed: Node, metadata: str) -> None:
    name = installed.kubectl.run("get", "nodes", "--output=jsonpath={.items[0].metadata.name}").output
    installed.kubectl.run("taint", "node", name, "podrole.io/test=x:NoSchedule")
    try:
        result = run(installed, "--probe", f"--probe-node={name}", "--output=json")
    finally:
        installed.kubectl.run("taint", "node", name, "podrole.io/test=x:NoSchedule-")

    found = [one["text"] for one in read_findings(result) if one["code"] == "NodeMetadataReachable"]
    assert any("with the default runtime" in text for text in found)
    assert all(f"the role of node {name}: {metadata} gives session tokens" in text for text in found)
    await_cleanup(installed)


@pytest.fixture
def no_metadata(installed: Node, metadata: str) -> Iterator[None]:
    """The node without the metadata service's address."""
    address = [f"{metadata}/32", "dev", BRIDGE.name]
    installed.run_on_node("ip", "address", "delete", *address)
    yield
    installed.run_on_node("ip", "address", "add", *address)


@pytest.mark.usefixtures("no_metadata")
def test_probe_without_metadata_service_finds_it_closed(installed: Node, second_class: str) -> None:
    result = run(installed, "--probe", "--output=json")

    closed = [finding for finding in read_findings(result) if finding["code"] == "NodeMetadataNotReachable"]
    assert len(closed) == 2
    assert any(second_class in finding["text"] for finding in closed)


def test_rules_of_the_iptables_backend_are_proven_too(installed: Node) -> None:
    result = run(installed, "--probe", "--output=json", PODROLE_REDIRECT_BACKEND="iptables")

    codes = {finding["code"] for finding in read_findings(result)}
    assert {"BlockProven", "RedirectProven"} <= codes
    assert not codes & {"RulesNotLoaded", "RulesBypassed", "ProbeNotRun"}


def test_rules_that_are_not_in_effect_are_a_problem_with_each_address(
    installed: Node, metadata: str, tmp_path: Path
) -> None:
    """A template whose init container loads nothing stands for a runtime that bypasses netfilter."""
    text = SHIPPED.read_text()
    assert LOAD_RULES in text
    (tmp_path / "template.yaml").write_text(text.replace(LOAD_RULES, "[nft, --version]"))

    result = run(installed, "--probe", "--output=json", PODROLE_TEMPLATE=str(tmp_path / "template.yaml"))

    bypassed = [finding for finding in read_findings(result) if finding["code"] == "RulesBypassed"]
    assert bypassed
    assert f"{metadata} port 80: connected; {metadata} port 8080: connected" in bypassed[0]["text"]
    assert "block mode" in bypassed[0]["text"]
    assert result.exit_code == 1


def test_image_that_cannot_be_pulled_is_unknown_with_the_kubelets_reason(installed: Node, unlabelled: str) -> None:
    image = "localhost/no-such-image:1"

    result = run(installed, "--probe", f"--probe-namespace={unlabelled}", "--output=json", PODROLE_SIDECAR_IMAGE=image)

    findings = read_findings(result)
    assert {finding["code"] for finding in findings} == {"ProbeNotRun"}
    assert all("ImagePullBackOff" in finding["text"] and image in finding["text"] for finding in findings)
    assert result.exit_code == 3
    await_cleanup(installed)


def test_pod_security_that_rejects_a_probe_is_unknown_and_the_others_run(installed: Node, unlabelled: str) -> None:
    label(installed, unlabelled, enforce="restricted")

    result = run(installed, "--probe", f"--probe-namespace={unlabelled}", "--output=json")

    texts = {finding["text"] for finding in read_findings(result) if finding["code"] == "ProbeNotRun"}
    assert any("of block mode" in text and "violates PodSecurity" in text for text in texts)
    assert any("of redirect mode" in text and "NET_ADMIN" in text for text in texts)
    assert not any("of env mode" in text for text in texts)
    await_cleanup(installed)


def test_printed_probe_creates_nothing_and_can_be_applied(installed: Node, second_class: str) -> None:
    result = run(installed, "--print-probe")

    assert count_leftovers(installed) == 0
    assert f"runtimeClassName: {second_class}" in result.stdout
    assert result.exit_code == 0
    try:
        installed.kubectl.run("apply", "-f", "-", stdin=result.stdout)
        assert count_leftovers(installed) >= 7
    finally:
        installed.kubectl.run("delete", "namespace", f"--selector={SELECTOR}")


def test_check_warns_about_a_pod_in_env_mode_that_reaches_the_metadata_service(
    installed: Node, team: str, metadata: str
) -> None:
    label(installed, team, enforce="baseline")
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)

    def check() -> Result:
        return CliRunner().invoke(podrole, ["check", f"{team}/app"], env={"KUBECONFIG": installed.kubectl.kubeconfig})

    result = wait_for("the measurement", lambda: found if "node's metadata" in (found := check()).output else None, 30)

    print(result.output)
    assert "The node's metadata service answers this pod, which is in env mode" in result.output
    assert f"{metadata} gives session tokens and metadata without a token" in " ".join(result.output.split())
    assert result.exit_code == 1
