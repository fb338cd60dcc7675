"""kube2iam's and Kiam's rule on a node: what the probe sees through it, and how docs/migration.md removes it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.pods import Node, PodNetwork
from testing.repository import ROOT
from tests.integration.netns.conftest import metadata_node, run_server
from tests.integration.netns.test_reachability import PROBE, run_imds

PORT = 8181
HEALTH = '{"hostIP":"10.0.0.1","instanceId":"i-0"}'
ADD, *OTHERS = (
    "iptables -t nat -A PREROUTING -p tcp -d 169.254.169.254 --dport 80 -j DNAT --to-destination {address} -i podrole0",
    "iptables -t nat -A PREROUTING -p tcp -d 10.9.9.9 --dport 80 -j DNAT --to-destination {address}",
    "iptables -t nat -A OUTPUT -p tcp -d 169.254.169.254 --dport 80 -j ACCEPT",
)
"""The rule as kube2iam and Kiam add it, and rules that are not theirs."""

SHOW, REMOVE = re.findall(r"^ *(iptables-save .*)$", (ROOT / "docs/migration.md").read_text(), re.MULTILINE)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node whose metadata service answers pods."""
    with metadata_node() as node, run_imds(node, tmp_path):
        yield node


@pytest.fixture
def pod(node: Node) -> Iterator[PodNetwork]:
    network = node.network("agents")
    yield network
    network.remove()


def probe(network: PodNetwork) -> tuple[str | None, str]:
    """The agent, and what the probe gets at the address that agents intercept."""
    report: dict[str, Any] = json.loads(network.run(PROBE).stdout)
    return report["agent"], report["node_metadata"]["addresses"]["169.254.169.254"]["reason"]


def add_rules(node: Node) -> None:
    for rule in (ADD, *OTHERS):
        node.run(rule.format(address=f"169.254.169.254:{PORT}").split())


def shell(node: Node, line: str) -> str:
    return str(node.run(["sh", "-ec", line]).stdout)


def test_metadata_service_is_no_agent(pod: PodNetwork) -> None:
    assert probe(pod) == (None, "gives session tokens and metadata without a token")


@pytest.mark.parametrize(
    ("agent", "path", "body"),
    [
        pytest.param("kube2iam", "/healthz", HEALTH, id="kube2iam"),
        pytest.param("Kiam", "/ping", "pong", id="kiam"),
    ],
)
def test_agent_that_answers_is_named(node: Node, pod: PodNetwork, agent: str, path: str, body: str) -> None:
    add_rules(node)

    with run_server(node, "agent_server.py", str(PORT), path, body):
        assert probe(pod)[0] == agent


def test_rule_that_is_left_hides_the_metadata_service_until_it_is_removed(node: Node, pod: PodNetwork) -> None:
    add_rules(node)

    hidden, shown = probe(pod), shell(node, SHOW)
    shell(node, REMOVE)
    left = shell(node, "iptables-save -t nat")

    assert hidden == (None, "refused")
    assert "--dport 80 -j DNAT --to-destination 169.254.169.254:8181" in shown
    assert probe(pod) == (None, "gives session tokens and metadata without a token")
    assert "-A PREROUTING -d 169.254.169.254" not in left
    assert [line for line in left.splitlines() if line.startswith("-A")] == [
        "-A PREROUTING -d 10.9.9.9/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 169.254.169.254:8181",
        "-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j ACCEPT",
    ]


def test_removing_the_rule_twice_is_no_error(node: Node) -> None:
    shell(node, REMOVE)
    add_rules(node)
    shell(node, REMOVE)
    shell(node, REMOVE)
