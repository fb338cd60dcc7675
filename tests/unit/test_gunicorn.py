"""Only gunicorn's documented interface is imported: its other modules change without notice."""

import ast
from collections.abc import Iterator

from testing.repository import ROOT

FOLDERS = ("contract", "injector", "podrole", "server", "sidecar")
DOCUMENTED = {
    "gunicorn.app.base": "https://docs.gunicorn.org/en/stable/custom.html",
    "gunicorn.workers.base": "https://docs.gunicorn.org/en/stable/settings.html#worker-class",
}


def list_imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_only_documented_modules_of_gunicorn_are_imported() -> None:
    sources = [file.read_text() for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    imported = {name for source in sources for name in list_imports(source) if name.partition(".")[0] == "gunicorn"}

    assert imported == DOCUMENTED.keys()
