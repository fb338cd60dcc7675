"""`python -m bench.webhook`: latency that the webhook adds to a pod's creation, over kept-alive connections.

The baseline (`bench.baseline`) is measured in the same rounds.
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
from bench.client import Target, send_requests
from bench.measure import Latency, compare_with_budgets, list_children, pin, print_table, read_memory, summarize
from testing.admission import PATH, PORT, webhook
from testing.cases import ENVIRON, PODS, load_review

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
    """Starts a process as subprocess.Popen does, and remembers it."""

    process: "subprocess.Popen[bytes]"

    def __call__(self, argv: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start the process."""
        self.process = subprocess.Popen(argv, **options)
        return self.process


def build_review() -> bytes:
    """A recorded review of a Deployment's pod, with a role and three containers."""
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
    """A POST request as the API server sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\nAccept-Encoding: gzip\r\n\r\n".encode() + body


def measure(targets: dict[str, Target], concurrency: int) -> dict[str, Latency]:
    """Measure all targets in each round."""
    rounds: dict[str, list[list[float]]] = {name: [] for name in targets}
    for target in targets.values():
        send_requests(target, WARM_UP, keeps_alive=True)
    for _ in range(ROUNDS):
        for name, target in targets.items():
            rounds[name].append(send_requests(target, REQUESTS, concurrency, keeps_alive=True))
    return {name: summarize(durations) for name, durations in rounds.items()}


def main() -> None:
    """Measure, print the tables, and exit with 1 if a figure is over budget."""
    review, start = build_review(), Recorder()
    settings = ENVIRON | {"PODROLE_MANIFESTS": str(PODS)}
    with (
        tempfile.TemporaryDirectory() as name,
        webhook(Path(name), ADDRESS, settings, popen=start, run=subprocess.run) as running,
        running_baseline(Path(name), running.certificates) as (baseline_pid, baseline_port),
    ):
        context = ssl.create_default_context(cafile=running.certificates.ca)
        targets = {
            "podrole": Target((ADDRESS, PORT), build_request(PATH, review), context),
            "baseline": Target((ADDRESS, baseline_port), build_request("/", review), context),
        }
        for pid in (start.process.pid, baseline_pid):
            for process in (pid, *list_children(pid)):
                pin(process, 1)
        pin(os.getpid(), 0)
        alone, together = measure(targets, 1), measure(targets, CONCURRENCY)
        memory = {"podrole": read_memory(start.process.pid), "baseline": read_memory(baseline_pid)}
    for who in targets:
        rows = {
            f"POST of {len(review)} bytes, one at a time": alone[who],
            f"the same, {CONCURRENCY} at a time": together[who],
            "requests per second on one CPU": f"{CONCURRENCY * 1000 / together[who].p50:.0f}",
            f"memory after {2 * ROUNDS * REQUESTS} requests": memory[who],
        }
        print_table(who, rows)
    figures = {
        "p50 / baseline": alone["podrole"].p50 / alone["baseline"].p50,
        "p99 / baseline": alone["podrole"].p99 / alone["baseline"].p99,
        "p99 at c=8 / baseline": together["podrole"].p99 / together["baseline"].p99,
    }
    sys.exit(compare_with_budgets("webhook", figures) and 1)


if __name__ == "__main__":
    main()
