"""`podrole check` without a cluster; the rest is in tests/integration/api_server."""

import io
from contextlib import redirect_stderr
from pathlib import Path
from threading import Event

import pytest

from injector.errors import ApiError
from podrole.check import parse_target
from podrole.cluster.owners import TargetError
from podrole.cluster.workloads import Target
from podrole.exit_codes import UNREACHABLE_HINT, find_hint
from podrole.progress import progress_message
from podrole.terminal import write
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
def test_invalid_target_is_rejected_with_the_valid_forms(run: Run, target: str) -> None:
    result = run("check", target)

    assert result.code == 2
    assert (
        f"{target!r} is not a valid target: use NAMESPACE/POD, or -n NAMESPACE and KIND/NAME (cronjob," in result.stderr
    )


@pytest.mark.parametrize(
    ("target", "namespace", "parsed"),
    [
        pytest.param("team-a/web", None, Target("team-a", "pod", "web"), id="namespace-and-pod"),
        pytest.param("web", "team-a", Target("team-a", "pod", "web"), id="pod-with-option"),
        pytest.param("pod/web", "team-a", Target("team-a", "pod", "web"), id="kind-pod-with-option"),
        pytest.param("Deployment/web", "team-a", Target("team-a", "deployment", "web"), id="kind-in-upper-case"),
        pytest.param("deploy/web", "team-a", Target("team-a", "deployment", "web"), id="short-name"),
        pytest.param("cronjobs/web", "team-a", Target("team-a", "cronjob", "web"), id="plural"),
        pytest.param("team-a/job/once", None, Target("team-a", "job", "once"), id="namespace-kind-and-name"),
        pytest.param("deployment/web", None, Target("deployment", "pod", "web"), id="kind-taken-for-namespace"),
    ],
)
def test_target_is_parsed_as_a_pod_or_an_owner_of_pods(target: str, namespace: str | None, parsed: Target) -> None:
    assert parse_target(target, namespace) == parsed


@pytest.mark.parametrize(
    ("target", "namespace"),
    [
        pytest.param("team-a/..", None, id="parent-directory"),
        pytest.param("team-a/web?pretty=1", None, id="query"),
        pytest.param("deployment/a%2fb", "team-a", id="escape"),
        pytest.param("Team_A/web", None, id="namespace"),
        pytest.param(f"team-a/{'a' * 64}", None, id="long"),
    ],
)
def test_target_that_is_no_name_is_rejected(target: str, namespace: str | None) -> None:
    """It would be another path of the API server."""
    with pytest.raises(TargetError, match=r"names have only a-z, 0-9, - and \.$"):
        parse_target(target, namespace)


def test_kind_that_owns_no_pods_is_rejected() -> None:
    with pytest.raises(TargetError, match="service/web"):
        parse_target("service/web", "team-a")


@pytest.mark.parametrize("command", [("check", "team-a/web"), ("preflight",)], ids=["check", "preflight"])
def test_missing_kubeconfig_is_an_unreachable_cluster(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command)

    assert result.code == 3
    assert "kubeconfig" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", [("check", "team-a/web"), ("preflight",)], ids=["check", "preflight"])
def test_unreachable_cluster_is_reported_once(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)

    result = run(*command, "--kubeconfig", str(kubeconfig))

    assert result.code == 3
    assert result.stderr.count("Error: ") == 1
    assert "Connection refused" in result.stderr
    assert "127.0.0.1:1: " in result.stderr
    assert result.stderr.splitlines()[-1] == UNREACHABLE_HINT


@pytest.mark.parametrize(
    ("targets", "is_accepted"),
    [
        pytest.param(("deployment", "web"), True, id="kind-and-name"),
        pytest.param(("deploy", "web"), True, id="short-name"),
        pytest.param(("web", "cart"), False, id="two-pods"),
        pytest.param(("deployment", "web", "cart"), False, id="two-names"),
    ],
)
def test_kind_and_name_can_be_two_words_as_for_kubectl(
    run: Run, tmp_path: Path, targets: tuple[str, ...], *, is_accepted: bool
) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)

    result = run("check", "-n", "team-a", *targets, "--kubeconfig", str(kubeconfig))

    assert ("/namespaces/team-a/deployments/web" in result.stderr) == is_accepted
    assert ("Error: name one target: NAMESPACE/POD, or -n NAMESPACE and KIND/NAME" in result.stderr) != is_accepted


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "log in again"), (403, "docs/cli.md lists the permissions"), (409, "")]
)
def test_error_of_the_api_server_says_what_to_do(status: int, hint: str) -> None:
    assert hint in find_hint(ApiError("no", status, "no"))
    assert bool(hint) == bool(find_hint(ApiError("no", status, "no")))


@pytest.mark.parametrize("command", ["check", "preflight"])
def test_help_shows_each_example_on_its_own_line(run: Run, command: str) -> None:
    result = run(command, "--help")

    assert result.code == 0
    assert any(line.strip().startswith(f"podrole {command}") for line in result.stdout.splitlines())


class Terminal(io.StringIO):
    """Lets a test wait until something was written: another thread writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_written = Event()

    def write(self, text: str) -> int:
        length = super().write(text)
        self.is_written.set()
        return length


def test_slow_operation_is_reported_on_standard_error() -> None:
    terminal = Terminal()

    with redirect_stderr(terminal), progress_message("reading nodes", delay_seconds=0.01):
        terminal.is_written.wait(30)

    assert terminal.getvalue() == "podrole: reading nodes ...\n"


def test_fast_operation_is_not_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_message("reading nodes", delay_seconds=60):
        write("done")

    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="nothing"),
        pytest.param(("-A", "-n", "team-a"), id="all-and-a-namespace"),
        pytest.param(("-A", "team-a/web"), id="all-and-a-target"),
        pytest.param(("-n", "", ""), id="empty-namespace"),
        pytest.param(("-A", "--max-sidecars", "-1"), id="negative-number"),
    ],
)
def test_arguments_that_name_nothing_or_two_things_are_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("check", *arguments)

    assert result.code == 2
    assert result.stdout == ""
