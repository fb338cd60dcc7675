"""`python -m bench.sidecar`: start time, memory and latency of a sidecar, alone and under hostile connections.

STS is a fake on loopback, over plain HTTP. The baseline (`bench.baseline`) is measured in the same rounds. The sidecar
runs without docstrings and asserts, as the packages in its image are compiled; the baseline with them.
"""

import os
import statistics
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.baseline import running_baseline
from bench.client import Target, send_requests
from bench.measure import Latency, Memory, compare_with_budgets, pin, print_table, read_memory, summarize
from bench.slow_clients import ADDRESS, ATTACKS, attacking
from bench.startup import BASELINE_GET, GET, measure_baseline_starts, measure_starts, running, wait_for_response
from testing.services.faulty_sts import GRANTED, FaultySts, Grant, faulty_sts

ROUNDS = 5
REQUESTS = 2000
REFRESHES = 20
CONCURRENCY = 32
HOSTILE = (200, 900)
GOOD_REQUESTS = 50
GOOD_SECONDS = 1
SAMPLE_SECONDS = 0.005


def measure_latency(targets: dict[str, Target], concurrency: int) -> dict[str, Latency]:
    """Measure all targets in each round. Every request opens a connection."""
    rounds: dict[str, list[list[float]]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, target in targets.items():
            rounds[name].append(send_requests(target, REQUESTS // ROUNDS * (1 if concurrency == 1 else 2), concurrency))
    return {name: summarize(durations) for name, durations in rounds.items()}


def measure_memory(sts: FaultySts) -> tuple[Memory, Memory]:
    """Memory after the requests and refreshes, and the peak during the refreshes."""
    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    sts.will(GRANTED, *[Grant(expiration=soon)] * REFRESHES, afterwards=GRANTED)
    seen = len(sts.requests)
    with running(sts, "bench.fast_refresh_sidecar") as (pid, port):
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


def main() -> None:
    """Measure, print the tables, and exit with 1 if a figure is over budget."""
    with faulty_sts() as sts, tempfile.TemporaryDirectory() as name:
        starts = {
            "the baseline, to its first response": measure_baseline_starts(),
            "STS at 0 ms": measure_starts(sts, 0),
            "STS at 2 x 100 ms": measure_starts(sts, 0.2),
            "STS at 0 ms, CPU limit 250m": measure_starts(sts, 0, 250),
            "STS at 0 ms, CPU limit 100m": measure_starts(sts, 0, 100),
        }
        print_table("sidecar: exec to the first served credential", starts)
        memory, peak = measure_memory(sts)
        with running(sts) as (pid, port), running_baseline(Path(name)) as (baseline_pid, baseline_port):
            wait_for_response(port)
            for process in (pid, baseline_pid):
                pin(process, 1)
            pin(os.getpid(), 0)
            targets = {
                "podrole": Target((ADDRESS, port), GET),
                "baseline": Target((ADDRESS, baseline_port), BASELINE_GET),
            }
            alone, together = measure_latency(targets, 1), measure_latency(targets, CONCURRENCY)
            baseline_memory = read_memory(baseline_pid)
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
            attacks = measure_attacks(port)
    for who, now in (("podrole", memory), ("baseline", baseline_memory)):
        rows = {
            "GET on a new connection, one at a time": alone[who],
            f"the same, {CONCURRENCY} at a time": together[who],
            f"memory after {REQUESTS} requests and {REFRESHES if who == 'podrole' else 'no'} refreshes": now,
        }
        print_table(who, rows | ({"peak during a refresh": peak} if who == "podrole" else {}))
    print_table("sidecar: valid requests during hostile connections", attacks)
    baseline_start = starts["the baseline, to its first response"].median
    figures = {
        "start / baseline": starts["STS at 0 ms"].median / baseline_start,
        "start at 2 x 100 ms / baseline": starts["STS at 2 x 100 ms"].median / baseline_start,
        "anonymous MiB / baseline": memory.anonymous / baseline_memory.anonymous,
        "p50 / baseline": alone["podrole"].p50 / alone["baseline"].p50,
        "p99 at c=32 / baseline": together["podrole"].p99 / together["baseline"].p99,
        "PSS MiB": memory.pss,
        "anonymous MiB": memory.anonymous,
        "peak PSS MiB": peak.pss,
    }
    sys.exit(compare_with_budgets("sidecar", figures) and 1)


if __name__ == "__main__":
    main()
