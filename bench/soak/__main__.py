"""Runs the processes, prints progress and tables, and exits with 1 if anything was lost or has grown."""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.measure import print_table
from bench.soak.sidecars import running_sidecars
from bench.soak.sts import Script
from bench.soak.tally import Tally
from bench.soak.usage import Samples

PROGRESS_SECONDS = 10
SAMPLE_SECONDS = 2

Watched = Sequence[tuple[Samples, Callable[[], int]]]
"""What is sampled, with a function that returns the pid."""


def watch(seconds: float, tally: Tally, scripts: Sequence[Script], watched: Watched, stopping: threading.Event) -> None:
    """Sample and print progress until the time is over or a signal comes."""
    began = time.monotonic()
    next_progress = began + PROGRESS_SECONDS
    while (now := time.monotonic()) < began + seconds and not stopping.wait(SAMPLE_SECONDS):
        for samples, find_pid in watched:
            samples.take(find_pid())
        if now > next_progress:
            print_progress(now - began, tally, scripts, watched)
            next_progress += PROGRESS_SECONDS


def print_progress(seconds: float, tally: Tally, scripts: Sequence[Script], watched: Watched) -> None:
    """One line on standard error."""
    memory = ", ".join(f"{samples.samples[-1].anonymous_mib:.1f}" for samples, _ in watched if samples.samples)
    calls = sum(script.answers.total() for script in scripts)
    sys.stderr.write(
        f"{seconds:5.0f} s: {tally.good.total()} good requests ({tally.cut.total()} cut, {tally.lost.total()} lost), "
        f"{tally.faults.total()} faults, {calls} calls of STS, memory {memory} MiB\n"
    )


def print_summary(tally: Tally, scripts: Sequence[Script], watched: Watched) -> list[str]:
    """Print the tables; return what makes the run fail."""
    print_table(
        "good requests", {name: f"{n}, {tally.describe_seconds(name)}" for name, n in sorted(tally.good.items())}
    )
    print_table("faults", dict(sorted(tally.faults.items())))
    print_table("answers of STS", dict(sorted(sum((script.answers for script in scripts), Counter()).items())))
    print_table(
        "first and last quarter's medians", {k: v for samples, _ in watched for k, v in samples.describe().items()}
    )
    print_table("requests whose own server the run had ended", dict(tally.cut) or {"none": 0})
    print_table("lost", dict(tally.lost) or {"none": 0})
    return [*tally.losses, *(line for samples, _ in watched for line in samples.find_growth())]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="The real processes, with random faults.")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--sidecars-only", action="store_true", help="without the injector and its API server")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    tally = Tally()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        watched: list[tuple[Samples, Callable[[], int]]] = []
        if not options.sidecars_only:
            from bench.soak.injectors import running_injectors  # noqa: PLC0415 - needs the programs of a cluster

            watched += stack.enter_context(running_injectors(Path(name), tally, options.seed, stopping))
        sidecars, scripts = stack.enter_context(running_sidecars(Path(name), tally, options.seed, stopping))
        watched += [(samples, child.find_pid) for samples, child in sidecars]
        watch(options.seconds, tally, scripts, watched, stopping)
        stopping.set()
    problems = print_summary(tally, scripts, watched)
    for line in problems:
        print(line)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
