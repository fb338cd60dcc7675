"""How long the init container waits for a program of iptables, and what it says if it cannot verify the rules."""

import errno
import os
import selectors
from pathlib import Path

import pytest

import sidecar.redirect.__main__ as module
from sidecar.deadlines import IPTABLES_LOCK_SECONDS
from sidecar.redirect.__main__ import RulesError, add_jump, load_family, run_program, verify_rejections


def test_program_that_hangs_is_killed_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IPTABLES_SECONDS", 0.1)

    with pytest.raises(RulesError, match=r"sleep could not load the rules within 0\.1 s"):
        run_program(["sleep", "60"], "load the rules")


def test_every_program_waits_for_the_lock_of_another_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "commands"
    for name in ("iptables", "iptables-restore"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$@" >> {record}\n[ "$5" != -C ]\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    load_family("iptables", {"rules": "*nat\nCOMMIT\n"})
    add_jump("iptables", "nat", "PODROLE-OUTPUT", "OUTPUT")

    commands = record.read_text().splitlines()
    assert len(commands) == 3
    assert [command for command in commands if not command.startswith(f"--wait {IPTABLES_LOCK_SECONDS} ")] == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(errno.ENOSPC, "raise this sysctl on the node$", id="watches-of-the-user"),
        pytest.param(errno.ENOMEM, "unknown: Cannot allocate memory$", id="memory"),
    ],
)
def test_rules_that_cannot_be_verified_are_an_error(monkeypatch: pytest.MonkeyPatch, code: int, reason: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(selectors.DefaultSelector, "register", refuse)

    with pytest.raises(RulesError, match=rf"^the rules are loaded, but whether they are in effect is .*{reason}"):
        verify_rejections()
