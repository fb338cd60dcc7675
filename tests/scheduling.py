"""With pytest-xdist, decides which tests run in the same process."""

from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "tests/integration/api_server/": "cluster",
    "tests/integration/kustomize/": "cluster",
    "tests/integration/images/": "images",
    "tests/integration/sdk/": "sdk",
    "tests/integration/estate/": "estate",
}
"""Tests that share what takes long to start: folder -> name of the group."""


def find_group(test_id: str) -> str:
    """The group of a test, or its file."""
    file = test_id.partition("::")[0]
    return next((group for folder, group in GROUPS.items() if file.startswith(folder)), file)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Runs all tests of a group in one process."""

    def _split_scope(self, nodeid: str) -> str:
        return find_group(nodeid)
