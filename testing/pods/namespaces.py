"""A set of Linux namespaces for processes, mounts and network that ends as a whole.

Root unshares directly. Other users become root in a user namespace with one uid.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from testing.pods.errors import CommandError, UnavailableError

PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "runc": "runc",
    "nft": "nftables",
    "setcap": "libcap2-bin",
}
"""Required programs, with their Debian packages."""

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
"""Debian's PATH for ordinary users lacks `/usr/sbin`, though nft and ip work for them in a user namespace."""

USER_NAMESPACE_SETTINGS = {
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "user.max_user_namespaces": ("0", "15000"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
}
"""Sysctls (of Debian, upstream, Ubuntu) that disable user namespaces: disabling value, value to set."""

CLOSE_SECONDS = 10

# The pid is read before /proc is mounted again: it is then the pid outside of the namespace. Where cgroups are
# read-only, runc creates none, so it leaves none behind. `cat`, and everything with it, ends when the other end of its
# input is closed, also if that process dies. Ignoring SIGCHLD makes the kernel reap orphans, a duty of process 1.
FIRST_PROCESS = """
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
while read -r device target type rest; do
    case $type in cgroup*) mount -o remount,bind,ro "$target" ;; esac
done < /proc/mounts
ip link set lo up
echo "$pid"
exec env --ignore-signal=CHLD cat > /dev/null
"""


class NamespaceProcess(subprocess.Popen[bytes]):
    """A process in the namespaces. Signals go to it, not to its parent `nsenter`, which returns its exit status."""

    def send_signal(self, sig: int) -> None:
        """Send `sig` to the process, if it is still running."""
        if self.poll() is not None:
            return
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for pid in children.read_text().split() or [str(self.pid)]:
                os.kill(int(pid), sig)


class Namespaces:
    """A context manager for new namespaces. `run` and `popen` start processes in them, which end with it."""

    def __init__(self) -> None:
        self.single_user = os.geteuid() != 0
        """Whether there is only one uid, because ordinary users can map only their own."""
        self._first: subprocess.Popen[str] | None = None
        self._pidfd: int | None = None
        self._enter: list[str] = []
        self._processes: list[NamespaceProcess] = []

    def __enter__(self) -> Self:
        check_programs()
        user = ["--user", "--map-root-user"] if self.single_user else []
        command = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child"]
        # A new session, so that Ctrl-C reaches only this process, which then stops it in order.
        self._first = subprocess.Popen(
            [*command, "sh", "-ec", FIRST_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
            start_new_session=True,
        )
        try:
            self._wait_ready(self._first)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self, argv: Sequence[str], *, check: bool = True, text: str = "", timeout_seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces, with `text` as input. With `check`, raise CommandError if it fails."""
        pipe = subprocess.PIPE
        with self.popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            try:
                out, err = process.communicate(text.encode(), timeout=timeout_seconds)
            except BaseException:
                process.kill()
                raise
        result = subprocess.CompletedProcess([*argv], process.returncode, out.decode(), err.decode())
        if check and result.returncode:
            raise CommandError(f"{' '.join(argv)} ended with {result.returncode}: {result.stderr or result.stdout}")
        return result

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> NamespaceProcess:
        """Start a process in the namespaces. Signals, exit status and files work as outside."""
        process = NamespaceProcess(
            [*self._enter, *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_environment() if env is None else dict(env),
            start_new_session=True,
        )
        self._processes = [*(p for p in self._processes if p.poll() is None), process]
        return process

    def close(self) -> None:
        """Stop everything and wait until it has ended: with process 1, the kernel kills the whole pid namespace."""
        if self._first is None:
            return
        if self._pidfd is None:
            self._first.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
        # `unshare` ends after process 1, which ends after all others
        self._first.communicate()
        for process in self._processes:
            process.wait(timeout=CLOSE_SECONDS)
        self._first = self._pidfd = None

    def _wait_ready(self, first: subprocess.Popen[str]) -> None:
        assert first.stdout
        pid = first.stdout.readline().strip()
        if not pid:
            _, complaint = first.communicate()
            raise UnavailableError(explain_refusal(complaint.strip(), single_user=self.single_user))
        self._pidfd = os.pidfd_open(int(pid))
        user = ["--user", "--preserve-credentials"] if self.single_user else []
        self._enter = ["nsenter", "--target", pid, *user, "--net", "--mount", "--pid", "--"]


def check_programs(programs: Mapping[str, str] | None = None) -> None:
    """Raise UnavailableError with the Debian packages if a program is missing."""
    wanted = PROGRAMS if programs is None else programs
    missing = {name: package for name, package in wanted.items() if not shutil.which(name, path=SEARCH_PATH)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise UnavailableError(f"missing programs: {', '.join(missing)}. As root: apt-get install -y {packages}")


def explain_refusal(complaint: str, *, single_user: bool, settings: Mapping[str, str] | None = None) -> str:
    """Explain why the kernel did not create namespaces; `settings` are sysctls (default: this kernel's)."""
    if not single_user:
        return (
            f"cannot make namespaces as root: {complaint}. In a container it takes CAP_SYS_ADMIN (docker: --privileged)"
        )
    found = load_settings() if settings is None else settings
    for name, (forbidding, wanted) in USER_NAMESPACE_SETTINGS.items():
        if found.get(name) == forbidding:
            return f"{name} = {forbidding} forbids user namespaces ({complaint}). As root: sysctl -w {name}={wanted}"
    return f"cannot make a user namespace: {complaint}. Run as root, or outside of a container that forbids it"


def load_settings() -> dict[str, str]:
    """Read USER_NAMESPACE_SETTINGS of this kernel."""
    paths = {name: Path("/proc/sys", *name.split(".")) for name in USER_NAMESPACE_SETTINGS}
    return {name: path.read_text().strip() for name, path in paths.items() if path.exists()}


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": SEARCH_PATH}
