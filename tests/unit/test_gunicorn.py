"""Of gunicorn, its documented interface is used, and two methods of its arbiter."""

import ast
import inspect
from collections.abc import Iterator

from gunicorn.arbiter import Arbiter

from injector.arbiter import LoggingArbiter
from testing.repository import ROOT

FOLDERS = ("contract", "injector", "podrole", "server", "sidecar")
DOCUMENTED = {
    "gunicorn.app.base": "https://docs.gunicorn.org/en/stable/custom.html",
    "gunicorn.workers.base": "https://docs.gunicorn.org/en/stable/settings.html#worker-class",
}

ARBITER = "gunicorn.arbiter"
"""Not documented. No hook is called each second, and none where no worker can be started."""


def list_imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_only_documented_modules_and_the_arbiter_of_gunicorn_are_imported() -> None:
    sources = [file.read_text() for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    imported = {name for source in sources for name in list_imports(source) if name.partition(".")[0] == "gunicorn"}

    assert imported == DOCUMENTED.keys() | {ARBITER}


def test_only_two_methods_of_the_arbiter_are_overridden_and_gunicorn_has_them() -> None:
    overridden = {name for name in vars(LoggingArbiter) if inspect.isfunction(getattr(LoggingArbiter, name))}

    assert overridden == {"spawn_worker", "manage_workers"}
    for name in overridden:
        assert list(inspect.signature(getattr(Arbiter, name)).parameters) == ["self"]
