"""Reads a collection page by page, up to a limit. Only commands do: the injector lists metadata in `list_watch`."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from injector.errors import ObjectTooLargeError
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


def iterate_pages(list_page: Callable[[str], ListPage], description: str, max_bytes: int) -> Iterator[Object]:
    """Yield the objects of all pages, by a function of the continue token; raise ObjectTooLargeError at the limit."""
    token, size = "", 0
    for _ in range(MAX_PAGES):
        page = list_page(token)
        size += page.size
        if size > max_bytes:
            raise ObjectTooLargeError(
                f"cannot list {description}: all pages together have more than {max_bytes >> 20} MiB"
            )
        yield from page.items
        token = page.continue_token
        if not token:
            return
    raise ObjectTooLargeError(f"cannot list {description}: it has more than {MAX_PAGES} pages")
