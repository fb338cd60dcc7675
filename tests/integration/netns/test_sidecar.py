"""The sidecar with the redirect rules, in pods that the webhook has injected."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case
from testing.demo_node import STS_URL, DemoNode
from testing.pods import Pod, PodError
from testing.repository import ROOT
from tests.waiting_app import IDENTITY, POD, WHO_AM_I


@contextmanager
def create_pod(demo_node: DemoNode, pod: dict[str, Any], **binds: Path) -> Iterator[Pod]:
    """Create a pod on the node without starting it; `redirect=FILE` replaces a rule file in its image."""
    rules = {f"/etc/podrole/{name}.nft": path for name, path in binds.items()}
    images = {name: image.with_binds(rules) for name, image in demo_node.images.items()}
    with demo_node.create_pod(pod, images) as running:
        yield running


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def injected(demo_node: DemoNode) -> dict[str, Any]:
    return demo_node.webhook.admit(POD).pod


def without_redirect(pod: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(pod)
    del changed["spec"]["initContainers"][0]
    return changed


def who_am_i(pod: Pod) -> str:
    return pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip()


def test_sidecar_without_rules_exits_and_the_app_never_starts(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with create_pod(demo_node, without_redirect(injected)) as pod:
        with pytest.raises(PodError, match="the redirect is not in effect"):
            pod.start()

        log = pod.logs("podrole-sidecar")
        assert pod.container("podrole-sidecar").exit_code == 3
        assert "169.254.169.254: another server responds" in log
        assert "fd00:ec2::254: another server responds" in log
        assert "podrole-redirect loads it" in log
        assert pod.container("app").exit_code is None


def test_only_the_missing_address_is_reported(demo_node: DemoNode, injected: dict[str, Any], tmp_path: Path) -> None:
    rules = (ROOT / "sidecar/redirect/redirect.nft").read_text()
    (tmp_path / "redirect.nft").write_text(rules.replace(", 169.254.170.23 }", " }"))

    with create_pod(demo_node, injected, redirect=tmp_path / "redirect.nft") as pod:
        with pytest.raises(PodError):
            pod.start()

        log = pod.logs("podrole-sidecar")
        assert "  169.254.170.23: " in log
        assert "  169.254.170.2: " not in log
        assert "  fd00:ec2::23: " not in log


def test_rules_without_ipv6_fail_in_pod_with_ipv6(
    demo_node: DemoNode, injected: dict[str, Any], tmp_path: Path
) -> None:
    rules = (ROOT / "sidecar/redirect/redirect.nft").read_text()
    lines = [line for line in rules.splitlines() if "dnat ip6" not in line]
    (tmp_path / "redirect.nft").write_text("\n".join(lines))

    with create_pod(demo_node, injected, redirect=tmp_path / "redirect.nft") as pod:
        with pytest.raises(PodError):
            pod.start()

        assert "fd00:ec2::254: Connection refused" in pod.logs("podrole-sidecar")


def test_pod_without_ipv6_gets_its_role(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with create_pod(demo_node, injected) as pod:
        pod.network.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.lo.disable_ipv6=1"])

        pod.start()

        assert who_am_i(pod) == IDENTITY


def test_pod_gets_its_role_with_iptables(demo_node: DemoNode) -> None:
    config = CONFIG._replace(
        sidecar_image="podrole-sidecar", sts_endpoint=STS_URL, redirect_backend=RedirectBackend.IPTABLES
    )
    injected = Case(POD, ENABLED, UNANNOTATED).inject(config)

    with create_pod(demo_node, injected) as pod:
        pod.start()

        assert "sidecar.redirect" in injected["spec"]["initContainers"][0]["command"]
        assert who_am_i(pod) == IDENTITY


def test_app_in_env_mode_gets_its_role_but_can_reach_the_nodes(demo_node: DemoNode) -> None:
    """As the warning of env mode states: it does not protect the node's role."""
    config = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=STS_URL, mode=ModePolicy.ENV)
    injected = Case(POD, ENABLED, UNANNOTATED).inject(config)

    with create_pod(demo_node, injected) as pod:
        pod.start()
        reached = pod.exec("app", ["python3", "/app/apps/reach.py", "169.254.169.254:80"]).stdout

        assert [container["name"] for container in injected["spec"]["initContainers"]] == ["podrole-sidecar"]
        assert who_am_i(pod) == IDENTITY
        assert reached.strip() == f"169.254.169.254:80\t{demo_node.node_role}"


