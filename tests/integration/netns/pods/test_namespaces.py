import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testing.pods import CommandError, Node, UnavailableError
from testing.pods.namespaces import Namespaces, check_programs, explain_refusal
from testing.repository import ROOT

OWNER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores SIGINT in what it runs in the background
from testing.pods import Node
with Node() as node:
    node.popen(["sleep", "300"])
    print(node.run(["readlink", "/proc/self/ns/pid"]).stdout.strip(), flush=True)
    time.sleep(300)
"""


def find_processes(namespace: str) -> list[int]:
    """Return the pids of all processes in a pid namespace, except zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str((path / "ns/pid").readlink()) == namespace:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def wait_gone(namespace: str, seconds: float = 10) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := find_processes(namespace)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        pytest.param(
            {"kernel.unprivileged_userns_clone": "0"},
            "sysctl -w kernel.unprivileged_userns_clone=1",
            id="debian-sysctl",
        ),
        pytest.param(
            {"user.max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=15000", id="namespace-limit"
        ),
        pytest.param(
            {"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "96364"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            id="apparmor",
        ),
        pytest.param({"kernel.unprivileged_userns_clone": "1"}, "Run as root", id="unknown-cause"),
    ],
)
def test_denied_user_namespace_error_names_the_setting(settings: dict[str, str], hint: str) -> None:
    message = explain_refusal("unshare failed: Operation not permitted", single_user=True, settings=settings)

    assert "unshare failed: Operation not permitted" in message
    assert hint in message


def test_denied_namespace_error_as_root_names_the_capability() -> None:
    message = explain_refusal("unshare failed: Operation not permitted", single_user=False)

    assert "CAP_SYS_ADMIN" in message


def test_missing_programs_error_names_their_packages() -> None:
    programs = {"sh": "dash", "no-such-runc": "runc", "no-such-ip": "iproute2"}

    with pytest.raises(UnavailableError) as raised:
        check_programs(programs)

    assert str(raised.value) == (
        "missing programs: no-such-runc, no-such-ip. As root: apt-get install -y iproute2 runc"
    )


def test_failed_command_error_has_its_output(node: Node) -> None:
    with pytest.raises(CommandError, match=r"ip link show absent ended with 1: .*absent"):
        node.run(["ip", "link", "show", "absent"])


def test_command_reads_input_and_returns_output(node: Node) -> None:
    result = node.run(["tr", "a-z", "A-Z"], text="quiet")

    assert result.stdout == "QUIET"


def test_command_is_killed_at_its_timeout(node: Node) -> None:
    namespace = node.run(["readlink", "/proc/self/ns/pid"]).stdout.strip()

    with pytest.raises(subprocess.TimeoutExpired):
        node.run(["sleep", "300"], timeout_seconds=0.05)

    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in find_processes(namespace)]
    assert b"cat\0" in commands
    assert b"sleep\0300\0" not in commands


def test_signal_is_forwarded_and_exit_status_returned(node: Node) -> None:
    command = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    process = node.popen(["sh", "-c", command], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        output.readline()

    process.terminate()

    assert process.wait(timeout=10) == 7


def test_node_has_its_own_network_namespace(node: Node) -> None:
    inside = node.run(["readlink", "/proc/self/ns/net"]).stdout.strip()

    assert inside != str(Path("/proc/self/ns/net").readlink())
    assert "podrole0" not in subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout


def test_all_processes_end_after_exit() -> None:
    with Namespaces() as machine:
        namespace = machine.run(["readlink", "/proc/self/ns/pid"]).stdout.strip()
        machine.popen(["sleep", "300"])
        machine.run(["sh", "-c", "setsid sleep 300 > /dev/null 2>&1 &"])
        before = find_processes(namespace)

    assert len(before) >= 3
    assert find_processes(namespace) == []


def test_all_processes_end_after_an_exception() -> None:
    namespace = ""

    def fail(machine: Namespaces) -> None:
        nonlocal namespace
        namespace = machine.run(["readlink", "/proc/self/ns/pid"]).stdout.strip()
        machine.popen(["sleep", "300"])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Namespaces() as machine:
        fail(machine)

    assert namespace
    assert find_processes(namespace) == []


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="sigint"),
        pytest.param(signal.SIGTERM, id="sigterm"),
        pytest.param(signal.SIGKILL, id="sigkill"),
    ],
)
def test_all_processes_end_when_the_owner_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", OWNER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment, text=True) as owner:
        assert owner.stdout
        namespace = owner.stdout.readline().strip()
        running = find_processes(namespace)

        owner.send_signal(number)

        owner.communicate(timeout=10)
    assert re.fullmatch(r"pid:\[\d+\]", namespace)
    assert running
    assert wait_gone(namespace) == []
