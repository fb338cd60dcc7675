"""Signals that the sidecar does not support, where it is not process 1: in a shared process namespace."""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar
from testing.signals import UNSUPPORTED

EFFECT_SECONDS = 0.05
"""A signal that ends or stops the process does so in milliseconds."""

INHERITED = {
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])",
    "ignored": "[signal.signal(one, signal.SIG_IGN) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]",
}
"""What the process that starts the sidecar has done."""


@pytest.mark.parametrize("how", INHERITED)
def test_sidecar_whose_parent_ignored_or_blocked_signals_serves_and_ends(
    faulty_sts: FaultySts, tmp_path: Path, how: str
) -> None:
    def enter(argv: Sequence[str]) -> Sequence[str]:
        program = f"import os, signal, sys; {INHERITED[how]}; os.execv(sys.argv[1], sys.argv[1:])"
        return [sys.executable, "-c", program, *argv]

    (tmp_path / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(tmp_path, faulty_sts.url), tmp_path, enter=enter) as sidecar:
        assert sidecar.wait_until_started() == 0
        assert sidecar.request(CREDENTIALS_PATH).status == 200

        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.process.wait(timeout=5) == 0


def test_signals_that_the_sidecar_does_not_support_change_nothing(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(tmp_path, faulty_sts.url), tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        for number in (*UNSUPPORTED, signal.SIGQUIT):
            sidecar.process.send_signal(number)
            time.sleep(EFFECT_SECONDS)
            assert sidecar.process.poll() is None, number
            assert sidecar.request(CREDENTIALS_PATH).status == 200, number

        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.process.wait(timeout=10) == 0
        assert "Traceback" not in sidecar.log
