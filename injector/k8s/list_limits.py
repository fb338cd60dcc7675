"""How many objects a list of the injector asks for at once, and how many a copy has at most."""

from collections.abc import Mapping

from urllib3.exceptions import ProtocolError, ReadTimeoutError

from injector.errors import ClusterError, ObjectError, UnavailableError
from injector.k8s.api_errors import TOO_MANY_REQUESTS
from injector.k8s.paging import PAGE_SIZE

PAGE_BYTES = 8 * 1024 * 1024
"""What a page should have at most. A larger one needs no more memory here, but much in the API server, and so time: the
token of the next page is valid for five minutes."""

SMALLER_PAGE = 4
"""After a page that fails, the limit is so many times smaller: it can have been too large."""

MIN_FAILED_PAGE = 8
"""Failures make the limit no smaller than this: eight objects have 12 MiB at most, and an API server that hangs for
minutes must not make the next list one of 100 000 requests."""

MAX_OBJECTS = 500_000
"""Of one kind. An API server that always has another page, or another event, would fill the memory."""


class PageLimit:
    """The limit of the next page. One that failed stays smaller until a list is complete.

    Otherwise a second page that is too slow would make each list start again, as its first page is not.
    """

    def __init__(self) -> None:
        self.value = self._longest = PAGE_SIZE

    def page_read(self, count: int, page_bytes: int) -> None:
        """Choose the next limit by the objects and bytes of a page."""
        self.value = min(choose_limit(count, page_bytes), self._longest)

    def page_failed(self, error: ClusterError) -> None:
        """Ask for less if a page was perhaps too large."""
        if is_perhaps_too_large(error):
            self._longest = self.value = min(self.value, max(MIN_FAILED_PAGE, self.value // SMALLER_PAGE))

    def list_completed(self) -> None:
        """Begin the next list with the largest page."""
        self.value = self._longest = PAGE_SIZE


def check_room(objects: Mapping[str, object], key: str, description: str) -> None:
    """Raise ObjectError if an object would be one too many."""
    if len(objects) >= MAX_OBJECTS and key not in objects:
        raise ObjectError(f"there are more than {MAX_OBJECTS} {description}")


def choose_limit(count: int, page_bytes: int) -> int:
    """The limit of the next page, so that it has about PAGE_BYTES if its objects are as large as those of this one."""
    return max(1, min(PAGE_SIZE, count * PAGE_BYTES // page_bytes)) if count else PAGE_SIZE


def is_perhaps_too_large(error: ClusterError) -> bool:
    """Whether an answer took too long or was cut off, or the API server gave up. A refused connection says nothing."""
    if isinstance(error, UnavailableError):
        return error.status != TOO_MANY_REQUESTS
    return isinstance(error.__cause__, ReadTimeoutError | ProtocolError)
