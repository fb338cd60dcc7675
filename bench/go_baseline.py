"""The Go baseline: net/http with one fixed answer, for comparison only. It is skipped where Go is not installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.services.programs import Program, running

SOURCE = Path(__file__).with_name("baseline.go")
BUILD_SECONDS = 300


@contextmanager
def running_go_baseline(directory: Path) -> Iterator[tuple[int, int] | None]:
    """Build and run it; yield its pid and port. Yield None and print why if it cannot be built."""
    program = directory / "go-baseline"
    if problem := build(program):
        print(f"\nno Go baseline: {problem}")
        yield None
        return
    argv = ("sh", "-c", 'echo $$ && exec "$0"', str(program))
    ready = r"(\d+)\nListening at: (\d+)"
    with running(Program(name="go", argv=argv, ready=ready, remedy="its log says why"), directory) as match:
        yield int(match[1]), int(match[2])


def build(program: Path) -> str | None:
    """Build it; return the problem, if any."""
    go = shutil.which("go")
    if go is None:
        return "go is not on PATH"
    argv = [go, "build", "-o", str(program), str(SOURCE)]
    environ = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else None
