"""What a failed write says."""

import errno
import os
from contextlib import suppress

import contract


def describe_error(error: OSError, directory: str) -> str:
    """Return an error of a write into a directory; if there is no space, with what is used up."""
    reason = error.strerror or str(error)
    if error.errno != errno.ENOSPC:
        return reason
    state = "has no inodes left" if _has_no_inodes(directory) else "is full"
    shared = "; the containers of the pod share it" if directory.startswith(f"{contract.SHARED_MEMORY}/") else ""
    return f"{reason}: its file system {state}{shared}"


def _has_no_inodes(path: str) -> bool:
    """Whether the file system of a directory, or of the one above it if that does not exist, has no inodes left."""
    for existing in (path, os.path.dirname(path)):
        with suppress(OSError):
            file_system = os.statvfs(existing)
            return file_system.f_files > 0 and file_system.f_ffree == 0
    return False
