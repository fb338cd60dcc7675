"""The file that survives a container restart: the key of the IMDSv2 tokens and the last valid credentials.

It lies in memory that the pod's containers share and no other pod sees. It is used only if it is a regular file of
this user alone and was saved for this pod, role and configuration; anything else is ignored, with one log line.

This does not protect against root in a container of the same pod: root can become this user and read or write the
file. It gets the pod's own role, which it can request anyway, or gives its own pod another identity; it reaches no
other pod. A signature would not help: its key would lie in the same place.
"""

import json
import os
import stat
from contextlib import suppress
from typing import NamedTuple, Self

from sidecar.config import Config
from sidecar.credentials.clocks import SYSTEM, Clocks, clock_jump
from sidecar.credentials.credentials import Credentials
from sidecar.log import emit

KEY_BYTES = 32
"""Of the key that signs IMDSv2 tokens."""

FILE_NAME = "state.json"
MAX_BYTES = 64 * 1024
MODE = 0o600
PARSE_ERRORS = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What parsing raises for a truncated, damaged or forged file."""


class NotUsableError(Exception):
    """The file must not be used. The message quotes nothing of its content."""


class SavedState(NamedTuple):
    """What one process of the pod leaves to the next."""

    token_key: bytes
    """A secret."""

    credentials: Credentials | None = None

    def __repr__(self) -> str:
        return f"SavedState(credentials={self.credentials!r})"


class StateFile(NamedTuple):
    """The state file of one pod with one configuration."""

    path: str
    identity: dict[str, str | int]
    """Pod and configuration. A file that was saved with another identity is ignored."""

    clocks: Clocks = SYSTEM

    @classmethod
    def for_config(cls, config: Config) -> Self:
        """Return the state file of a sidecar with this configuration."""
        identity: dict[str, str | int] = {
            "pod": config.pod_uid,
            "role": config.role_arn,
            "session": config.role_session_name,
            "duration_seconds": config.session_duration_seconds,
            "region": config.region,
            "endpoint": config.sts_endpoint or "",
            "source": config.credential_source,
            "intermediate_role": config.intermediate_role or "",
            "external_id": config.external_id or "",
            "tags": json.dumps(config.session_tags),
        }
        return cls(f"{config.run_directory}/{FILE_NAME}", identity)

    def load(self) -> SavedState | None:
        """Load the saved state, adjusted to the current clock; None, after a log line, if the file is not usable."""
        try:
            return self._parse(read_own_file(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = error.strerror or str(error)
        except NotUsableError as error:
            reason = str(error)
        except PARSE_ERRORS:  # their messages may quote the content
            reason = "it is not a valid state file"
        emit("state-file-ignored", file=FILE_NAME, reason=reason)
        return None

    def save(self, state: SavedState) -> None:
        """Replace the file atomically; raise OSError, and keep the old one, if that fails."""
        document = {
            "identity": self.identity,
            "token_key": state.token_key.hex(),
            "credentials": state.credentials and state.credentials._asdict(),
            "clock_offset": self.clocks.read_offset(),
        }
        replace_own_file(self.path, json.dumps(document).encode())

    def _parse(self, content: bytes) -> SavedState:
        document = json.loads(content)
        if document["identity"] != self.identity:
            raise NotUsableError("it was saved for another pod, role or configuration")
        token_key = bytes.fromhex(document["token_key"])
        if len(token_key) != KEY_BYTES:
            raise ValueError
        if document["credentials"] is None:
            return SavedState(token_key)
        credentials = Credentials.parse(document["credentials"])
        if credentials.role_arn != self.identity["role"]:
            raise NotUsableError("its credentials are for another role")
        # The clock may have been set while no sidecar ran. Only a jump back moves the times, as in shift_clock().
        jump = clock_jump(document["clock_offset"], self.clocks.read_offset())
        return SavedState(token_key, credentials.shift_clock(min(0.0, jump)))


def read_own_file(path: str) -> bytes:
    """Read a regular file of this user with mode 0600 and one link; raise NotUsableError if it is anything else.

    Never blocks, even on a pipe, and follows no symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise NotUsableError(f"it is not a regular file of user {os.geteuid()} with one link")
        if stat.S_IMODE(status.st_mode) != MODE:
            raise NotUsableError(f"its mode is {stat.S_IMODE(status.st_mode):04o}, not {MODE:04o}")
        if status.st_size > MAX_BYTES:
            raise NotUsableError(f"it is larger than {MAX_BYTES} bytes")
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def replace_own_file(path: str, content: bytes) -> None:
    """Write a new file and rename it: readers see the old or the new content, also after a kill."""
    unfinished = path.removesuffix(".json") + ".new"
    with suppress(FileNotFoundError):
        os.unlink(unfinished)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(unfinished, path)
    except OSError:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
