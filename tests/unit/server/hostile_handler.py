"""A handler that does what its request's path says: `/wait/0.5`, `/raise/KeyError`, `/echo`.

Every response repeats the request's `X-Id`, so that a client sees whose response it got.
"""

import time

from server.messages import Request, Response, WouldBlock

LARGE = 1024 * 1024
BAD_RESPONSES: dict[str, object] = {
    "none": None,
    "text-body": Response(200, "text"),  # type: ignore[arg-type] # on purpose, as all of these
    "split-header": Response(200, b"", (("X", "a\r\nSet-Cookie: b"),)),
    "split-name": Response(200, b"", (("X: a\r\nY", "b"),)),
    "wide-header": Response(200, b"", (("X", "\u20ac"),)),
}


class Base(BaseException):
    """Not an Exception."""


EXCEPTIONS = {
    kind.__name__: kind
    for kind in (
        *(RuntimeError, KeyError, OSError, MemoryError, RecursionError, StopIteration, UnicodeError, TimeoutError),
        *(BlockingIOError, ConnectionResetError, BrokenPipeError, GeneratorExit, KeyboardInterrupt, SystemExit, Base),
    )
}


def handle(request: Request) -> Response:
    """Echo, wait in a thread, raise, or return something large or wrong."""
    _, action, *arguments = request.target.partition("?")[0].split("/")
    in_thread = action.startswith("thread-")
    if (in_thread or action == "wait") and not request.may_block:
        raise WouldBlock
    response = Response(200, request.body, (("X-Id", request.headers.get("x-id", "")),))
    match action.removeprefix("thread-"):
        case "wait":
            time.sleep(float(arguments[0]))
        case "raise":
            raise EXCEPTIONS[arguments[0]]
        case "would-block":
            raise WouldBlock
        case "return":
            return BAD_RESPONSES[arguments[0]]  # type: ignore[return-value]
        case "after":
            return response._replace(after=lambda: _raise(arguments[0]))
        case "large":
            return response._replace(body=b"x" * LARGE)
        case _:
            pass
    return response


def _raise(name: str) -> None:
    raise EXCEPTIONS[name]
