"""A mount namespace whose /dev/shm is a tmpfs of a chosen size, for programs that are full or cannot write there.

Their network and pids are those of the test. Root unshares directly, other users in a user namespace.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.pods.namespaces import check_programs
from testing.repository import ROOT

PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "setpriv": "util-linux"}
DIRECTORY = "/dev/shm"
MOUNT = f"mount -t tmpfs -o mode=1777,$1 tmpfs {DIRECTORY}"

MOUNT_NOTHING = """
mount -t tmpfs tmpfs /mnt
for name in null urandom; do touch /mnt/$name; mount --bind /dev/$name /mnt/$name; done
ln -s /proc/self/fd /mnt/fd
mount --rbind /mnt /dev
"""
"""A /dev without a directory /dev/shm."""

BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
FILL = "cat /dev/zero > filler-pages 2> /dev/null || true"
USE_INODES = "n=0; while touch filler-$n 2> /dev/null; do n=$((n + 1)); done"
MAKE_READ_ONLY = f"mount -o remount,ro {DIRECTORY}"
MAKE_WRITABLE = f"mount -o remount,rw {DIRECTORY}"
EMPTY = "rm -f filler-*"


@dataclass(frozen=True)
class SmallMemory:
    """The namespace, which ends with its first process."""

    pid: int

    def run(self, command: str) -> None:
        """Run a shell command in its /dev/shm."""
        argv = [*self._enter, "sh", "-ec", f"cd {DIRECTORY} && {{ {command}; }}"]
        subprocess.run(argv, check=True, capture_output=True, timeout=10)

    def build_program(self, module: str, *prefix: str) -> list[str]:
        """Return arguments for Python, which becomes a module of the repository in the namespace, with the same pid."""
        return self.build_command("-m", module, prefix=prefix)

    def build_command(self, *arguments: str, prefix: Sequence[str] = ()) -> list[str]:
        """Return arguments for Python, which becomes Python with others in the namespace, with the same pid."""
        return ["-c", BECOME, *self._enter, "env", f"--chdir={ROOT}", *prefix, sys.executable, *arguments]

    def find(self, path: str) -> Path:
        """Return the path outside of the namespace for one in it."""
        return Path(f"/proc/{self.pid}/root{path}")

    @property
    def _enter(self) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.pid), *user, "--mount", "--"]


@contextmanager
def small_memory(options: str | None) -> Iterator[SmallMemory]:
    """Make a namespace until the block ends. `options` are those of the tmpfs; None: there is no /dev/shm."""
    check_programs(PROGRAMS)
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = f"{MOUNT_NOTHING if options is None else MOUNT}\necho ready\nexec cat"
    argv = ["unshare", *user, "--mount", "--", "sh", "-ec", script, "sh", options or ""]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"ready\n"
        try:
            yield SmallMemory(first.pid)
        finally:
            first.kill()
