"""The flags of a container, whatever form its command line has."""

from typing import Any

import pytest

from podrole.diagnosis.agents.arguments import MAX_VALUE_LENGTH, MAX_WORDS, CommandLine, KnownFlags, read_command_line

KNOWN = KnownFlags({"base-role-arn", "session", "host-ip"}, {"iptables", "debug"})
ENVIRON = {"BASE": "arn:x", "EMPTY": ""}


def read(**container: Any) -> CommandLine:
    return read_command_line(container, ENVIRON, KNOWN)


@pytest.mark.parametrize(
    ("container", "flags"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"args": None, "command": None}, {}, id="null"),
        pytest.param({"args": ["--session=a"]}, {"session": "a"}, id="equals"),
        pytest.param({"args": ["--session", "a"]}, {"session": "a"}, id="next-word"),
        pytest.param({"args": ["--session", "--x"]}, {"session": "--x"}, id="next-word-with-dashes"),
        pytest.param({"args": ["--session="]}, {"session": ""}, id="empty"),
        pytest.param({"args": ["--session"]}, {"session": ""}, id="without-its-value"),
        pytest.param({"args": ["--session=a=b"]}, {"session": "a=b"}, id="equals-in-the-value"),
        pytest.param({"args": ["--session=a", "--session=b"]}, {"session": "b"}, id="given-twice"),
        pytest.param({"command": ["/kiam", "server", "--session=a"]}, {"session": "a"}, id="command"),
        pytest.param(
            {"command": ["kube2iam", "--session=a"], "args": ["--iptables"]},
            {"session": "a", "iptables": "true"},
            id="command-and-arguments",
        ),
        pytest.param({"args": ["--iptables", "--session=a"]}, {"iptables": "true", "session": "a"}, id="switch"),
        pytest.param({"args": ["--iptables", "server"]}, {"iptables": "true"}, id="switch-takes-no-word"),
        pytest.param({"args": ["--iptables=true"]}, {"iptables": "true"}, id="switch-true"),
        pytest.param({"args": ["--iptables=1"]}, {"iptables": "true"}, id="switch-1"),
        pytest.param({"args": ["--iptables=false"]}, {"iptables": "false"}, id="switch-false"),
        pytest.param({"args": ["--no-iptables"]}, {"iptables": "false"}, id="switch-off"),
        pytest.param({"args": ["--json-log", "--session=a"]}, {"session": "a"}, id="unknown-flag"),
        pytest.param({"args": ["--json-log", "x", "--session=a"]}, {"session": "a"}, id="unknown-flag-with-a-value"),
        pytest.param({"args": ["-session=a", "session=a", ""]}, {}, id="no-flags"),
        pytest.param({"args": ["--", "--session=a"]}, {}, id="after-the-end-of-flags"),
        pytest.param({"args": ["--base-role-arn=$(BASE)"]}, {"base-role-arn": "arn:x"}, id="variable"),
        pytest.param({"args": ["--base-role-arn", "$(BASE)/y"]}, {"base-role-arn": "arn:x/y"}, id="part-of-a-word"),
        pytest.param({"args": ["--session=$(EMPTY)"]}, {"session": ""}, id="empty-variable"),
        pytest.param({"args": ["--session=$$(BASE)"]}, {"session": "$(BASE)"}, id="escaped-variable"),
        pytest.param(
            {"command": ["/bin/sh", "-c", "exec kube2iam --session='a b' --iptables # x"]},
            {"session": "a b", "iptables": "true"},
            id="shell",
        ),
        pytest.param({"command": ["sh", "-c", "x --session=a 'b"]}, {"session": "a"}, id="shell-with-an-open-quote"),
    ],
)
def test_flags_are_read(container: dict[str, Any], flags: dict[str, str]) -> None:
    assert read(**container) == CommandLine(flags)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--host-ip=$(HOST_IP)"], id="equals"),
        pytest.param(["--host-ip", "$(HOST_IP)"], id="next-word"),
        pytest.param(["--host-ip=1", "--host-ip=$(BASE)$(HOST_IP)"], id="the-last-value-counts"),
        pytest.param([f"--host-ip={'x' * (MAX_VALUE_LENGTH + 1)}"], id="too-long"),
    ],
)
def test_value_that_cannot_be_read_is_named(args: list[str]) -> None:
    assert read(args=args) == CommandLine({}, ("host-ip",))


def test_number_of_words_has_a_limit() -> None:
    args = ["--debug"] * MAX_WORDS + ["--session=a"]

    assert read(args=args).flags == {"debug": "true"}
    assert read(command=["sh", "-c", " ".join(args)]).flags == {"debug": "true"}
