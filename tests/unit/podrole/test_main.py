"""The command `podrole` itself: help, errors, exit codes, imports."""

import errno
import re
import subprocess
import sys
import tomllib

import click
import pytest

import contract
from injector.errors import ClusterError, ConfigError
from podrole.__main__ import COMMANDS
from podrole.exit_codes import EXIT_CODES, EXIT_UNEXPECTED
from testing.hostile_text import STORED, find_unprintable
from testing.repository import ROOT
from tests.unit.podrole.conftest import Run

SLOW_IMPORTS = {"cryptography", "flask", "kubernetes", "yaml"}


def add_failing_command(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Add the command `fail`, which raises this error."""

    def fail() -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "fail", (f"{__name__}:failing", "Fails."))
    monkeypatch.setattr(sys.modules[__name__], "failing", click.command()(fail), raising=False)


def test_unknown_command_is_reported_by_name(run: Run) -> None:
    result = run("injcet")

    assert result.code == 2
    assert result.stdout == ""
    assert "injcet" in result.stderr


def test_missing_command_shows_the_help(run: Run) -> None:
    result = run()

    assert result.code == 2
    assert "trust-policy" in result.stderr


@pytest.mark.parametrize("command", [*COMMANDS])
def test_misspelt_variable_of_the_users_environment_is_refused_by_every_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PODROLE_REGON", "eu-west-1")

    result = run(command, "pod")

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: invalid environment:\n  PODROLE_REGON is not a setting; did you mean PODROLE_REGION?\n"
    )


@pytest.mark.parametrize("command", [*COMMANDS])
def test_help_is_printed_with_a_misspelt_variable(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("PODROLE_REGON", "eu-west-1")

    assert [run(*words).code for words in (["--help"], ["--version"], [command, "--help"], [command, "-h"])] == [0] * 4


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("PODROLE_DEBUG", "1", id="of-the-command"),
        pytest.param("PODROLE_POD_UID", "0f5c", id="of-an-injected-pod"),
        pytest.param("PODROLE_INJECTOR_SERVICE_HOST", "10.96.0.10", id="of-a-service"),
        pytest.param("_PODROLE_COMPLETE", "bash_source", id="of-the-completion"),
    ],
)
def test_other_variable_of_the_users_environment_is_accepted(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    add_failing_command(monkeypatch, ConfigError("it ran"))

    assert run("fail").stderr == "Error: it ran\n"


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("broken"), 2), (ClusterError("away"), 3)], ids=["config", "cluster"]
)
def test_error_is_a_message_and_an_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    add_failing_command(monkeypatch, error)

    result = run("fail")

    assert (result.code, result.stdout, result.stderr) == (code, "", f"Error: {error}\n")


@pytest.mark.parametrize("is_debugged", [False, True], ids=["without-debug", "with-debug"])
def test_unexpected_error_is_one_printable_line_and_an_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, *, is_debugged: bool
) -> None:
    add_failing_command(monkeypatch, KeyError(STORED * 100))
    monkeypatch.setenv("PODROLE_DEBUG", "1" if is_debugged else "")

    result = run("fail")

    *traceback, line = result.stderr.splitlines()
    assert (result.code, result.stdout) == (EXIT_UNEXPECTED, "")
    assert line.startswith("Error: unexpected error: KeyError: ")
    assert line.endswith("... PODROLE_DEBUG=1 shows where it occurred")
    assert find_unprintable(result.stderr) == ""
    assert len(line) < 700
    assert any(one.endswith(", in fail") for one in traceback) == bool(traceback) == is_debugged


@pytest.mark.parametrize(
    ("error", "code"),
    [(BrokenPipeError(errno.EPIPE, "Broken pipe"), 1), (OSError(errno.ENOSPC, "No space left on device"), 4)],
    ids=["closed-pipe", "full-disk"],
)
def test_error_of_the_output_ends_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, code: int
) -> None:
    add_failing_command(monkeypatch, error)

    result = run("fail")

    assert result.code == code
    assert ("unexpected error: OSError: [Errno 28] No space left on device" in result.stderr) == (code == 4)


def test_interrupted_command_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_help_of_every_command_has_an_example(run: Run, name: str) -> None:
    result = run(name, "-h")

    assert result.code == 0, result.stderr
    assert f"podrole {name} " in result.stdout


def test_documentation_has_the_exit_codes_and_every_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()

    assert [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()] == re.findall(
        r"^\| \d+ \| .* \|$", text, re.MULTILINE
    )
    assert all(f"\n## {name}\n" in text for name in COMMANDS)


def test_documentation_has_the_policy_that_is_printed(run: Run) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    subject = ("-n", "team-a", "-s", "web", "--issuer", "https://oidc.example.com/cluster")

    printed = run("trust-policy", "arn:aws:iam::111122223333:role/reader", *subject).stdout

    assert f"```json\n{printed}```" in text


def list_slow_imports(program: str) -> list[str]:
    """List the packages of SLOW_IMPORTS that a program imports."""
    argv = [
        sys.executable,
        "-c",
        f"import sys; {program}; print(*SLOW_IMPORTS & {{*sys.modules}})".replace("SLOW_IMPORTS", repr(SLOW_IMPORTS)),
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()[-1].split()


def test_help_imports_no_slow_package() -> None:
    assert list_slow_imports("from podrole.__main__ import main; main(['--help'], standalone_mode=False)") == []


def test_inject_does_not_import_the_kubernetes_client() -> None:
    assert list_slow_imports("import podrole.inject, podrole.uninject") == ["yaml"]


def test_command_is_installed_as_a_kubectl_plugin_too() -> None:
    """https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/"""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts["kubectl-podrole"] == scripts["podrole"]
