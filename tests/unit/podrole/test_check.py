"""`podrole check` without a cluster; tests/integration/api_server has the rest."""

import io
from contextlib import redirect_stderr
from pathlib import Path
from threading import Event

import click
import pytest

from podrole.check import Target, TargetError, parse_target
from podrole.findings import Finding, Level, Section, choose_exit_code
from podrole.progress import progress_message
from tests.unit.podrole.conftest import Run

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


@pytest.mark.parametrize("target", ["web", "", "/", "team-a/", "/web", "team-a/gadget/web", "a/b/c/d"])
def test_target_that_names_no_pod_is_refused_with_the_forms_that_do(run: Run, target: str) -> None:
    result = run("check", target)

    assert result.code == 2
    assert f"{target!r} names no pod: write NAMESPACE/POD, or -n NAMESPACE and KIND/NAME (daemonset," in result.stderr


@pytest.mark.parametrize(
    ("target", "namespace", "parsed"),
    [
        ("team-a/web", None, Target("team-a", "pod", "web")),
        ("web", "team-a", Target("team-a", "pod", "web")),
        ("pod/web", "team-a", Target("team-a", "pod", "web")),
        ("Deployment/web", "team-a", Target("team-a", "deployment", "web")),
        ("team-a/job/once", None, Target("team-a", "job", "once")),
        ("deployment/web", None, Target("deployment", "pod", "web")),
    ],
)
def test_target_is_a_pod_or_what_has_pods(target: str, namespace: str | None, parsed: Target) -> None:
    assert parse_target(target, namespace) == parsed


def test_kind_without_pods_is_refused() -> None:
    with pytest.raises(TargetError, match="service/web"):
        parse_target("service/web", "team-a")


@pytest.mark.parametrize("command", [("check", "team-a/web"), ("preflight",)])
def test_without_a_kubeconfig_the_cluster_counts_as_out_of_reach(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command)

    assert result.code == 3
    assert "kubeconfig" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", [("check", "team-a/web"), ("preflight",)])
def test_cluster_that_does_not_answer_is_told_once(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)

    result = run(*command, "--kubeconfig", str(kubeconfig))

    assert result.code == 3
    assert result.stderr.count("Error: ") == 1
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("command", ["check", "preflight"])
def test_help_has_examples_that_keep_their_lines(run: Run, command: str) -> None:
    result = run(command, "--help")

    assert result.code == 0
    assert any(line.strip().startswith(f"podrole {command}") for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("levels", "least", "code"),
    [
        ([], Level.PROBLEM, 0),
        (["ok", "note"], Level.WARNING, 0),
        (["ok", "warning"], Level.PROBLEM, 0),
        (["ok", "warning"], Level.WARNING, 1),
        (["problem", "unknown"], Level.PROBLEM, 1),
        (["problem"], Level.WARNING, 1),
        (["ok", "unknown"], Level.PROBLEM, 3),
        (["warning", "unknown"], Level.PROBLEM, 3),
    ],
)
def test_exit_code_is_that_of_what_weighs_most(levels: list[str], least: Level, code: int) -> None:
    findings = tuple(Finding(Level(level), "Code", "Text.", "") for level in levels)

    assert choose_exit_code([Section("Title", findings)], least) == code


class Terminal(io.StringIO):
    """Lets a test wait until something was written: another thread writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_written = Event()

    def write(self, text: str) -> int:
        length = super().write(text)
        self.is_written.set()
        return length


def test_person_who_waits_is_told_what_for() -> None:
    terminal = Terminal()

    with redirect_stderr(terminal), progress_message("reading nodes", delay_seconds=0.01):
        terminal.is_written.wait(30)

    assert terminal.getvalue() == "podrole: reading nodes ...\n"


def test_what_is_quick_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_message("reading nodes", delay_seconds=60):
        click.echo("done")

    assert capsys.readouterr() == ("done\n", "")
