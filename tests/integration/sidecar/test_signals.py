"""Signals that the sidecar does not support, where it is not process 1: in a shared process namespace."""

import signal
import time
from pathlib import Path

from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar
from testing.signals import UNSUPPORTED

EFFECT_SECONDS = 0.05
"""A signal that ends or stops the process does so in milliseconds."""


def test_signals_that_the_sidecar_does_not_support_change_nothing(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(tmp_path, faulty_sts.url), tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        for number in UNSUPPORTED:
            sidecar.process.send_signal(number)
            time.sleep(EFFECT_SECONDS)
            assert sidecar.process.poll() is None, number
            assert sidecar.request(CREDENTIALS_PATH).status == 200, number

        sidecar.process.send_signal(signal.SIGTERM)
        assert sidecar.process.wait(timeout=10) == 0
        assert "Traceback" not in sidecar.log
