"""`python -m bench.webhook`: what a pod's creation waits for, over the connections that an API server keeps.

Beside it, round by round, the floor: see `bench.baseline`.
"""

import json
import os
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.baseline import running_baseline
from bench.client import Target, ask
from bench.measure import Latency, hold_against_budgets, pin, print_table, read_memory, summarize
from testing.admission import PATH, PORT, webhook
from tests.unit.injector.cases import ENVIRON, PODS, load_review

ADDRESS = "127.0.0.1"
REVIEW = "pod-create-replicaset"
ROLE = {"iam.amazonaws.com/role": "reader"}
NAMESPACE = "team-a"
CONTAINERS = 3
ROUNDS = 5
REQUESTS = 1000
WARM_UP = 200
CONCURRENCY = 8


class Recorder:
    """Starts a process as subprocess.Popen does, and keeps it."""

    process: "subprocess.Popen[bytes]"

    def __call__(self, argv: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start it."""
        self.process = subprocess.Popen(argv, **options)
        return self.process


def build_review() -> bytes:
    """The review of a Deployment's pod as an API server sent it, with a role, and with three containers."""
    review = load_review(REVIEW)
    pod = review["request"]["object"]
    review["request"]["namespace"] = pod["metadata"]["namespace"] = NAMESPACE
    pod["metadata"]["annotations"] = ROLE
    [container] = pod["spec"]["containers"]
    variables = [{"name": f"SETTING_{number}", "value": "some ordinary value"} for number in range(24)]
    pod["spec"]["containers"] = [
        container | {"name": f"{container['name']}-{number}", "env": variables} for number in range(CONTAINERS)
    ]
    return json.dumps(review, separators=(",", ":")).encode()


def build_request(path: str, body: bytes) -> bytes:
    """A POST as the API server sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\nAccept-Encoding: gzip\r\n\r\n".encode() + body


def measure(targets: dict[str, Target], concurrency: int) -> dict[str, Latency]:
    """Ask them in turn, round by round."""
    rounds: dict[str, list[list[float]]] = {name: [] for name in targets}
    for target in targets.values():
        ask(target, WARM_UP, keeps_alive=True)
    for _ in range(ROUNDS):
        for name, target in targets.items():
            rounds[name].append(ask(target, REQUESTS, concurrency, keeps_alive=True))
    return {name: summarize(durations) for name, durations in rounds.items()}


def main() -> None:
    """Measure, print, and end with an error over budget."""
    review, start = build_review(), Recorder()
    settings = ENVIRON | {"PODROLE_MANIFESTS": str(PODS)}
    with (
        tempfile.TemporaryDirectory() as name,
        webhook(Path(name), ADDRESS, settings, popen=start, run=subprocess.run) as running,
        running_baseline(Path(name), running.certificates) as (floor_pid, floor_port),
    ):
        context = ssl.create_default_context(cafile=running.certificates.ca)
        targets = {
            "podrole": Target((ADDRESS, PORT), build_request(PATH, review), context),
            "floor": Target((ADDRESS, floor_port), build_request("/", review), context),
        }
        for pid in (start.process.pid, floor_pid, *find_children(floor_pid)):
            pin(pid, 1)
        pin(os.getpid(), 0)
        alone, together = measure(targets, 1), measure(targets, CONCURRENCY)
        memory = {"podrole": read_memory(start.process.pid), "floor": read_memory(floor_pid)}
    for who in targets:
        rows = {
            f"POST of {len(review)} bytes, one at a time": alone[who],
            f"the same, {CONCURRENCY} at a time": together[who],
            "requests a second on one core": f"{CONCURRENCY * 1000 / together[who].p50:.0f}",
            f"memory after {2 * ROUNDS * REQUESTS} requests": memory[who],
        }
        print_table(who, rows)
    figures = {
        "p50 / floor": alone["podrole"].p50 / alone["floor"].p50,
        "p99 / floor": alone["podrole"].p99 / alone["floor"].p99,
        "p99 at c=8 / floor": together["podrole"].p99 / together["floor"].p99,
    }
    sys.exit(hold_against_budgets("webhook", figures) and 1)


def find_children(pid: int) -> list[int]:
    """The processes below one."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
