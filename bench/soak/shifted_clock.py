"""`python -m bench.soak.shifted_clock MODULE [ARGUMENT]...` runs a module whose `time.time` a file shifts.

Linux has no wall clock for one process only: a time namespace shifts the monotonic and boot-time clocks. So this
replaces Python's `time.time` in the process, and in the STS child that it starts. Timers of the kernel, `datetime.now`
and C libraries (TLS) keep the machine's clock.
"""

import mmap
import os
import runpy
import shlex
import struct
import sys
import time
from pathlib import Path

CLOCK_VARIABLE = "SOAK_CLOCK"
"""A file of 8 bytes: the seconds that are added, as a double."""

FORMAT = "d"
SIZE = struct.calcsize(FORMAT)
SCHEDULE = {
    "REFRESH_SHARE": 0.001,  # of a session of an hour: a refresh every 3.6 s
    "MIN_REFRESH_SECONDS": 2,
    "RETRY_MAX_SECONDS": 8,
    "PERMANENT_RETRY_SECONDS": 8,
}
"""What takes the place of the sidecar's own schedule."""

PROPAGATION_SECONDS = 10.0
"""Instead of 300: how long a CA must have been published before it is used."""


def write_shift(file: Path, seconds: float) -> None:
    """Set the clock of the processes that use this file."""
    with file.open("r+b" if file.exists() else "wb") as output:
        output.write(struct.pack(FORMAT, seconds))


def shift_time(file: Path) -> None:
    """Replace time.time. Must come before modules that keep a reference to it."""
    descriptor = os.open(file, os.O_RDONLY)
    shift = mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ)
    os.close(descriptor)
    system = time.time
    time.time = lambda: system() + struct.unpack(FORMAT, shift[:SIZE])[0]


def set_up_sidecar(file: Path) -> None:
    """Refresh every few seconds, and start STS children with the same clock."""
    from sidecar.credentials import schedule  # noqa: PLC0415 - after time.time was replaced

    vars(schedule).update(SCHEDULE)
    wrapper = file.with_suffix(".sh")
    root = shlex.quote(str(Path(__file__).parents[2]))
    command = f"PYTHONPATH={root} {CLOCK_VARIABLE}={shlex.quote(str(file))} exec {shlex.quote(sys.executable)}"
    wrapper.write_text(f'#!/bin/sh\nshift\n{command} -m bench.soak.shifted_clock "$@"\n')
    wrapper.chmod(0o700)
    sys.executable = str(wrapper)


def set_up_injector() -> None:
    """Rotate CAs in less than a minute: a new one is used as soon as all API servers here must know it."""
    from injector.certs.x509 import Lifetimes  # noqa: PLC0415 - after time.time was replaced

    *others, _ = Lifetimes.__init__.__defaults__ or ()
    Lifetimes.__init__.__defaults__ = (*others, PROPAGATION_SECONDS)


def main() -> None:
    """Run the module."""
    file, module = Path(os.environ.pop(CLOCK_VARIABLE)), sys.argv[1]
    shift_time(file)
    if module == "sidecar":
        set_up_sidecar(file)
    if module == "injector":
        set_up_injector()
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
