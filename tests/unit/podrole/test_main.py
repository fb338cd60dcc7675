"""The command before any of its commands."""

import re
import subprocess
import sys

import click
import pytest

import contract
from injector.errors import ClusterError, ConfigError
from podrole.__main__ import COMMANDS
from podrole.exit_codes import EXIT_CODES
from testing.repository import ROOT
from tests.unit.podrole.conftest import Run

COSTLY = {"cryptography", "flask", "kubernetes", "yaml"}


def test_unknown_command_is_named_with_usage(run: Run) -> None:
    result = run("injcet")

    assert result.code == 2
    assert result.stdout == ""
    assert "injcet" in result.stderr


def test_no_command_shows_the_help(run: Run) -> None:
    result = run()

    assert result.code == 2
    assert "trust-policy" in result.stderr


@pytest.mark.parametrize(("error", "code"), [(ConfigError("broken"), 2), (ClusterError("away"), 3)])
def test_an_error_is_a_sentence_and_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "fail", (f"{__name__}:failing", "Fails."))
    monkeypatch.setattr(sys.modules[__name__], "failing", click.command()(fail), raising=False)

    result = run("fail")

    assert (result.code, result.stdout, result.stderr) == (code, "", f"Error: {error}\n")


def test_an_interrupted_command_has_the_code_of_an_interruption(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "wait", (f"{__name__}:waiting", "Waits."))
    monkeypatch.setattr(sys.modules[__name__], "waiting", click.command()(interrupt), raising=False)

    result = run("wait")

    assert (result.code, result.stderr) == (130, "interrupted\n")


def test_help_lists_commands_and_exit_codes(run: Run) -> None:
    result = run("--help")

    assert result.code == 0
    assert all(f"  {name}  " in result.stdout for name in COMMANDS)
    assert all(f"  {code}  " in result.stdout for code in EXIT_CODES)


def test_version_is_that_of_the_contract(run: Run) -> None:
    assert run("--version").stdout == f"podrole, version {contract.VERSION}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_helps_with_an_example(run: Run, name: str) -> None:
    result = run(name, "-h")

    assert result.code == 0, result.stderr
    assert f"podrole {name} " in result.stdout


def test_the_documentation_has_the_same_exit_codes_and_every_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()

    assert [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()] == re.findall(
        r"^\| \d+ \| .* \|$", text, re.MULTILINE
    )
    assert all(f"\n## {name}\n" in text for name in COMMANDS)


def test_the_policy_in_the_documentation_is_the_one_that_is_printed(run: Run) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    subject = ("-n", "team-a", "-s", "web", "--issuer", "https://oidc.example.com/cluster")

    printed = run("trust-policy", "arn:aws:iam::111122223333:role/reader", *subject).stdout

    assert f"```json\n{printed}```" in text


def modules_after(program: str) -> list[str]:
    """Which of the packages that cost time are loaded by a program."""
    argv = [
        sys.executable,
        "-c",
        f"import sys; {program}; print(*COSTLY & {{*sys.modules}})".replace("COSTLY", repr(COSTLY)),
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()[-1].split()


def test_help_imports_nothing_that_only_a_command_needs() -> None:
    assert modules_after("from podrole.__main__ import main; main(['--help'], standalone_mode=False)") == []


def test_manifests_are_injected_without_the_kubernetes_client() -> None:
    assert modules_after("import podrole.inject, podrole.uninject") == ["yaml"]
