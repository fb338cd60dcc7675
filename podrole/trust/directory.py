"""`podrole trust-policy --out`: writes policies, back-ups and a script. No file is ever half written."""

import os
import shlex
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from injector.errors import ConfigError
from podrole.iam.apply_script import BACKUPS, MARK, POLICIES, SCRIPT, RoleFiles, build_script, name_files
from podrole.iam.changes import PolicyChange

OWN = {SCRIPT, POLICIES, BACKUPS}
INCOMPLETE = f'#!/bin/sh\n{MARK}, which did not end.\necho "podrole did not finish writing: run it again" >&2\nexit 1\n'
"""In place of the script while other files are written."""

TEMPORARY = ".podrole-"
"""Begins the names of unfinished files. A killed run can leave one."""

MODE = 0o644


def write_directory(path: str, changes: Sequence[PolicyChange]) -> list[str]:
    """Write all files, and return what to do next. Raises ConfigError where nothing may be written, or OSError."""
    directory = Path(path)
    _check(directory)
    roles = name_files(changes)
    _write(directory / SCRIPT, INCOMPLETE)
    listed = [one for one in roles if one.change.is_needed or (directory / BACKUPS / one.file).exists()]
    for role in listed:
        if role.backup is not None and role.change.is_needed:
            _keep_earlier(directory / BACKUPS / role.file, role.backup)
            _write(directory / BACKUPS / role.file, role.backup)
        _write(directory / POLICIES / role.file, role.policy)
    _remove_others(directory / POLICIES, listed)
    _write(directory / SCRIPT, build_script(listed))
    set_by_script = [one for one in listed if one.is_accepted]
    steps = [f"Read it, then set the policies: sh {shlex.quote(str(directory / SCRIPT))}"] if set_by_script else []
    others = "the others need no change"
    if refused := len(listed) - len(set_by_script):
        others = (
            f"IAM would refuse the policies of {refused} as too long, and {len(roles) - len(listed)} need no change"
        )
    return [f"{directory / SCRIPT} has {len(set_by_script)} of {len(roles)} roles; {others}.", *steps]


def _check(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = {one.name for one in directory.iterdir() if not one.name.startswith(TEMPORARY)}
        if found and not (found <= OWN and _is_own(directory / SCRIPT)):
            raise ConfigError(
                f"--out {directory} is not empty, and not an earlier output of --out: use another directory"
            )
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigError(f"--out {directory} cannot be written: {error.strerror}") from error


def _is_own(script: Path) -> bool:
    if not script.is_file():
        return False
    with script.open("rb") as opened:
        return MARK.encode() in opened.read(len(INCOMPLETE))


def _write(file: Path, text: str) -> None:
    """Write a file under another name and rename it, so that an error leaves what was there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        Path(name).chmod(MODE)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_earlier(backup: Path, text: str) -> None:
    """Rename an earlier back-up with another content: it may be the only copy of what the role had first."""
    if backup.exists() and backup.read_text() != text:
        names = (backup.with_name(f"{backup.name}.{number}") for number in count(1))
        backup.rename(next(one for one in names if not one.exists()))


def _remove_others(policies: Path, roles: Sequence[RoleFiles]) -> None:
    """Remove the policies of an earlier run whose roles are not in the script."""
    kept = {policies / one.file for one in roles}
    for file in policies.glob("*/*.json"):
        if file not in kept:
            file.unlink()
