"""Metadata pass-through of the paths that the operator lists, against a fake node service."""

from collections.abc import Callable, Iterator

import pytest

from server.messages import Handler, WouldBlock
from sidecar.endpoints import node_metadata
from sidecar.endpoints.node_metadata import NodeMetadata
from sidecar.endpoints.node_paths import list_node_paths
from testing.clock import Clock
from testing.handlers import call
from testing.serving import serving
from tests.unit.sidecar.endpoints.test_node_metadata import NodeService, build_config, build_handler

MAC = "0e:49:61:0f:c3:11"
META = "/latest/meta-data"
MACS = f"{META}/network/interfaces/macs"
ACTION = f"{META}/spot/instance-action"
PATTERNS = (
    "meta-data/mac",
    "meta-data/network/interfaces/macs/*/vpc-id",
    "meta-data/network/interfaces/macs/*/subnet-id",
    "meta-data/network/interfaces/macs/*/ipv4-associations/*",
    "meta-data/tags/instance/*",
    "meta-data/spot/instance-action",
    "meta-data/events/maintenance/scheduled",
)
PAGES = {
    f"{META}/mac": MAC.encode(),
    MACS: f"{MAC}/".encode(),
    f"{MACS}/{MAC}/vpc-id": b"vpc-1",
    f"{MACS}/{MAC}/ipv4-associations": b"198.51.100.7",
    f"{MACS}/{MAC}/ipv4-associations/198.51.100.7": b"10.0.0.7",
    f"{META}/tags/instance": b"Name\nteam:a",
    f"{META}/tags/instance/Name": b"web",
    f"{META}/tags/instance/team:a": b"yes",
    f"{META}/events/maintenance/scheduled": b"[]",
    **{f"{META}/{secret}": b"secret" for secret in ("iam/info", "iam/security-credentials/node", "ami-id", "tags")},
    "/latest/user-data": b"secret",
}

Ask = Callable[[str], tuple[int, str]]


@pytest.fixture
def service() -> Iterator[NodeService]:
    with serving(NodeService) as running:
        running.script.pages = PAGES.copy()
        yield running


@pytest.fixture
def handler(service: NodeService) -> Handler:
    return build_handler(build_config(service.url, metadata_passthrough_paths=PATTERNS))


@pytest.fixture
def clock() -> Clock:
    return Clock(1000)


@pytest.fixture
def node(service: NodeService, clock: Clock) -> NodeMetadata:
    return NodeMetadata(service.url, list_node_paths(PATTERNS), clock)


def list_requested(service: NodeService) -> list[str]:
    return [request.path for request in service.script.requests if request.method == "GET"]


@pytest.mark.parametrize(
    "path",
    [
        f"{META}/iam/info",
        f"{META}/iam/security-credentials/node",
        "/latest/user-data",
        f"{META}/ami-id",
        f"{MACS}/{MAC}/owner-id",
        f"{MACS}/{MAC}/vpc-id/more",
        f"{MACS}/a/b/vpc-id",
        f"{MACS}/..%2f..%2f..%2fiam/vpc-id",
        f"{MACS}/%2a/vpc-id",
        f"{MACS}/*/vpc-id",
        f"{META}/tags/instance/{'a' * 129}",
        f"{META}/tags/instance/a;b",
        f"{META}/spot/termination-time",
    ],
)
def test_path_that_no_pattern_matches_is_not_requested(handler: Handler, service: NodeService, path: str) -> None:
    assert call(handler, path).status == 404
    assert service.script.requests == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{META}/mac", MAC),
        (f"{MACS}/{MAC}/vpc-id", "vpc-1"),
        (f"{MACS}/{MAC}/vpc-id/", "vpc-1"),
        (f"{META}/tags/instance/Name", "web"),
        (f"{META}/tags/instance/team%3Aa", "yes"),
        (f"{MACS}/{MAC}/ipv4-associations/198.51.100.7", "10.0.0.7"),
        pytest.param(f"/2021-07-15/meta-data/network/interfaces/macs/{MAC}/vpc-id", "vpc-1", id="dated-version"),
        pytest.param(f"{MACS}/", f"{MAC}/", id="listing-of-wildcards"),
        pytest.param(MACS, f"{MAC}/", id="listing-without-slash"),
        pytest.param(f"{META}/tags/instance/", "Name\nteam:a", id="listing-of-tags"),
    ],
)
def test_path_that_a_pattern_matches_is_requested(handler: Handler, service: NodeService, path: str, body: str) -> None:
    response = call(handler, path)

    assert (response.status, response.body.decode()) == (200, body)
    assert len(service.script.requests) == 2


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"{META}/", "events/\niam/\nmac\nnetwork/\nplacement/\nspot/\ntags/"),
        (f"{META}/network/interfaces/", "macs/"),
        (f"{META}/tags/", "instance/"),
        (f"{META}/spot/", "instance-action"),
        pytest.param(f"{MACS}/{MAC}/", "ipv4-associations/\nsubnet-id\nvpc-id", id="below-a-wildcard"),
    ],
)
def test_other_listings_name_what_the_patterns_allow(
    handler: Handler, service: NodeService, path: str, names: str
) -> None:
    assert call(handler, path).body.decode() == names
    assert service.script.requests == []


