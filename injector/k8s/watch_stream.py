"""An open watch, as an HTTP response."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from urllib3.exceptions import HTTPError

from injector.k8s.api_errors import translate_network_errors, translate_object_errors
from injector.k8s.metadata_stream import WatchEvent, read_events
from injector.k8s.protobuf import ByteSource

CHUNK_BYTES = 64 * 1024
"""What is read at once of an answer that is not read whole."""


class WatchStream:
    """The package's own Watch decodes JSON into models, and it cannot be stopped while it waits."""

    def __init__(self, response: Any, action: str) -> None:
        self._response = response
        self._action = action

    def read_events(self, kind: str) -> Iterator[WatchEvent]:
        """The events of a watch of metadata in protobuf, until the API server ends it.

        Raises the error that an ERROR event stands for; InvalidResponseError for what is not an event.
        """
        source = ByteSource(self._response.stream(CHUNK_BYTES, decode_content=False))
        with translate_network_errors(self._action), translate_object_errors(self._action):
            yield from read_events(kind, source, self._action)

    def wait_for_event(self) -> bool:
        """Whether an event, of any type, comes before the API server ends the watch."""
        with translate_network_errors(self._action):
            return bool(self._response.read(1, decode_content=False))  # an event has no limit to its length

    def stop(self) -> None:
        """End the watch from another thread: closing its file would not wake the thread that reads."""
        with suppress(HTTPError, OSError, RuntimeError, ValueError):  # it has ended already
            self._response.shutdown()
