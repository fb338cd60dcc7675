"""Ways around the rules: those that are closed, and the one that is not, which docs/redirect.md says plainly."""

import sys
import time
from collections.abc import Iterator

import pytest

import contract
from testing.pods import CommandError, Image, Node, Pod, PodNetwork
from testing.pods.networks import BRIDGE_MAC
from tests.integration.netns.backends import Backend, build_nftables
from tests.integration.netns.checks import EC2, REFUSED, Ask, ask_all
from tests.integration.netns.conftest import HERE, listen, stop
from tests.integration.netns.rule_test_bed import keep_connections_open, next_after

PROBE = ["python3", "/test/frame.py"]


@pytest.fixture
def pod(node: Node, image: Image, request: pytest.FixtureRequest) -> Iterator[Pod]:
    """A pod behind the rules, whose app has the given securityContext."""
    redirect = {
        "name": "podrole-redirect",
        "image": "podrole",
        "command": ["nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", contract.REDIRECT_RULES],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
    }
    app = {"name": "app", "image": "podrole", "command": ["sleep", "600"], "securityContext": request.param}
    spec = {"initContainers": [redirect], "containers": [app]}
    images = {"podrole": image.with_binds({"/test": HERE})}
    with node.pod({"metadata": {"name": "limits"}, "spec": spec}, images) as placed:
        placed.start()
        yield placed


def send_frame(pod: Pod, way: str) -> str:
    source = pod.network.ipv4
    return pod.exec("app", [*PROBE, way, source, "169.254.169.254", BRIDGE_MAC]).stdout.strip()


@pytest.mark.parametrize("pod", [{}], indirect=True, ids=["as-runtimes-run-it"])
@pytest.mark.parametrize("way", ["packet", "xdp"])
def test_root_with_net_raw_bypasses_the_rules_with_raw_frames(pod: Pod, way: str, ask: Ask) -> None:
    """The limit: runtimes give root NET_RAW unless it is dropped."""
    ordinary = ask(pod.network, "udp/169.254.169.254/80")

    answer = send_frame(pod, way)

    if answer == "EAFNOSUPPORT":
        pytest.skip("this kernel was built without AF_XDP (CONFIG_XDP_SOCKETS)")
    assert ordinary in (["ECONNREFUSED"], ["EPERM"])
    assert answer == "node"


@pytest.mark.parametrize(
    "pod",
    [{"capabilities": {"drop": ["NET_RAW"]}}, {"capabilities": {"drop": ["ALL"]}}, {"runAsUser": 1000}],
    indirect=True,
    ids=["drop-net-raw", "drop-all", "not-root"],
)
@pytest.mark.parametrize("way", ["packet", "xdp"])
def test_raw_frames_need_net_raw(pod: Pod, way: str) -> None:
    answer = send_frame(pod, way)

    if answer == "EAFNOSUPPORT":
        pytest.skip("this kernel was built without AF_XDP (CONFIG_XDP_SOCKETS)")
    assert answer == "EPERM"


def test_raw_ip_packet_does_not_bypass_the_rules(backend: Backend, network: PodNetwork, plain: PodNetwork) -> None:
    def send(pod: PodNetwork) -> str:
        return pod.run([sys.executable, str(HERE / "frame.py"), "header", pod.ipv4, EC2[0], BRIDGE_MAC]).stdout

    backend.load(network)

    assert send(network) in REFUSED
    assert send(plain) == "node"


@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_socket_bound_to_device_does_not_reach_the_node(
    backend: Backend, network: PodNetwork, plain: PodNetwork, ask: Ask, kind: str
) -> None:
    """Its redirected packets leave for loopback's address by eth0, where nobody answers."""
    questions = [f"tcp/{address}/80/eth0" for address in EC2]
    backend.load(network, kind)

    answers = ask(network, *questions)

    assert answers == (["silence"] * 2 if kind == "redirect" else ["ECONNREFUSED"] * 2)
    assert ask(plain, *questions) == ["node"] * 2


def test_other_pods_cannot_reach_the_sidecar(
    backend: Backend, network: PodNetwork, plain: PodNetwork, ask: Ask
) -> None:
    """Loopback of a pod is nobody else's: the redirect needs no route_localnet, which would open it."""
    backend.load(network)
    app = listen(network.popen, "app", f"{network.ipv4},{network.ipv6}", "8080")

    answers = ask(plain, *ask_all("tcp", (network.ipv4, network.ipv6), 8080, contract.SIDECAR_PORT))

    stop(app)
    settings = network.run(["sysctl", "-n", "net.ipv4.conf.all.route_localnet", "net.ipv4.conf.eth0.route_localnet"])
    assert answers == ["app", "ECONNREFUSED"] * 2
    assert settings.stdout.split() == ["0", "0"]
    assert ask(network, "tcp/169.254.169.254/80") == ["sidecar"]


def test_open_connections_to_the_sidecar_survive_reloading(backend: Backend, network: PodNetwork) -> None:
    backend.load(network)

    with keep_connections_open(network, [f"{address}/80" for address in EC2]) as rounds:
        assert next(rounds)[1] == ["sidecar"] * 2
        backend.load(network)
        after = next_after(time.monotonic(), rounds)

    assert after == ["sidecar"] * 2


@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_open_connections_to_the_node_are_reset(backend: Backend, network: PodNetwork, kind: str) -> None:
    with keep_connections_open(network, [f"{address}/80" for address in EC2]) as rounds:
        assert next(rounds)[1] == ["node"] * 2
        backend.load(network, kind)
        ended = next_after(time.monotonic(), rounds)

    assert ended == ["ECONNRESET"] * 2


def test_rules_cannot_be_deleted_without_net_admin(network: PodNetwork) -> None:
    """Not without NET_ADMIN: root with what a runtime gives by default is refused."""
    build_nftables().load(network)

    with pytest.raises(CommandError, match="Operation not permitted"):
        network.run(["capsh", "--drop=cap_net_admin", "--", "-c", "nft delete table inet podrole"])
