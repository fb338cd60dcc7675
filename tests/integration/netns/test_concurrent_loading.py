"""Loading the rules many times: at once, after runs that were killed, and while another process holds the lock."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.pods import PodNetwork
from tests.integration.netns.backends import Backend, build_iptables
from tests.integration.netns.checks import SendProbes
from tests.integration.netns.conftest import stop

RUNS = 12
HOLD = """\
import fcntl, time
fcntl.flock(open("/proc/self/ns/net"), fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(99)
"""
SHORT_WAIT = "import sidecar.redirect.lock as lock; lock.hold_lock.__wrapped__.__defaults__ = (0.2,)"


@pytest.mark.parametrize("kind", ["redirect", "block", "node"])
def test_rules_that_twelve_processes_load_at_once_are_those_of_one(
    backend: Backend, network: PodNetwork, plain: PodNetwork, kind: str
) -> None:
    backend.load(plain, kind)

    with ThreadPoolExecutor(RUNS) as pool:
        results = list(pool.map(lambda _: backend.load(network, kind, check=False), range(RUNS)))

    assert [result.stderr for result in results if result.returncode] == []
    assert backend.rules(network) == backend.rules(plain)


def test_rules_are_complete_after_runs_that_were_killed(
    backend: Backend, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes
) -> None:
    backend.load(plain)
    for seconds in (0.02, 0.1, 0.15, 0.2, 0.25, 0.3):
        network.run(["timeout", "-s", "KILL", str(seconds), *backend.commands["redirect"]], check=False)

    backend.load(network)

    assert backend.rules(network) == backend.rules(plain)
    assert send_probes(network, "tcp/169.254.169.254/80", "tcp/169.254.169.254/443") == ["sidecar", "ECONNREFUSED"]


@pytest.fixture
def lock_holder(network: PodNetwork) -> Iterator[None]:
    """A process of the pod that keeps the lock of its network."""
    process = network.popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    yield
    stop(process)


@pytest.mark.usefixtures("lock_holder")
def test_lock_that_a_process_of_the_pod_keeps_delays_the_rules_and_does_not_prevent_them(
    network: PodNetwork, plain: PodNetwork, tmp_path: Path
) -> None:
    backend = build_iptables(tmp_path, "nft")
    backend.load(plain)
    *before, entrypoint, _, listen, port = backend.commands["redirect"]
    assert entrypoint == "-m"
    code = f"{SHORT_WAIT}; import sidecar.redirect.__main__ as program; program.main()"

    network.run([*before, "-c", code, listen, port])

    assert backend.rules(network) == backend.rules(plain)
