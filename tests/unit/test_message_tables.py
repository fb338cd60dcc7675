"""Every message of a table of reasons or findings is used, and shows values that others wrote as printable text."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from string import Formatter

import pytest

from injector.messages import MAX_VALUE_LENGTH, MessageTable
from testing.hostile_text import HOSTILE, find_unprintable
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


def list_tables(base: type[MessageTable] = MessageTable) -> Iterator[type[MessageTable]]:
    for table in base.__subclasses__():
        if len(table):
            yield table
        yield from list_tables(table)


def import_tables() -> list[MessageTable]:
    for folder in ("injector", "podrole"):
        for file in (ROOT / folder).rglob("*.py"):
            if "(MessageTable)" in (text := file.read_text()) or "(FindingTemplate)" in text:
                import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    return [member for table in list_tables() for member in table]


@pytest.mark.parametrize("message", import_tables(), ids=str)
def test_message_with_hostile_values_is_one_line_of_printable_ascii_within_its_limit(message: MessageTable) -> None:
    names = [name for text in (message.sentence, message.remedy) for _, name, _, _ in Formatter().parse(text) if name]

    filled = message.fill(dict.fromkeys(names, HOSTILE * 1000))

    for text, template in zip(filled, (message.sentence, message.remedy), strict=True):
        fields = [name for _, name, _, _ in Formatter().parse(template) if name]
        assert len(text) <= len(template) + len(fields) * (MAX_VALUE_LENGTH + len("..."))
        assert text.count("\n") == template.count("\n")
        assert text.isascii()
        assert not find_unprintable(text)
