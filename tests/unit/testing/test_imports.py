"""What is shared lives in `testing/`: nothing but tests imports tests."""

import ast

import pytest

from testing.repository import ROOT

FOLDERS = ("bench", "contract", "demo", "images", "injector", "podrole", "server", "sidecar", "testing")


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_tests_import_tests(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))

    imports = [
        (str(path.relative_to(ROOT)), node.module)
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "tests"
    ]

    assert modules
    assert imports == []
