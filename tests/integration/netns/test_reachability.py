"""Env mode's measurement of the node's metadata service, against real sockets in network namespaces."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from testing.pods import Node, PodNetwork
from testing.repository import ROOT
from testing.services import programs
from tests.integration.netns.conftest import EC2_ADDRESSES, metadata_node, nested_network, run_server

DROP = "{ type filter hook output priority 0; policy drop; }"
ENDPOINTS = ("169.254.169.254:80", "[fd00:ec2::254]:80")
PROBE = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "sidecar.probe", "env"]
TOKENS = "gives session tokens"
METADATA = "gives metadata without a token"
BOTH = "gives session tokens and metadata without a token"
NOTHING = "gives neither tokens nor metadata"
OPTIONAL: tuple[str, ...] = ()
REQUIRED = ("--require-tokens",)
ONE_HOP = ("--hop-limit=1",)


@pytest.fixture(scope="module")
def plain_node() -> Iterator[Node]:
    with metadata_node() as node:
        yield node


@pytest.fixture
def pod(plain_node: Node) -> Iterator[PodNetwork]:
    network = plain_node.network("measure")
    yield network
    network.remove()


@pytest.fixture
def behind_a_router(pod: PodNetwork) -> Iterator[PodNetwork]:
    """A network that is one hop further from the node, as a pod of most network plugins is."""
    with nested_network(pod) as inner:
        yield inner


def run_imds(node: Node, directory: Path, *options: str) -> AbstractContextManager[object]:
    keys = {"AccessKeyId": "ASIANODE", "SecretAccessKey": "s3cr3t", "SessionToken": "t0k3n"}
    credentials = {"Credentials": keys | {"Expiration": "2040-01-02T05:04:05Z"}}
    user = {"AssumedRoleUser": {"Arn": "arn:aws:sts::111122223333:assumed-role/node-role/i-0"}}
    file = directory / "node.json"
    file.write_text(json.dumps(credentials | user))
    return programs.imds(directory, file, ENDPOINTS, node.popen, options)


def measure(network: PodNetwork) -> dict[str, tuple[str, str]]:
    """Measure from inside a network; return state and reason of each address."""
    measured: dict[str, Any] = json.loads(network.run(PROBE).stdout)["node_metadata"]
    return {address: (one["state"], one["reason"]) for address, one in measured["addresses"].items()}


def both(state: str, reason: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(EC2_ADDRESSES, (state, reason))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(OPTIONAL, both("open", BOTH), id="optional-tokens"),
        pytest.param(REQUIRED, both("open", TOKENS), id="required-tokens"),
        pytest.param(ONE_HOP, both("open", METADATA), id="optional-tokens-with-hop-limit-1"),
        pytest.param((*REQUIRED, *ONE_HOP), both("closed", NOTHING), id="required-tokens-with-hop-limit-1"),
    ],
)
def test_service_behind_a_router_is_closed_only_with_required_tokens_and_hop_limit_1(
    plain_node: Node,
    behind_a_router: PodNetwork,
    tmp_path: Path,
    options: tuple[str, ...],
    expected: dict[str, tuple[str, str]],
) -> None:
    with run_imds(plain_node, tmp_path, *options):
        assert measure(behind_a_router) == expected


def test_service_of_one_family_is_open_at_that_address(plain_node: Node, pod: PodNetwork, tmp_path: Path) -> None:
    with run_imds(plain_node, tmp_path):
        pod.run(["ip", "-6", "route", "add", "unreachable", "fd00:ec2::254"])

        assert measure(pod) == {"169.254.169.254": ("open", BOTH), "fd00:ec2::254": ("closed", "no route")}


def test_addresses_without_listener_are_refused(pod: PodNetwork) -> None:
    assert measure(pod) == both("closed", "refused")


def test_pod_without_routes_and_without_ipv6_has_no_route(pod: PodNetwork) -> None:
    pod.run(["ip", "route", "flush", "default"])
    pod.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])

    assert measure(pod) == both("closed", "no route")


def test_dropped_packets_are_closed_after_one_second(pod: PodNetwork) -> None:
    for family in ("ip", "ip6"):
        pod.run(["nft", f"add table {family} deny; add chain {family} deny out {DROP}"])

    begin = time.monotonic()
    measured = measure(pod)

    assert measured == both("closed", "timed out")
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        pytest.param("trickles", both("closed", NOTHING), id="trickles"),
        pytest.param("garbage", both("closed", NOTHING), id="garbage"),
        pytest.param("endless-garbage", both("closed", NOTHING), id="endless-garbage"),
        pytest.param("endless-page", both("closed", NOTHING), id="endless-page"),
        pytest.param("endless-text", both("open", BOTH), id="endless-text"),
        pytest.param("redirects", both("closed", NOTHING), id="redirects"),
        pytest.param("captive-portal", both("closed", NOTHING), id="captive-portal"),
        pytest.param("closes", both("closed", NOTHING), id="closes"),
    ],
)
def test_odd_server_is_judged_within_the_limits(
    plain_node: Node, pod: PodNetwork, behaviour: str, expected: dict[str, tuple[str, str]]
) -> None:
    with run_server(plain_node, "odd_server.py", behaviour):
        begin = time.monotonic()
        measured = measure(pod)
        seconds = time.monotonic() - begin

    assert measured == expected
    assert seconds < 3
