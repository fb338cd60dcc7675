"""The exit codes of every command, and the errors that end a command with one."""

import click

FOUND = 1
WRONG = 2
UNREACHABLE = 3
INTERRUPTED = 130

EXIT_CODES = {
    0: "done, and all is well",
    FOUND: "done, and something is not well: a pod is denied, a policy, a pod or a cluster has a problem",
    WRONG: "wrong usage, configuration or input: nothing was done",
    UNREACHABLE: "the cluster cannot be reached, or does not allow a read",
    INTERRUPTED: "interrupted (Ctrl-C)",
}
"""The codes of every command. docs/cli.md has the same table."""


class WrongError(click.ClickException):
    """What was given cannot be worked with."""

    exit_code = WRONG


class UnreachableError(click.ClickException):
    """The cluster did not answer."""

    exit_code = UNREACHABLE
