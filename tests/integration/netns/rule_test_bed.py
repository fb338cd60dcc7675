"""A pod's network, with a nested container's network behind it, to load rules and evaluate the table of checks."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import contract
from testing.pods import Node, PodNetwork
from tests.integration.netns.backends import Backend
from tests.integration.netns.checks import EC2, NESTED, POD, SIDECAR, SendProbes, find_failed_checks
from tests.integration.netns.conftest import allow_ping, nested_network, start_responder, stop
from tests.integration.netns.held_connections import HeldConnections

LOADING, LOADING_TWICE, OPEN_CONNECTIONS = "loading", "loading twice", "open connections"
"""The checks that are not about one packet. The names of all others are `client: name` of the table."""

UNLIMITED = ("net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratelimit=0")
"""No rate limit for ICMP errors: every probe must get its response."""

FailedChecks = dict[str, Sequence[str] | Mapping[str, str]]
"""By name, with the actual result."""


@dataclass(frozen=True)
class RuleTestBed:
    """A node, and the network of each client. The sidecar's port responds with `sidecar`."""

    node: Node
    networks: Mapping[str, PodNetwork]

    @property
    def pod(self) -> PodNetwork:
        return self.networks[POD]

    def evaluate(self, backend: Backend, kind: str, send_probes: SendProbes, only: str | None = None) -> FailedChecks:
        """Load the rules twice; return the checks that fail, of those of packets all or one."""
        with HeldConnections(self.pod, [f"{address}/8080" for address in EC2]) as connections:
            assert connections.status() == ["node", "node"]
            loaded = backend.load(self.pod, kind, check=False)
            if loaded.returncode:
                return {LOADING: loaded.stderr}
            status = connections.status()
        rules = backend.rules(self.pod)
        reloaded = backend.load(self.pod, kind, check=False)
        return {
            **({OPEN_CONNECTIONS: status} if status != ["ECONNRESET"] * 2 else {}),
            **({LOADING_TWICE: reloaded.stderr} if reloaded.returncode or backend.rules(self.pod) != rules else {}),
            **find_failed_checks(self.networks, kind, send_probes, only),
        }


@contextlib.contextmanager
def open_rule_test_bed(node: Node) -> Iterator[RuleTestBed]:
    """Create the two networks, without rules."""
    pod = node.network("rules")
    allow_ping(pod)
    pod.run(["sysctl", "-qw", *UNLIMITED])
    sidecar = start_responder(pod.popen, "sidecar", "127.0.0.1,::1", str(contract.SIDECAR_PORT))
    try:
        with nested_network(pod) as inner:
            networks = {POD: pod, NESTED: inner}
            yield RuleTestBed(node, networks if node.single_user else {**networks, SIDECAR: pod})
    finally:
        stop(sidecar)
        pod.remove()
