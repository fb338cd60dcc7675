"""`python -m bench.sidecar`: start time, memory and latency of a sidecar, alone and under hostile connections.

STS is a fake on loopback. The baseline (`bench.baseline`) is measured in the same rounds. The sidecar runs without
docstrings and asserts, as the packages in its image are compiled; the baseline with them.
"""

import os
import statistics
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bench.baseline import running_baseline
from bench.client import Target, send_requests
from bench.cpu import measure_cpu
from bench.fast_refresh_sidecar import SHORT_SECONDS
from bench.go_baseline import running_go_baseline
from bench.measure import Latency, Memory, compare_with_budgets, pin, print_table, read_memory, summarize
from bench.slow_clients import ADDRESS, ATTACKS, attacking
from bench.startup import (
    BASELINE_GET,
    FAR_STS,
    GET,
    NEAR_STS,
    STARTS,
    THE_BASELINE,
    measure_starts,
    running,
    wait_for_response,
)
from testing.services.faulty_sts import GRANTED, FaultySts, Grant, faulty_sts

ROUNDS = 5
REQUESTS = 2000
REFRESHES = 20
CONCURRENCY = 32
HOSTILE = (200, 900)
GOOD_REQUESTS = 50
GOOD_SECONDS = 1
SAMPLE_SECONDS = 0.005
PODROLE, BASELINE, GO = "podrole", "baseline", "Go net/http, one fixed answer"


class Load(NamedTuple):
    """Latency of requests one at a time and together, and the memory after them."""

    alone: Latency
    together: Latency
    memory: Memory


def measure_latency(targets: dict[str, Target], concurrency: int) -> dict[str, Latency]:
    """Measure all targets in each round. Every request opens a connection."""
    rounds: dict[str, list[list[float]]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, target in targets.items():
            rounds[name].append(send_requests(target, REQUESTS // ROUNDS * (1 if concurrency == 1 else 2), concurrency))
    return {name: summarize(durations) for name, durations in rounds.items()}


def measure_memory(sts: FaultySts) -> tuple[Memory, Memory]:
    """Memory after the requests and refreshes, and the peak during the refreshes."""
    soon = (datetime.now(UTC) + timedelta(seconds=SHORT_SECONDS / 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    sts.will(GRANTED, *[Grant(expiration=soon)] * REFRESHES, afterwards=GRANTED)
    seen = len(sts.requests)
    with running(sts, "bench.fast_refresh_sidecar") as (process, port, _):
        pid = process.pid
        peaks: list[Memory] = []
        is_over = threading.Event()
        watcher = threading.Thread(target=_sample, args=(pid, peaks, is_over))
        watcher.start()
        sts.will(*[Grant(expiration=soon)] * REFRESHES, afterwards=GRANTED)
        sts.await_requests(seen + REFRESHES + 1, within_seconds=120)
        wait_for_response(port)
        is_over.set()
        watcher.join()
        send_requests(Target((ADDRESS, port), GET), REQUESTS)
        return read_memory(pid), Memory(max(peak.pss for peak in peaks), max(peak.anonymous for peak in peaks))


def _sample(pid: int, peaks: list[Memory], is_over: threading.Event) -> None:
    while not is_over.wait(SAMPLE_SECONDS):
        try:
            peaks.append(read_memory(pid))
        except (OSError, KeyError):  # a child process that has just ended
            continue


def measure_attacks(port: int) -> dict[str, str]:
    """Latency of valid requests during each kind and number of hostile connections."""
    rows = {}
    for name in ATTACKS:
        for connections in HOSTILE:
            with attacking(name, connections, port):
                durations = [send_requests(Target((ADDRESS, port), GET), 1)[0] for _ in range(GOOD_REQUESTS)]
            good = sum(duration < GOOD_SECONDS * 1000 for duration in durations)
            share = f"{100 * good / GOOD_REQUESTS:.0f} % within {GOOD_SECONDS} s"
            rows[f"{name}, {connections}"] = (
                f"{share}, p50 {statistics.median(durations):.2f}, max {max(durations):.0f} ms"
            )
    return rows


def measure_servers(sts: FaultySts, directory: Path) -> tuple[dict[str, Load], dict[str, str]]:
    """Latency of each server on one CPU, measured from the other, and the memory after it; then the attacks."""
    with (
        running(sts) as sidecar,
        running_baseline(directory) as (baseline_pid, baseline_port),
        running_go_baseline(directory) as go,
    ):
        wait_for_response(sidecar.port)
        servers = {PODROLE: (sidecar.process.pid, sidecar.port, GET)}
        servers[BASELINE] = (baseline_pid, baseline_port, BASELINE_GET)
        if go:
            servers[GO] = (*go, BASELINE_GET)
        for pid, _, _ in servers.values():
            pin(pid, 1)  # not the baseline's worker: budgets are ratios to one that may use both CPUs
        pin(os.getpid(), 0)
        targets = {who: Target((ADDRESS, port), request) for who, (_, port, request) in servers.items()}
        alone, together = measure_latency(targets, 1), measure_latency(targets, CONCURRENCY)
        loads = {who: Load(alone[who], together[who], read_memory(pid)) for who, (pid, _, _) in servers.items()}
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        return loads, measure_attacks(sidecar.port)


def print_loads(loads: dict[str, Load], peak: Memory) -> None:
    """Print a table for each server."""
    for who, load in loads.items():
        rows = {
            "GET on a new connection, one at a time": load.alone,
            f"the same, {CONCURRENCY} at a time": load.together,
            f"memory after {REQUESTS} requests and {REFRESHES if who == PODROLE else 'no'} refreshes": load.memory,
        }
        print_table(who, rows | ({"peak during a refresh": peak} if who == PODROLE else {}))


def main() -> None:
    """Measure, print the tables, and exit with 1 if a figure is over budget."""
    with faulty_sts() as sts, tempfile.TemporaryDirectory() as name:
        cpu = measure_cpu(Path(name))
        print_table(f"sidecar: CPU seconds from exec to the first served credential, medians of {STARTS}", cpu)
        starts = measure_starts(sts)
        print_table("sidecar: exec to the first served credential", starts)
        memory, peak = measure_memory(sts)
        loads, attacks = measure_servers(sts, Path(name))
    loads[PODROLE] = loads[PODROLE]._replace(memory=memory)
    print_loads(loads, peak)
    print_table("sidecar: valid requests during hostile connections", attacks)
    podrole, baseline = loads[PODROLE], loads[BASELINE]
    baseline_cpu, over_http, over_tls = (start.total for start in cpu.values())
    baseline_start = starts[THE_BASELINE].median
    figures = {
        "CPU of a start / baseline": over_http / baseline_cpu,
        "CPU of a start, STS over TLS / baseline": over_tls / baseline_cpu,
        "start / baseline": starts[NEAR_STS].median / baseline_start,
        "start at 2 x 100 ms / baseline": starts[FAR_STS].median / baseline_start,
        "anonymous MiB / baseline": podrole.memory.anonymous / baseline.memory.anonymous,
        "p50 / baseline": podrole.alone.p50 / baseline.alone.p50,
        "p99 at c=32 / baseline": podrole.together.p99 / baseline.together.p99,
        "PSS MiB": podrole.memory.pss,
        "anonymous MiB": podrole.memory.anonymous,
        "peak PSS MiB": peak.pss,
    }
    sys.exit(compare_with_budgets("sidecar", figures) and 1)


if __name__ == "__main__":
    main()
