"""A sidecar, or a probe, whose event loop cannot watch its sockets."""

import errno
import subprocess
import sys

import pytest

from testing.repository import ROOT

LIMITED = """
import runpy, sys
from testing.refused_calls import refuse_watches
refuse_watches({error})
sys.argv[1:] = {arguments}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
SENTENCES = {
    errno.ENOSPC: (
        "the event loop cannot start: the processes of its user have as many epoll watches as "
        "fs.epoll.max_user_watches allows: raise this sysctl on the node"
    ),
    errno.ENOMEM: "the event loop cannot start: Cannot allocate memory",
}
each_error = pytest.mark.parametrize(
    ("error", "sentence"), SENTENCES.items(), ids=[errno.errorcode[one] for one in SENTENCES]
)


def run_limited(module: str, arguments: list[str], error: int, environ: dict[str, str]) -> tuple[int, str]:
    """Run a module to its end; return its exit code and standard error."""
    argv = [sys.executable, "-c", LIMITED.format(module=module, arguments=arguments, error=error)]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@each_error
def test_sidecar_that_can_watch_no_socket_says_so_and_ends(environ: dict[str, str], error: int, sentence: str) -> None:
    assert run_limited("sidecar", [], error, environ) == (1, f"podrole-sidecar: {sentence}\n")


@each_error
def test_probe_that_can_watch_no_socket_says_so_and_ends(environ: dict[str, str], error: int, sentence: str) -> None:
    reason = sentence.replace("the event loop cannot start", "no address can be tried")

    assert run_limited("sidecar.probe", ["redirect"], error, environ) == (1, f"podrole-probe: {reason}\n")
