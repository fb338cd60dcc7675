"""Real processes manage one Secret and one webhook configuration of a real API server, which calls them over TLS.

They have the same permissions as an installed injector.
"""

import pytest


@pytest.fixture(scope="session", autouse=True)
def injector() -> None:
    """Not started: these tests start their own processes."""
