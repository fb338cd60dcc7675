"""What outlives a restart of the container: the key of the tokens and the last good credentials, in one file.

The file lies in memory that the pod's containers share and no other pod sees. It is believed only if it is a plain file
of this user's alone and tells of this pod, role and configuration; anything else is passed over with one line, and the
sidecar begins anew. Against root in a container of the same pod none of that helps: root can take this user's place
and read or plant the file. It would win the pod's own role, which it may ask for anyway, or hand its own pod another
identity than the role's; it reaches no other pod through it. A signature could not help either: its key would lie here.
"""

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from sidecar.config import Config
from sidecar.credentials.clocks import SYSTEM, Clocks, clock_jump
from sidecar.credentials.credentials import Credentials
from sidecar.log import emit

KEY_BYTES = 32
"""Of the key that signs IMDSv2 tokens."""

FILE_NAME = "survival"
MAX_BYTES = 64 * 1024
MODE = 0o600
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What parsing raises for a file that was cut short, damaged or planted."""


class NotUsableError(Exception):
    """There is a file, but it is not ours to use. The message says why, and holds nothing of what is in it."""


@dataclass(frozen=True)
class SavedState:
    """What one process of the pod leaves to the next."""

    token_key: bytes = field(repr=False)
    credentials: Credentials | None = None


@dataclass(frozen=True)
class StateFile:
    """The file, for one pod with one configuration."""

    path: Path
    identity: dict[str, str | int]
    """Whose it is: what was kept under another one is not used."""

    clocks: Clocks = SYSTEM

    @classmethod
    def of(cls, config: Config) -> Self:
        """The file of the sidecar with this configuration."""
        identity: dict[str, str | int] = {
            "pod": config.pod_uid,
            "role": config.role_arn,
            "session": config.session_name,
            "duration_seconds": config.session_duration_seconds,
            "region": config.region,
            "endpoint": config.sts_endpoint or "",
            "source": config.credential_source,
            "through": config.intermediate_role or "",
            "external_id": config.external_id or "",
            "tags": json.dumps(config.session_tags),
        }
        return cls(Path(config.run_directory) / FILE_NAME, identity)

    def open(self) -> SavedState:
        """What was kept, or a new key, which is kept from now on."""
        if kept := self.load():
            return kept
        begun = SavedState(secrets.token_bytes(KEY_BYTES))
        self.keep(begun)
        return begun

    def load(self) -> SavedState | None:
        """What was kept, on the clock as it stands now; None, after one line that says why, if it is not to be used."""
        try:
            return self._parse(read_own_file(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = error.strerror or str(error)
        except NotUsableError as error:
            reason = str(error)
        except UNREADABLE:  # their own texts may quote what was read
            reason = "it is not what a sidecar writes"
        emit("state-file-ignored", file=str(self.path), reason=reason)
        return None

    def keep(self, kept: SavedState) -> None:
        """Replace the file in one step. Where there is no room for it the sidecar goes on without: it says so."""
        document = {
            "identity": self.identity,
            "token_key": kept.token_key.hex(),
            "credentials": kept.credentials and asdict(kept.credentials),
            "clock_offset": self.clocks.read_offset(),
        }
        try:
            replace_own_file(self.path, json.dumps(document).encode())
        except OSError as error:
            emit("state-file-write-failed", file=str(self.path), reason=error.strerror or str(error))

    def _parse(self, written: bytes) -> SavedState:
        document = json.loads(written)
        if document["identity"] != self.identity:
            raise NotUsableError("it is of another pod, role or configuration")
        token_key = bytes.fromhex(document["token_key"])
        if len(token_key) != KEY_BYTES:
            raise ValueError
        if document["credentials"] is None:
            return SavedState(token_key)
        credentials = Credentials.parse(document["credentials"])
        if credentials.role_arn != self.identity["role"]:
            raise NotUsableError("its credentials are of another role")
        # The clock may have been set while no sidecar ran. What it was set forward is over, as in refresh.follow_clock.
        step = clock_jump(document["clock_offset"], self.clocks.read_offset())
        return SavedState(token_key, credentials.shift_clock(min(0.0, step)))


def read_own_file(path: Path) -> bytes:
    """Read a plain file of this user's with mode 0600 and one name; raise NotUsableError if it is anything else.

    Never waits, as a pipe would have it, and follows no link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise NotUsableError(f"it is not a plain file of user {os.geteuid()}")
        if stat.S_IMODE(found.st_mode) != MODE:
            raise NotUsableError(f"its mode is {stat.S_IMODE(found.st_mode):04o} and not {MODE:04o}")
        if found.st_size > MAX_BYTES:
            raise NotUsableError(f"it is longer than {MAX_BYTES} bytes")
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def replace_own_file(path: Path, content: bytes) -> None:
    """Put a whole new file in the place of another; a reader finds the one or the other, also after a kill."""
    unfinished = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - pathlib opens no descriptor
            file.write(content)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
