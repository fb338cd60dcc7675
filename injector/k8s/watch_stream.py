"""Reads the events of a watch from an open HTTP response."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from urllib3.exceptions import HTTPError

from injector.errors import ObjectError
from injector.k8s.api_errors import build_api_error, translate_network_errors, translate_object_errors
from injector.k8s.objects import Object, read_mapping, read_string


class WatchEvent(NamedTuple):
    """https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""

    object: Object


class WatchStream:
    """Iterate over it for the events, until the API server ends the watch.

    The package's own Watch decodes each event into a model. Without that, an ERROR event makes it fail with a KeyError.
    It also skips lines that are not JSON, and it cannot be stopped while it waits.
    """

    def __init__(self, response: Any, action: str) -> None:
        self._response = response
        self._action = action

    def __iter__(self) -> Iterator[WatchEvent]:
        """Raise the error that an ERROR event stands for; InvalidResponseError for what is not an event."""
        rest = b""
        with translate_network_errors(self._action):
            for chunk in self._response.stream(amt=None, decode_content=False):
                # A last line without a newline belongs to a watch that was cut: the next watch repeats its event.
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(self._parse_event, filter(None, lines))

    def wait_for_event(self) -> bool:
        """Whether an event, of any type, comes before the API server ends the watch."""
        with translate_network_errors(self._action):
            return bool(self._response.readline())

    def stop(self) -> None:
        """End the watch from another thread: closing its file would not wake the thread that reads."""
        with suppress(HTTPError, OSError, RuntimeError, ValueError):  # it has ended already
            self._response.shutdown()

    def _parse_event(self, line: bytes) -> WatchEvent:
        with translate_object_errors(self._action):
            event = _load_object(line)
            kind, obj = read_string(event, "type"), read_mapping(event, "object")
        if kind == "ERROR":
            code = obj.get("code")
            raise build_api_error(self._action, code if isinstance(code, int) else None, str(obj.get("message")))
        return WatchEvent(kind, obj)


def _load_object(line: bytes) -> Object:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise ObjectError(f"an event is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ObjectError("an event is not a JSON object")
    return document