def inject_in_env_mode(*, must_be_closed: bool) -> dict[str, Any]:
    config = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=STS_URL, mode=ModePolicy.ENV)
    return Case(POD, ENABLED, UNANNOTATED).inject(config._replace(require_closed_metadata=must_be_closed))


def list_events(pod: Pod) -> list[str]:
    lines = pod.logs("podrole-sidecar").splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]


def close_metadata(pod: Pod) -> None:
    for version, address in (("-4", "169.254.169.254"), ("-6", "fd00:ec2::254")):
        pod.network.run(["ip", version, "route", "add", "unreachable", address])


def test_sidecar_in_env_mode_reports_the_open_metadata_service_after_its_start(demo_node: DemoNode) -> None:
    with create_pod(demo_node, inject_in_env_mode(must_be_closed=False)) as pod:
        pod.start()
        wait_until(lambda: "node-metadata" in list_events(pod))
        status = pod.exec("podrole-sidecar", ["python3", "-m", "sidecar.status", "--output", "json"]).stdout

        measured = json.loads(status)["node_metadata"]
        assert measured["state"] == "open"
        assert measured["addresses"]["169.254.169.254"] == {
            "state": "open",
            "reason": "gives session tokens and metadata without a token",
        }
        assert list_events(pod) == ["refreshed", "started", "node-metadata"]


def test_app_does_not_start_while_metadata_that_must_be_closed_is_open(demo_node: DemoNode) -> None:
    with create_pod(demo_node, inject_in_env_mode(must_be_closed=True)) as pod:
        with pytest.raises(PodError, match="the node's metadata service answers this pod"):
            pod.start()

        log = pod.logs("podrole-sidecar")
        assert pod.container("podrole-sidecar").exit_code == 4
        assert "169.254.169.254: gives session tokens and metadata without a token" in log
        assert "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the node" in log
        assert "started" not in list_events(pod)
        assert pod.container("app").exit_code is None
        assert demo_node.node_role not in log


def test_app_starts_once_metadata_that_must_be_closed_was_measured_as_closed(demo_node: DemoNode) -> None:
    with create_pod(demo_node, inject_in_env_mode(must_be_closed=True)) as pod:
        close_metadata(pod)
        pod.start()

        assert who_am_i(pod) == IDENTITY
        events = list_events(pod)
        assert events.index("node-metadata") < events.index("started")
        assert events.count("node-metadata") == 1


def test_redirect_mode_ignores_that_metadata_must_be_closed_and_measures_nothing(demo_node: DemoNode) -> None:
    config = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=STS_URL, require_closed_metadata=True)
    with create_pod(demo_node, Case(POD, ENABLED, UNANNOTATED).inject(config)) as pod:
        pod.start()

        assert who_am_i(pod) == IDENTITY
        assert list_events(pod) == ["refreshed", "started"]


def test_restarted_sidecar_works_with_the_existing_rules(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with create_pod(demo_node, injected) as pod:
        pod.start()
        pod.restart("podrole-sidecar")

        assert who_am_i(pod) == IDENTITY


def test_sidecar_as_process_1_exits_on_sigterm(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    """Process 1 of a container has no default action for SIGTERM."""
    with create_pod(demo_node, injected) as pod:
        pod.start()

        assert pod.container("podrole-sidecar").terminate(grace_seconds=2) == 0


def test_app_cannot_read_the_run_directory(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    if demo_node.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    changed = copy.deepcopy(injected)
    changed["spec"]["containers"][0]["securityContext"] = {"runAsUser": 1000}

    with create_pod(demo_node, changed) as pod:
        pod.start()
        found = pod.exec("app", ["sh", "-c", "ls /dev/shm; ls /dev/shm/podrole-*; cat /proc/1/status | grep Uid"])

        assert "podrole-" in found.stdout
        assert "Permission denied" in found.stderr
