"""Every message of a table of reasons or findings is used."""

import ast
import re
from collections.abc import Iterator

import pytest

from testing.repository import ROOT

SOURCES = [file.read_text() for folder in ("injector", "podrole") for file in (ROOT / folder).rglob("*.py")]
TABLES = {"MessageTable", "FindingTemplate"}


def list_messages(source: str) -> Iterator[str]:
    """Each message as code names it: `Reason.NO_ROLE`."""
    for table in ast.walk(ast.parse(source)):
        if isinstance(table, ast.ClassDef) and TABLES & {ast.unparse(base) for base in table.bases}:
            for message in table.body:
                if isinstance(message, ast.Assign):
                    yield f"{table.name}.{ast.unparse(message.targets[0])}"


@pytest.mark.parametrize("message", [message for source in SOURCES for message in list_messages(source)])
def test_message_is_used(message: str) -> None:
    assert any(re.search(rf"\b{re.escape(message)}\b", source) for source in SOURCES)
