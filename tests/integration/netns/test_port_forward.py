"""What a port-forward to the sidecar gets: the kubelet connects to loopback in the pod's network, past the redirect."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import contract
from injector.config import Config
from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case
from testing.demo_node import STS_URL, DemoNode
from testing.pods import Pod
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

REDIRECT = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=STS_URL)
BACKENDS = [pytest.param(REDIRECT._replace(redirect_backend=backend), id=backend.value) for backend in RedirectBackend]
FETCH = """
import http.client, json, sys
host, port, requests = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
replies = []
for method, path, headers in requests:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    replies.append([reply.status, reply.read().decode()])
    connection.close()
print(json.dumps(replies))
"""
LOCAL = {"Host": "localhost"}
TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
ROLES = "/latest/meta-data/iam/security-credentials"
NO_CREDENTIALS = [
    ("PUT", "/latest/api/token", TTL | LOCAL),
    ("GET", ROLES, LOCAL),
    ("GET", f"{ROLES}/reader", LOCAL),
    ("GET", f"{ROLES}/reader", {"Host": "169.254.169.254"}),
    ("GET", "/v1/credentials", LOCAL | {"Authorization": "x"}),
    ("GET", contract.BOOT_PATH, LOCAL),
]

Replies = list[tuple[int, str]]


def fetch(pod: Pod, host: str, port: int, *requests: tuple[str, str, dict[str, str]]) -> Replies:
    """Send requests from the pod's network, outside of its containers."""
    output = pod.network.run([sys.executable, "-c", FETCH, host, str(port), json.dumps(requests)]).stdout
    return [(status, body) for status, body in json.loads(output)]


def credentials_path(pod: Pod) -> str:
    return f"{contract.CREDENTIALS_PATH}/{pod.manifest['metadata']['uid']}"


def start(demo_node: DemoNode, config: Config, manifest: dict[str, Any] = POD) -> Iterator[Pod]:
    with demo_node.create_pod(Case(manifest, ENABLED, UNANNOTATED).inject(config), demo_node.images) as pod:
        pod.start()
        yield pod


@pytest.fixture(scope="module", params=BACKENDS)
def pod(request: pytest.FixtureRequest, demo_node: DemoNode) -> Iterator[Pod]:
    """A pod in redirect mode."""
    yield from start(demo_node, request.param)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_forward_gets_no_credentials(pod: Pod, host: str) -> None:
    requests = [("GET", credentials_path(pod), LOCAL), *NO_CREDENTIALS]

    assert fetch(pod, host, contract.SIDECAR_PORT, *requests) == [(403, "")] * len(requests)


def test_port_forward_gets_the_status(pod: Pod) -> None:
    [(status, body)] = fetch(pod, "127.0.0.1", contract.SIDECAR_PORT, ("GET", contract.STATUS_PATH, LOCAL))

    assert (status, json.loads(body)["state"]) == (200, "serving")
    assert pod.manifest["metadata"]["uid"] not in body


def test_port_forward_is_logged(pod: Pod) -> None:
    fetch(pod, "127.0.0.1", contract.SIDECAR_PORT, NO_CREDENTIALS[0])

    log = pod.logs(contract.SIDECAR_CONTAINER)
    assert '"reason": "destination"' in log
    assert pod.manifest["metadata"]["uid"] not in log


@pytest.mark.parametrize("address", contract.METADATA_ADDRESSES)
def test_redirected_client_gets_credentials_at_the_pods_own_path_only(pod: Pod, address: str) -> None:
    paths = [credentials_path(pod), "/v2/credentials", f"{credentials_path(pod)}0"]

    own, *others = fetch(pod, address, 80, *(("GET", path, {}) for path in paths))

    assert (own[0], json.loads(own[1])["RoleArn"]) == (200, "arn:aws:iam::111122223333:role/reader")
    assert others == [(404, "")] * 2


def test_app_has_its_role(pod: Pod) -> None:
    assert pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY


def test_ssrf_gets_no_credentials_if_tokens_are_required(demo_node: DemoNode) -> None:
    annotations = POD["metadata"]["annotations"] | {"podrole.io/imds-tokens": "required"}
    asking = {**POD, "metadata": POD["metadata"] | {"annotations": annotations}}
    requests = [
        ("GET", "/v2/credentials", {}),
        ("GET", "/v1/credentials", {}),
        ("GET", "/v1/credentials", {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}),
        ("GET", f"{ROLES}/reader", {}),
    ]
    for pod in start(demo_node, REDIRECT, asking):
        assert [status for status, _ in fetch(pod, "169.254.170.2", 80, *requests)] == [404, 403, 403, 401]
        assert pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY


def test_ipv6_only_pod_gets_its_role_on_loopback_and_nothing_else_is_served_there(demo_node: DemoNode) -> None:
    with demo_node.create_pod(
        Case(POD, ENABLED, UNANNOTATED).inject(REDIRECT._replace(ipv6_only=True)), demo_node.images
    ) as pod:
        pod.network.run(["ip", "-4", "route", "delete", "default"])
        pod.start()

        [own, *others] = fetch(
            pod, "127.0.0.1", contract.SIDECAR_PORT, ("GET", credentials_path(pod), LOCAL), *NO_CREDENTIALS
        )

        assert pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
    assert own[0] == 200
    assert others == [(403, "")] * len(NO_CREDENTIALS)


def test_env_mode_serves_loopback(demo_node: DemoNode) -> None:
    for pod in start(demo_node, REDIRECT._replace(mode=ModePolicy.ENV)):
        [(status, _)] = fetch(pod, "127.0.0.1", contract.SIDECAR_PORT, ("GET", credentials_path(pod), LOCAL))

        assert status == 200
