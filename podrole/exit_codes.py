"""The exit codes of every command, and the errors that end a command with one."""

import click

EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

EXIT_CODES = {
    0: "done, and all is well",
    EXIT_FINDINGS: "done, and something is not well: a pod is denied, a policy, a pod or a cluster has a problem",
    EXIT_USAGE: "wrong usage, configuration or input: nothing was done",
    EXIT_UNREACHABLE: "the cluster cannot be reached, or does not allow a read",
    EXIT_INTERRUPTED: "interrupted (Ctrl-C)",
}
"""The codes of every command. docs/cli.md has the same table."""


class UsageError(click.ClickException):
    """What was given cannot be worked with."""

    exit_code = EXIT_USAGE


class UnreachableError(click.ClickException):
    """The cluster did not answer."""

    exit_code = EXIT_UNREACHABLE
