"""Reads existing trust policies for `--policies`: a directory of files, or one file."""

from collections.abc import Iterator
from pathlib import Path

from injector.errors import ConfigError
from podrole.iam.policy_files import ExistingPolicies, PolicyFile, parse_policy_files
from podrole.progress import progress_message

SUFFIX = ".json"
MAX_FILES = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""Of all files together: ten thousand roles, as `aws iam list-roles` prints them, have about 15 MiB."""


def load_policy_directory(path: str) -> ExistingPolicies:
    """Read the .json files of a directory and of the directories in it, or one file. Raises ConfigError."""
    with progress_message(f"reading the policies of {path}"):
        files = [*_load_files(Path(path))]
        if not files:
            raise ConfigError(f"there are no policies in {path}: use files with the suffix {SUFFIX}")
        return parse_policy_files(files)


def _load_files(path: Path) -> Iterator[PolicyFile]:
    if not path.is_dir():
        yield PolicyFile(path.name, _read(path, MAX_BYTES))
        return
    found = sorted(one for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}") for one in path.glob(pattern) if one.is_file())
    if len(found) > MAX_FILES:
        raise ConfigError(f"{path} has {len(found)} files; the maximum is {MAX_FILES}")
    left = MAX_BYTES
    for file in found:
        text = _read(file, left)
        left -= len(text.encode())
        yield PolicyFile(file.relative_to(path).as_posix(), text)


def _read(file: Path, left: int) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(left + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > left:
        raise ConfigError(f"{file}: the policies have more than {MAX_BYTES // 1024**2} MiB together")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 ({error.reason} at byte {error.start})") from error
