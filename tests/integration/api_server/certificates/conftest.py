"""Real processes keep one Secret and one webhook configuration of a real API server, which calls them over TLS.

They log in with the rights that an installation gives the injector, and with no other.
"""

import pytest


@pytest.fixture(scope="session", autouse=True)
def injector() -> None:
    """None: these processes take the place of the one that the other tests of this cluster ask."""
