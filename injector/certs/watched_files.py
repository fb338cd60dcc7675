"""What was loaded from files that another program replaces. Files that cannot be loaded never replace loaded ones."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from injector.deadlines import CERT_RELOAD_SECONDS
from injector.errors import CertificateError

LOG = logging.getLogger("podrole.tls")

Loaded = TypeVar("Loaded")

MAX_BYTES = 1024 * 1024
"""Of each file."""

MAX_READS = 10
"""In one attempt, while other programs replace the files."""

FileStats = tuple[tuple[int, int, int, int], ...]
"""For each file: device, inode, size, modification time."""


class Messages(NamedTuple):
    """Ends of the lines in the log."""

    kept: str
    """After an error: what stays in use."""

    loaded: str
    """What was loaded."""


class WatchedFiles(Generic[Loaded]):
    """The result of `load` for the files' contents, which is called again when they change. Thread-safe.

    It compares the results of `stat` calls, which take microseconds and follow the symlinks of a mounted Secret,
    whose files are replaced and never changed.
    https://kubernetes.io/docs/concepts/storage/projected-volumes/
    """

    def __init__(
        self,
        files: tuple[Path, ...],
        load: Callable[[list[bytes]], Loaded],
        messages: Messages,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the files; raise CertificateError if that fails."""
        self._files = files
        self._load_contents = load
        self._messages = messages
        self._clock = clock
        self._lock = Lock()
        self._logged_error = ""
        self._retry_at = 0.0
        self.load_failures = 0
        self._stats, self.loaded = self._load()

    def read(self) -> Loaded:
        """The same object as before, unless the files changed and can be loaded."""
        with self._lock:
            if self._clock() >= self._retry_at and self._stat_files() != self._stats:
                self._reload()
            return self.loaded

    def _reload(self) -> None:
        try:
            self._stats, self.loaded = self._load()
        except CertificateError as error:
            self.load_failures += 1
            self._retry_at = self._clock() + CERT_RELOAD_SECONDS
            if str(error) != self._logged_error:
                LOG.error("%s. %s", error, self._messages.kept)  # noqa: TRY400 - the message has the cause
            self._logged_error = str(error)
        else:
            self._logged_error = ""
            LOG.info("%s loaded from %s", self._messages.loaded, self._files[0])

    def _load(self) -> tuple[FileStats | None, Loaded]:
        try:
            stats, contents = self._read()
            return stats, self._load_contents(contents)
        except Exception as error:  # a library has raised something unforeseen: the loaded ones stay in use
            files = " and ".join(map(str, self._files))
            raise CertificateError(f"{files} cannot be loaded: {str(error) or type(error).__name__}") from error

    def _read(self) -> tuple[FileStats | None, list[bytes]]:
        """Read all files, again if one of them was replaced meanwhile."""
        for _ in range(MAX_READS):
            stats = self._stat_files()
            contents = [_read_file(file) for file in self._files]
            if stats == self._stat_files():
                return stats, contents
        raise CertificateError("they change while they are read")

    def _stat_files(self) -> FileStats | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None  # reading them raises the same error
        return tuple((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CertificateError(f"{path} has more than {MAX_BYTES >> 20} MiB")
    return content
