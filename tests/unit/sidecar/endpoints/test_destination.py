"""What is served to a connection that the redirect did not lead to the sidecar, such as a port-forward."""

import json

import pytest

import contract
from contract.modes import Mode
from server.messages import Address
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from sidecar.original_destination import METADATA_DESTINATIONS
from testing.handlers import call
from testing.sidecars import CREDENTIALS_PATH
from tests.unit.sidecar.endpoints.test_handler import ROLES, TTL, build_state

LOCAL = {"Host": "localhost"}
PORT_FORWARD = ("127.0.0.1", 16925)
NOT_REDIRECTED = {
    "port-forward": PORT_FORWARD,
    "port-forward-ipv6": ("::1", 16925),
    "unknown": ("", 0),
    "pods-own-address": ("10.1.2.3", 16925),
    "another-port-of-a-metadata-address": ("169.254.169.254", 8080),
    "another-address-on-port-80": ("169.254.169.253", 80),
    "mapped-address": ("::ffff:169.254.169.254", 80),
}
PATHS = {
    "ecs": CREDENTIALS_PATH,
    "eks": "/v1/credentials",
    "imds-list": ROLES,
    "imds-document": f"{ROLES}/reader",
    "region": "/latest/meta-data/placement/region",
    "boot": contract.BOOT_PATH,
    "unknown": "/nothing",
}


def build(mode: Mode = Mode.REDIRECT, *, serve_loopback: bool = False) -> EndpointState:
    state = build_state()
    state.config = state.config._replace(mode=mode, serve_loopback=serve_loopback)
    return state


@pytest.mark.parametrize("server", NOT_REDIRECTED.values(), ids=list(NOT_REDIRECTED))
@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_unredirected_request_gets_403(path: str, method: str, server: Address) -> None:
    response = call(create_handler(build()), path, LOCAL | {"Authorization": "x"}, method, server=server)

    assert (response.status, response.body) == (403, b"")


def test_unredirected_token_request_gets_403() -> None:
    response = call(create_handler(build()), "/latest/api/token", LOCAL | {TTL: "60"}, "PUT", server=PORT_FORWARD)

    assert (response.status, response.body) == (403, b"")


def test_unredirected_request_is_counted_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    state = build()

    call(create_handler(state), CREDENTIALS_PATH, LOCAL, server=PORT_FORWARD)

    assert state.counters.rejections == {("destination",): 1}
    assert not state.counters.requests
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["status"], event["reason"]) == ("request-rejected", 403, "destination")


@pytest.mark.parametrize("server", [PORT_FORWARD, ("169.254.170.2", 80)], ids=["exec", "redirected"])
def test_status_is_served_to_everybody(server: Address) -> None:
    headers = {"Host": server[0]}

    assert call(create_handler(build()), contract.STATUS_PATH, headers, server=server).status == 200


@pytest.mark.parametrize("server", sorted(METADATA_DESTINATIONS), ids=lambda server: server[0])
def test_redirected_request_is_served(server: Address) -> None:
    assert call(create_handler(build()), CREDENTIALS_PATH, server=server).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:16925", "[::1]", "10.1.2.3"])
def test_redirected_request_for_a_host_of_loopback_gets_403(host: str) -> None:
    state = build()

    assert call(create_handler(state), CREDENTIALS_PATH, {"Host": host}).status == 403
    assert state.counters.rejections == {("host",): 1}


@pytest.mark.parametrize("host", ["instance-data", "instance-data.ec2.internal"])
def test_name_of_the_metadata_address_is_accepted_only_from_redirected_clients(host: str) -> None:
    """The client has resolved it to the address. A client that connected to loopback has not."""
    named = {"Host": host}

    assert call(create_handler(build()), ROLES, named).body == b"reader"
    assert call(create_handler(build()), ROLES, named, server=PORT_FORWARD).status == 403
    assert call(create_handler(build(Mode.ENV)), ROLES, named, server=PORT_FORWARD).status == 403


@pytest.mark.parametrize(
    "path", [CREDENTIALS_PATH, ROLES, f"{ROLES}/reader"], ids=["ecs", "imds-list", "imds-document"]
)
@pytest.mark.parametrize("host", ["127.0.0.1:16925", "169.254.169.254"])
def test_env_mode_serves_connections_to_loopback(path: str, host: str) -> None:
    assert call(create_handler(build(Mode.ENV)), path, {"Host": host}, server=PORT_FORWARD).status == 200


def test_ipv6_only_cluster_serves_the_credential_path_on_loopback() -> None:
    handler = create_handler(build(serve_loopback=True))

    assert call(handler, CREDENTIALS_PATH, LOCAL, server=PORT_FORWARD).status == 200
    others = [path for path in PATHS.values() if path != CREDENTIALS_PATH]
    assert {call(handler, path, LOCAL, server=PORT_FORWARD).status for path in others} == {403}
