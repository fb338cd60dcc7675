"""Saves the state for the next process of this pod, and tries again if that fails."""

import os

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.state_file import FILE_NAME, KEY_BYTES, SavedState, StateFile
from sidecar.log import emit
from sidecar.write_errors import describe_error


class StateSaver:
    """Writes the state file. After the start, only the refresher's thread calls its methods."""

    def __init__(self, state_file: StateFile) -> None:
        """Load what an earlier process saved, or save a new token key."""
        self.error: str | None = None
        """Why the newest state is not in the file; None if it is."""

        self._file = state_file
        self._unsaved: SavedState | None = None
        loaded = state_file.load()
        self.restored = loaded or SavedState(os.urandom(KEY_BYTES))
        """The state at the start."""

        if not loaded:
            self._save(self.restored)

    def save(self, credentials: Credentials) -> None:
        """Save new credentials. An error is logged, and the sidecar continues."""
        self._save(SavedState(self.restored.token_key, credentials))

    def retry(self) -> None:
        """Save the newest state if that has failed. An error is logged again only if it is another one."""
        if self._unsaved:
            self._save(self._unsaved)

    def _save(self, state: SavedState) -> None:
        try:
            self._file.save(state)
        except OSError as error:
            reason = describe_error(error, os.path.dirname(self._file.path))
            if reason != self.error:
                emit("state-file-write-failed", file=FILE_NAME, reason=reason)
            self._unsaved, self.error = state, reason
        else:
            self._unsaved = self.error = None
