"""Reads a collection page by page, up to a limit. Only commands use `iterate_pages`: the injector has `list_watch`."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from injector.deadlines import API_LIST_SECONDS
from injector.errors import ClusterError, InvalidResponseError, ObjectTooLargeError
from injector.k8s.objects import Object

PAGE_SIZE = 500
"""Objects. A page with their metadata is a megabyte of JSON on the wire, and about ten while it is parsed."""

MAX_PAGES = 1000
"""500 000 objects. An API server that always has another page would never end."""

MAX_KEPT_BYTES = 512 * 1024 * 1024
"""Of all pages of a list in JSON, if a command keeps every object: 5000 nodes have about 150 MiB."""

MAX_PASSED_BYTES = 4 * 1024 * 1024 * 1024
"""The same, if it keeps a part of each object: 150 000 pods have about 1.5 GiB."""


class ListPage(NamedTuple):
    """A part of a list."""

    items: Sequence[Object]
    continue_token: str
    """For the next page; empty on the last one."""

    size: int
    """Bytes of JSON."""


class ListProgress:
    """Ends a list that does not end by itself."""

    def __init__(self, action: str, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._action = action
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._end = clock() + limit_seconds

    def left_seconds(self) -> float:
        """The time for the next page; raise ClusterError if there is none."""
        left = self._end - self._clock()
        if left <= 0:
            raise ClusterError(f"cannot {self._action}: there are more pages after {self._limit_seconds} s")
        return left

    def check_next_page(self, token: str, following: str) -> None:
        """Raise InvalidResponseError if the page of a token names itself as the next one."""
        if following and following == token:
            raise InvalidResponseError(f"cannot {self._action}: a page names itself as the next one")


def iterate_pages(list_page: Callable[[str], ListPage], description: str, max_bytes: int) -> Iterator[Object]:
    """Yield the objects of all pages, by a function of the continue token; raise ObjectTooLargeError at the limit."""
    token, size = "", 0
    progress = ListProgress(f"list {description}", API_LIST_SECONDS)
    for _ in range(MAX_PAGES):
        progress.left_seconds()
        page = list_page(token)
        size += page.size
        if size > max_bytes:
            raise ObjectTooLargeError(
                f"cannot list {description}: all pages together have more than {max_bytes >> 20} MiB"
            )
        yield from page.items
        if not page.continue_token:
            return
        progress.check_next_page(token, page.continue_token)
        token = page.continue_token
    raise ObjectTooLargeError(f"cannot list {description}: it has more than {MAX_PAGES} pages")
