"""What the tests of the cache share."""

import pytest

from tests.unit.injector.k8s.watched_cluster import Callbacks


@pytest.fixture
def callbacks() -> Callbacks:
    return Callbacks()
