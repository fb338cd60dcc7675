"""Runs a program as process 1 of a pid namespace, as a container does, and sends it a signal at a chosen moment.

The kernel drops a signal to process 1 that has no handler for it: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testing.repository import ROOT

NAMESPACES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

# Python imports a module of this name before the program.
SENDER = """
import os, sys

module, count, number = os.environ["SEND_FROM_IMPORT"], int(os.environ["SEND_AFTER_EVENTS"]), int(os.environ["SEND"])
seen = -1

def watch(event, arguments):
    global seen
    if os.getpid() != 1 or (seen < 0 and (event != "import" or arguments[0] != module)):
        return
    seen += 1
    if seen == count:
        os.write(2, f"signalled at {event} {arguments[:1]}\\n".encode())
        os.kill(1, number)

sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class ProcessOne:
    """The running program."""

    unshare: "subprocess.Popen[bytes]"
    """Its parent, which returns its exit code, or 128 + the signal that killed it."""

    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def pid(self) -> int:
        """Its pid outside of the namespace; 0 before it exists."""
        with suppress(FileNotFoundError):
            children = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children").read_text().split()
            return int(children[0]) if children else 0
        return 0

    def wait_for_exec(self) -> int:
        """Wait until the program runs instead of unshare; return its pid."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError):
                if (pid := self.pid) and b"unshare" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
            time.sleep(0.0005)
        raise TimeoutError("the program was not started")

    def send(self, number: int) -> None:
        """Send a signal to it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid or self.unshare.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for its end; return its exit code."""
        return self.unshare.wait(seconds)


@contextmanager
def running_as_process_1(arguments: Sequence[str], environ: Mapping[str, str], directory: Path) -> Iterator[ProcessOne]:
    """Run Python with these arguments until the block ends; it logs into the directory."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = [*NAMESPACES, *user, "--", sys.executable, *arguments]
    log = directory / "process-1.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(environ), stdout=output, stderr=output)
    try:
        yield ProcessOne(process, log)
    finally:
        process.kill()
        process.wait()


def build_sender(directory: Path, number: int, module: str, events: int) -> dict[str, str]:
    """Return variables with which process 1 signals itself: as many audit events after the first import of a module.

    Audit events are imports, opened files, sockets and the like: https://docs.python.org/3/library/audit_events.html
    """
    (directory / "sitecustomize.py").write_text(SENDER)
    return {
        "PYTHONPATH": str(directory),
        "SEND": str(int(number)),
        "SEND_FROM_IMPORT": module,
        "SEND_AFTER_EVENTS": str(events),
    }
