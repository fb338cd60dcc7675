"""docs/troubleshooting.md: its codes and commands exist, and it has the lines that mend each tested failure."""

import re
import shlex

import click
import pytest

from podrole.__main__ import main
from testing.estate.failures import Failure, load_failures
from testing.findings import list_codes
from testing.repository import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
LINES = {line.strip() for line in PAGE.splitlines() if line.startswith("    ")}
ROWS = re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)
CODES = sorted({code for row in ROWS for code in re.findall(r"`(\w+)`", row)})
COMMANDS = sorted(
    {
        match
        for line in LINES
        for match in re.findall(r"podrole (?:check|plan|preflight|trust-policy|inject|uninject)[^|>]*", line)
    }
)


@pytest.mark.parametrize("code", CODES)
def test_code_exists(code: str) -> None:
    assert code in list_codes()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_and_its_options_exist(command: str) -> None:
    name, *arguments = shlex.split(command)[1:]
    context = click.Context(main, **main.context_settings)
    subcommand = main.get_command(context, name)

    assert subcommand is not None
    subcommand.make_parser(click.Context(subcommand, parent=context)).parse_args(arguments)  # with its -h


@pytest.mark.parametrize("failure", load_failures(), ids=lambda each: each.name)
def test_page_has_the_command_the_code_and_the_lines_of_a_tested_failure(failure: Failure) -> None:
    lines = [line for line in failure.mends.splitlines() if " " in line]  # others are actions of the tests

    assert failure.command in LINES
    assert failure.code in CODES
    assert [line for line in lines if line not in LINES] == []
