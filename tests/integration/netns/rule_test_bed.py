"""A pod's network with a container's behind it, in which rules are loaded and judged by the table of checks."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import contract
from testing.pods import Node, PodNetwork
from tests.integration.netns.backends import Backend
from tests.integration.netns.checks import EC2, NESTED, POD, SIDECAR, Ask, probe
from tests.integration.netns.conftest import allow_ping, listen, nested_network, stop

HERE = Path(__file__).parent
LOADING, LOADING_TWICE, OPEN_CONNECTIONS = "loading", "loading twice", "open connections"
"""The checks that are not about one packet. The names of all others are `asker: name` of the table."""

UNLIMITED = ("net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratelimit=0")
"""A kernel answers only so many forwarded packets a second with an ICMP error; here each answer counts."""

Findings = dict[str, Sequence[str] | Mapping[str, str]]
"""The checks that do not hold, with what was seen instead."""

Round = tuple[float, list[str]]
"""When an exchange on held connections began, and what each of them gave."""


@dataclass(frozen=True)
class RuleTestBed:
    """Who asks, with the network that it is in; the sidecar's port answers `sidecar`."""

    node: Node
    networks: Mapping[str, PodNetwork]

    @property
    def pod(self) -> PodNetwork:
        return self.networks[POD]

    def judge(self, backend: Backend, kind: str, ask: Ask) -> Findings:
        """Load the rules twice; the checks that do not hold then, with what was seen."""
        with keep_connections_open(self.pod, [f"{address}/8080" for address in EC2]) as rounds:
            assert next(rounds)[1] == ["node", "node"]
            loaded = backend.load(self.pod, kind, check=False)
            if loaded.returncode:
                return {LOADING: loaded.stderr}
            ended = next_after(time.monotonic(), rounds)
        once = backend.rules(self.pod)
        again = backend.load(self.pod, kind, check=False)
        return {
            **({OPEN_CONNECTIONS: ended} if ended != ["ECONNRESET"] * 2 else {}),
            **({LOADING_TWICE: again.stderr} if again.returncode or backend.rules(self.pod) != once else {}),
            **probe(self.networks, kind, ask),
        }


@contextlib.contextmanager
def open_rule_test_bed(node: Node) -> Iterator[RuleTestBed]:
    """Make the two networks, without rules."""
    pod = node.network("arena")
    allow_ping(pod)
    pod.run(["sysctl", "-qw", *UNLIMITED])
    sidecar = listen(pod.popen, "sidecar", "127.0.0.1,::1", str(contract.SIDECAR_PORT))
    try:
        with nested_network(pod) as inner:
            askers = {POD: pod, NESTED: inner}
            yield RuleTestBed(node, askers if node.single_user else {**askers, SIDECAR: pod})
    finally:
        stop(sidecar)
        pod.remove()


def next_after(moment: float, rounds: Iterator[Round]) -> list[str]:
    """What the first round that began after this moment gave."""
    return next(answers for began, answers in rounds if began > moment)


@contextlib.contextmanager
def keep_connections_open(network: PodNetwork, targets: Sequence[str]) -> Iterator[Iterator[Round]]:
    """Keep TCP connections open and exchange a word on each, again and again."""
    process = network.popen([sys.executable, str(HERE / "open_connections.py"), *targets], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        try:
            yield ((float(began), answers) for began, *answers in (line.decode().split() for line in output))
        finally:
            stop(process)
