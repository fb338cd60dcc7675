"""The run directory and its started file. Its space is taken at the start: the pod's containers can fill the memory."""

import os
import stat
import time
from contextlib import suppress
from typing import NamedTuple

import contract
from sidecar.config import Config
from sidecar.deadlines import STARTED_FILE_RETRY_SECONDS
from sidecar.errors import StartError
from sidecar.log import emit
from sidecar.post_start import read_start_time
from sidecar.write_errors import describe_error

MODE = 0o700


class StartedFile(NamedTuple):
    """The file that the postStart hook waits for. Until the sidecar is started it has another name."""

    directory: str

    @property
    def path(self) -> str:
        """The path that the hook reads."""
        return f"{self.directory}/{contract.STARTED_FILE}"

    @property
    def reserved_path(self) -> str:
        """The path before the sidecar is started."""
        return f"{self.path}.new"

    def reserve(self) -> None:
        """Write this process's file under its other name; raise OSError. Uses the inode and the page of an old one."""
        with suppress(FileNotFoundError):
            os.rename(self.path, self.reserved_path)
        descriptor = _open_own_file(self.reserved_path)
        try:
            pid = os.getpid()
            content = f"{pid} {read_start_time(pid)}".encode()
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))  # after the write: a file that was cut to 0 needs a new page
        finally:
            os.close(descriptor)

    def publish(self) -> None:
        """Give the file the name that the hook reads; raise OSError. Needs no space."""
        try:
            os.rename(self.reserved_path, self.path)
        except FileNotFoundError:  # root in a container of the pod deleted it
            create_directory(self.directory)
            self.reserve()
            os.rename(self.reserved_path, self.path)

    def publish_when_possible(self) -> None:
        """Try until the file has its name; say once why that takes longer. The credentials are served meanwhile."""
        reason = None
        while True:
            try:
                return self.publish()
            except (OSError, StartError) as error:
                if reason is None:
                    reason = str(error) if isinstance(error, StartError) else describe_error(error, self.directory)
                    emit("started-file-write-failed", file=contract.STARTED_FILE, reason=reason)
            time.sleep(STARTED_FILE_RETRY_SECONDS)


def prepare_run_directory(config: Config) -> StartedFile:
    """Create or check the directory, and reserve the started file; raise StartError."""
    path = config.run_directory
    shown = path.replace(config.pod_uid, "<uid>")  # the uid is the end of the credential path
    started_file = StartedFile(path)
    try:
        create_directory(path, shown)
        started_file.reserve()
    except OSError as error:
        raise StartError(
            f"{contract.ENV_RUN_DIRECTORY} cannot be used: {shown}: {describe_error(error, path)}"
        ) from error
    return started_file


def create_directory(path: str, shown: str = "it") -> None:
    """Create a directory of this user alone; raise StartError if there is something else, or OSError."""
    with suppress(FileExistsError):
        os.mkdir(path, MODE)
    status = os.lstat(path)
    is_own = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == MODE
    if not stat.S_ISDIR(status.st_mode) or not is_own:
        message = (
            f"{contract.ENV_RUN_DIRECTORY}: {shown} must be a directory of user {os.geteuid()} with mode {MODE:04o}"
        )
        raise StartError(message)


def _open_own_file(path: str) -> int:
    """Open a file for writing without truncating it. What is no file of this user alone is replaced, not followed."""
    with suppress(FileNotFoundError):
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
