"""Source node and metadata pass-through in network namespaces: which containers reach the node's metadata."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

import contract
from contract.modes import CredentialSource
from injector.config import Config
from injector.k8s.objects import Metadata
from injector.value_types import ModePolicy, OverrideName, RedirectBackend
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case
from testing.demo_node import STS_URL, DemoNode
from testing.pods import Pod
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

BASE = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=STS_URL)
NODE = BASE._replace(credential_source=CredentialSource.NODE, node_access_requires_users=False)
PASSING = BASE._replace(
    allow_overrides=frozenset({OverrideName.METADATA_PASSTHROUGH}), node_access_requires_users=False
)
ALLOWING = Metadata(ENABLED.labels, {"iam.amazonaws.com/allowed-roles": '["reader"]'})
CHAINING = Metadata(ENABLED.labels, {"podrole.io/intermediate-role": "arn:aws:iam::111122223333:role/hub"})
REACH = ("python3", "/app/apps/reach.py", "169.254.169.254:80", "[fd00:ec2::254]:80", "169.254.169.254:8080")
STATUS = ("python3", "-m", "sidecar.status", "--output", "json")
FETCH = """
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
        pytest.skip("every uid is 0 in a user namespace, and the rules distinguish users: run as root")


@pytest.fixture(params=["nftables", "iptables"])
def redirect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(demo_node: DemoNode, config: Config, namespace: Metadata, **annotations: str) -> Iterator[Pod]:
    wanted = copy.deepcopy(POD)
    wanted["metadata"]["annotations"] |= {f"podrole.io/{key.replace('_', '-')}": v for key, v in annotations.items()}
    with demo_node.create_pod(Case(wanted, namespace, UNANNOTATED).inject(config)) as pod:
        pod.start()
        yield pod


@pytest.fixture
def node_source_pod(demo_node: DemoNode, redirect: str) -> Iterator[Pod]:
    """A pod whose role is assumed by the node's role."""
    yield from start(demo_node, NODE._replace(redirect_backend=RedirectBackend(redirect)), ALLOWING)


@pytest.fixture
def passthrough_pod(demo_node: DemoNode, redirect: str) -> Iterator[Pod]:
    """A pod with metadata pass-through."""
    config = PASSING._replace(redirect_backend=RedirectBackend(redirect))
    yield from start(demo_node, config, ENABLED, metadata_passthrough="true")


@pytest.fixture
def chained_pod(demo_node: DemoNode) -> Iterator[Pod]:
    """A pod with an intermediate role."""
    yield from start(demo_node, BASE, CHAINING, session_tags="team=shop")


def read_status(pod: Pod) -> Any:
    return json.loads(pod.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)


def test_only_the_sidecar_reaches_the_nodes_metadata(demo_node: DemoNode, node_source_pod: Pod) -> None:
    with demo_node.create_pod(copy.deepcopy(POD)) as plain:
        plain.start()
        from_plain_pod = plain.exec("app", REACH).stdout.splitlines()
    from_app = node_source_pod.exec("app", REACH).stdout.splitlines()
    from_sidecar = node_source_pod.exec(
        contract.SIDECAR_CONTAINER, ["python3", "-c", FETCH, "meta-data/iam/security-credentials/"]
    ).stdout

    assert from_sidecar.strip() == demo_node.node_role
    assert [line.partition("\t")[2] for line in from_plain_pod] == [demo_node.node_role] * 3
    assert [line.partition("\t")[2] for line in from_app] == ["reader", "reader", "connection refused"]


def test_app_gets_the_pods_role_with_source_node(node_source_pod: Pod) -> None:
    assert node_source_pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
    assert read_status(node_source_pod)["source"] == "node"
    assert '"started"' in node_source_pod.logs(contract.SIDECAR_CONTAINER)


def test_role_chain_ends_with_the_pods_role(chained_pod: Pod) -> None:
    assert chained_pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
    assert read_status(chained_pod)["intermediate_role"] == "arn:aws:iam::111122223333:role/hub"


def test_pass_through_serves_allowed_paths_and_the_pods_role(demo_node: DemoNode, passthrough_pod: Pod) -> None:
    paths = ["meta-data/instance-id", "meta-data/placement/availability-zone", "user-data", "meta-data/iam/info"]

    answers = passthrough_pod.exec("app", ["python3", "-c", FETCH, *paths]).stdout.split()
    reached = passthrough_pod.exec("app", REACH).stdout

    assert answers == ["i-0123456789abcdef0", "eu-west-1b", "404", "404"]
    assert demo_node.node_role not in reached
    assert passthrough_pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY


@pytest.fixture
def env_mode_pod(demo_node: DemoNode) -> Iterator[Pod]:
    """A pod in env mode whose role is assumed by the node's role."""
    yield from start(demo_node, NODE._replace(mode=ModePolicy.ENV), ALLOWING)


def test_source_node_works_in_env_mode_without_rules(env_mode_pod: Pod) -> None:
    names = [container["name"] for container in env_mode_pod.manifest["spec"]["initContainers"]]

    assert names == [contract.SIDECAR_CONTAINER]
    assert env_mode_pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
