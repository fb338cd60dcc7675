"""The sidecar's server tells redirected connections from others, with each way to load the rules."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import contract
from contract.modes import Mode
from sidecar.errors import RedirectError
from testing.pods import Node, PodNetwork
from testing.repository import ROOT
from testing.sidecars import build_environ
from tests.integration.netns.backends import Backend, build_nftables
from tests.integration.netns.checks import IPV4
from tests.integration.netns.conftest import stop

HERE = Path(__file__).parent
METADATA = [f"{address}/80" for address in contract.METADATA_ADDRESSES]
MAPPED = [f"::ffff:{address}/80" for address in IPV4]
DIRECT = [f"{address}/{contract.SIDECAR_PORT}" for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]


@pytest.fixture
def pod(node: Node) -> Iterator[PodNetwork]:
    """A pod's network in which the sidecar's port tells each client where it connected to."""
    network = node.network("pod")
    script = [sys.executable, str(HERE / "name_destinations.py"), str(contract.SIDECAR_PORT)]
    process = network.popen(["env", f"PYTHONPATH={ROOT}", *script], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        assert output.readline() == b"ready\n"
        yield network
    stop(process)
    network.remove()


def ask(network: PodNetwork, targets: list[str]) -> list[str]:
    answers: list[str] = json.loads(network.run([sys.executable, str(HERE / "ask_destinations.py"), *targets]).stdout)
    return answers


def test_redirected_client_is_seen_at_the_address_that_it_used(pod: PodNetwork, backend: Backend) -> None:
    backend.load(pod)

    assert ask(pod, METADATA) == [f"{address} 80" for address in contract.METADATA_ADDRESSES]
    assert ask(pod, MAPPED) == [f"{address} 80" for address in IPV4]


def test_client_of_the_sidecars_port_is_seen_there(pod: PodNetwork, backend: Backend) -> None:
    backend.load(pod)

    assert ask(pod, DIRECT) == ["127.0.0.1 16925", "::1 16925", "127.0.0.1 16925"]


def test_client_without_rules_and_connection_tracking_is_seen_at_the_sidecars_port(pod: PodNetwork) -> None:
    assert ask(pod, DIRECT) == ["127.0.0.1 16925", "::1 16925", "127.0.0.1 16925"]


def test_sidecar_on_a_kernel_that_does_not_tell_the_destination_fails_the_start(node: Node, tmp_path: Path) -> None:
    changes = {contract.ENV_MODE: Mode.REDIRECT, contract.ENV_PORT: str(contract.SIDECAR_PORT), "PYTHONPATH": str(ROOT)}
    environ = build_environ(tmp_path, "http://127.0.0.1:1", **changes)
    settings = [f"{name}={value}" for name, value in environ.items()]
    without = [sys.executable, str(HERE / "deny_syscall.py"), "original_destination"]
    network = node.network("pod")
    build_nftables().load(network)

    result = network.run(["env", *settings, *without, sys.executable, "-m", "sidecar"], check=False)

    network.remove()
    assert result.returncode == RedirectError.exit_code
    assert "169.254.170.2: another server responds, or the kernel does not report the original" in result.stderr
    assert "fd00:ec2::23" not in result.stderr
