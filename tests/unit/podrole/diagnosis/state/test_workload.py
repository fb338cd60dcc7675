"""What is read about one workload."""

from typing import Any

import pytest

from podrole.diagnosis.state.workload import find_creation_event, read_time
from tests.unit.podrole.diagnosis.states import LATER
from tests.unit.podrole.diagnosis.workload_objects import build_event


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"lastTimestamp": LATER}, id="last"),
        pytest.param({"lastTimestamp": None, "series": {"lastObservedTime": LATER}}, id="series"),
        pytest.param({"lastTimestamp": None, "eventTime": LATER}, id="event"),
        pytest.param({"eventTime": None, "metadata": {"creationTimestamp": LATER}}, id="creation"),
    ],
)
def test_time_of_an_event_is_the_latest_that_it_has(times: dict[str, Any]) -> None:
    assert read_time(times) == LATER


def test_event_without_a_time_is_not_the_newest() -> None:
    event = build_event("dated")

    assert find_creation_event(({**build_event("undated"), "lastTimestamp": None}, event)) == event
