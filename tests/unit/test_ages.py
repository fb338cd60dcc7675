"""Ages of the server, the sidecar and the injector are measured by a clock that goes on while a node is suspended.

CLOCK_MONOTONIC, by which waits end, stops meanwhile.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.unit.waits import read_modules, walk

WAITS = {
    "sidecar/http_client/stream.py: Deadline.__init__",
    "sidecar/reachability/connections.py: try_all",
    "injector/certs/client_ca.py: ClientCa.__init__",
    "injector/certs/tls.py: FileTls.__init__",
    "injector/certs/watched_files.py: WatchedFiles.__init__",
    "injector/k8s/live_reads.py: SharedReads.__init__",
    "injector/k8s/paging.py: ListProgress.__init__",
}
"""Their clock ends a wait, or orders what happens within one."""


def find_monotonic_defaults(path: str, module: ast.Module) -> Iterator[str]:
    """The functions whose clock, unless they are given another one, is CLOCK_MONOTONIC."""
    for scope, node in walk(module):
        if isinstance(node, ast.FunctionDef):
            defaults = [*node.args.defaults, *node.args.kw_defaults]
            if any(default and ast.unparse(default) == "time.monotonic" for default in defaults):
                yield f"{path}: {'.'.join(filter(None, (scope, node.name)))}"


def test_ages_are_measured_by_the_boot_time_clock() -> None:
    modules = [
        (path, module) for path, module in read_modules() if path.startswith(("server/", "sidecar/", "injector/"))
    ]

    assert {found for path, module in modules for found in find_monotonic_defaults(path, module)} == WAITS


@pytest.mark.parametrize("clock", ["clock=time.monotonic", "*, clock=time.monotonic"])
def test_clock_that_stops_is_found(clock: str) -> None:
    module = ast.parse(f"class Cache:\n    def __init__(self, {clock}): pass")

    assert list(find_monotonic_defaults("a.py", module)) == ["a.py: Cache.__init__"]
