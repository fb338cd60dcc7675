"""The source node and metadata pass-through in real network namespaces: who reaches the node's metadata, who not."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import contract
from injector.config import Config
from injector.k8s.objects import Metadata
from testing.demo_node import STS_URL, DemoNode
from testing.pods import Pod
from tests.unit.injector.cases import CONFIG, ENABLED, Case
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

BASE = replace(CONFIG, sidecar_image="podrole-sidecar", sts_endpoint=STS_URL)
NODE = replace(BASE, credential_source="node")
PASSING = replace(BASE, allow_overrides=frozenset({"metadata-passthrough"}))
ALLOWING = Metadata(ENABLED.labels, {"iam.amazonaws.com/allowed-roles": '["reader"]'})
CHAINING = Metadata(ENABLED.labels, {"podrole.io/intermediate-role": "arn:aws:iam::111122223333:role/hub"})
REACH = ("python3", "/app/apps/reach.py", "169.254.169.254:80", "[fd00:ec2::254]:80", "169.254.169.254:8080")
STATUS = ("python3", "-m", "sidecar.status", "--output", "json")
ASK = """
import sys, urllib.request
from urllib.error import HTTPError
base = "http://169.254.169.254/latest/"
for path in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(base + path, timeout=10).read().decode())
    except HTTPError as error:
        print(error.code)
"""


@pytest.fixture(autouse=True)
def needs_users(demo_node: DemoNode) -> None:
    if demo_node.node.single_user:
        pytest.skip("every uid is 0 in a user namespace, and the rules tell users apart: run as root")


@pytest.fixture(params=["nftables", "iptables"])
def redirect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(demo_node: DemoNode, config: Config, namespace: Metadata, **annotations: str) -> Iterator[Pod]:
    wanted = copy.deepcopy(POD)
    wanted["metadata"]["annotations"] |= {f"podrole.io/{key.replace('_', '-')}": v for key, v in annotations.items()}
    with demo_node.create_pod(Case(wanted, namespace, None).inject(config)) as pod:
        pod.start()
        yield pod


@pytest.fixture
def of_node(demo_node: DemoNode, redirect: str) -> Iterator[Pod]:
    """A pod whose role the node's role assumes."""
    yield from start(demo_node, replace(NODE, redirect_backend=redirect), ALLOWING)


@pytest.fixture
def passing(demo_node: DemoNode, redirect: str) -> Iterator[Pod]:
    """A pod that may have some of the node's metadata."""
    yield from start(demo_node, replace(PASSING, redirect_backend=redirect), ENABLED, metadata_passthrough="true")


@pytest.fixture
def chained(demo_node: DemoNode) -> Iterator[Pod]:
    """A pod whose role is assumed from another one."""
    yield from start(demo_node, BASE, CHAINING, session_tags="team=shop")


def read_status(pod: Pod) -> Any:
    return json.loads(pod.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)


def test_only_the_sidecar_reaches_the_nodes_metadata(demo_node: DemoNode, of_node: Pod) -> None:
    with demo_node.create_pod(copy.deepcopy(POD)) as plain:
        plain.start()
        by_plain = plain.exec("app", REACH).stdout.splitlines()
    by_app = of_node.exec("app", REACH).stdout.splitlines()
    by_sidecar = of_node.exec(
        contract.SIDECAR_CONTAINER, ["python3", "-c", ASK, "meta-data/iam/security-credentials/"]
    ).stdout

    assert by_sidecar.strip() == demo_node.node_role
    assert [line.partition("\t")[2] for line in by_plain] == [demo_node.node_role] * 3
    assert [line.partition("\t")[2] for line in by_app] == ["reader", "reader", "connection refused"]


def test_app_gets_the_pods_role_with_source_node(of_node: Pod) -> None:
    assert of_node.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
    assert read_status(of_node)["source"] == "node"
    assert '"started"' in of_node.logs(contract.SIDECAR_CONTAINER)


def test_role_chain_ends_with_the_pods_role(chained: Pod) -> None:
    assert chained.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
    assert read_status(chained)["intermediate_role"] == "arn:aws:iam::111122223333:role/hub"


def test_pass_through_serves_allowed_paths_and_the_pods_role(demo_node: DemoNode, passing: Pod) -> None:
    paths = ["meta-data/instance-id", "meta-data/placement/availability-zone", "user-data", "meta-data/iam/info"]

    answers = passing.exec("app", ["python3", "-c", ASK, *paths]).stdout.split()
    reached = passing.exec("app", REACH).stdout

    assert answers == ["i-0123456789abcdef0", "eu-west-1b", "404", "404"]
    assert demo_node.node_role not in reached
    assert passing.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY


@pytest.fixture
def in_env_mode(demo_node: DemoNode) -> Iterator[Pod]:
    """A pod without rules whose role the node's role assumes."""
    yield from start(demo_node, replace(NODE, mode="env"), ALLOWING)


def test_source_node_works_in_env_mode_without_rules(in_env_mode: Pod) -> None:
    names = [container["name"] for container in in_env_mode.manifest["spec"]["initContainers"]]

    assert names == [contract.SIDECAR_CONTAINER]
    assert in_env_mode.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
