"""What is read of a watch's events, whoever sends them."""

import pytest

from injector.errors import UnavailableError
from injector.k8s.metadata_stream import MAX_STATUS_CHARACTERS, read_events
from injector.k8s.protobuf import ByteSource
from testing.api_status import build_status
from testing.protobuf import encode_event

LONG = "\U0001f680" * 300_000


def test_long_message_of_an_error_event_is_cut() -> None:
    """Four bytes for each character, and several copies in the error and the log, would take 100 MiB."""
    event = encode_event("ERROR", build_status(500, "InternalError", LONG))

    with pytest.raises(UnavailableError) as caught:
        next(read_events("Namespace", ByteSource(iter([event])), "watch Namespaces"))

    assert caught.value.message == LONG[:MAX_STATUS_CHARACTERS]