def test_narrower_list_than_the_default_is_honored(service: NodeService) -> None:
    handler = build_handler(build_config(service.url, metadata_passthrough_paths=("meta-data/mac",)))

    assert call(handler, f"{META}/instance-id").status == 404
    assert call(handler, f"{META}/").body == b"iam/\nmac\nplacement/"
    assert b"accountId" in call(handler, "/latest/dynamic/instance-identity/document").body
    assert service.script.requests == []


def test_interruption_is_seen_a_second_after_the_node_announces_it(
    node: NodeMetadata, service: NodeService, clock: Clock
) -> None:
    """A 404 means that none is planned; it must not be remembered for an hour."""
    assert node.get(ACTION, may_block=True) is None
    assert node.get(ACTION, may_block=False) is None
    service.script.pages[ACTION] = b'{"action": "terminate"}'
    clock.now += node_metadata.CHANGING_TTL_SECONDS

    with pytest.raises(WouldBlock):
        node.get(ACTION, may_block=False)
    answer = node.get(ACTION, may_block=True)

    assert answer is not None
    assert answer.body == b'{"action": "terminate"}'
    assert list_requested(service) == [ACTION, ACTION]


def test_node_that_cannot_be_asked_is_not_a_404_for_values_that_change(clock: Clock) -> None:
    node = NodeMetadata("http://127.0.0.1:1", list_node_paths(PATTERNS), clock)

    changing = [node.get(ACTION, may_block=may_block) for may_block in (True, False)]

    assert [answer and answer.status for answer in changing] == [503, 503]
    assert node.get(f"{META}/mac", may_block=True) is None


def test_node_is_asked_at_most_a_hundred_times_in_ten_seconds(
    node: NodeMetadata, service: NodeService, clock: Clock
) -> None:
    paths = [f"{META}/tags/instance/{number}" for number in range(node_metadata.MAX_REQUESTS + 5)]

    answers = [node.get(path, may_block=True) for path in paths]

    assert [answer and answer.status for answer in answers] == [None] * 100 + [503] * 5
    assert len(list_requested(service)) == 100
    clock.now += node_metadata.REQUESTS_SECONDS
    assert node.get(paths[-1], may_block=True) is None


def test_cache_forgets_all_paths_when_it_is_full(
    node: NodeMetadata, service: NodeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_metadata, "MAX_CACHED", 3)
    names = ["mac", *(f"tags/instance/{number}" for number in range(3)), "mac"]

    for name in names:
        node.get(f"{META}/{name}", may_block=True)

    assert list_requested(service) == [f"{META}/{name}" for name in names]


def test_path_that_is_a_directory_of_the_sidecar_keeps_its_listing(service: NodeService) -> None:
    handler = build_handler(build_config(service.url, metadata_passthrough_paths=("meta-data/placement",)))

    assert b"region" in call(handler, f"{META}/placement/").body
    assert call(handler, f"{META}/").body == b"iam/\nplacement/"
    assert service.script.requests == []
