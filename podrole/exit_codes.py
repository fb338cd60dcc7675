"""The exit codes of every command, and the errors that end a command with one of them."""

import click

from contract.text import escape, quote
from injector.errors import ApiError, ClusterError, UnreachableError

EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_UNEXPECTED = 4
EXIT_INTERRUPTED = 130

MAX_ERROR = 500
"""Characters that the message of an unexpected error shows of it."""

EXIT_CODES = {
    0: "completed without problems",
    EXIT_FINDINGS: "completed with findings: a pod was denied, or a policy, a pod or a cluster has a problem",
    EXIT_USAGE: "invalid usage, configuration or input; nothing was done",
    EXIT_UNREACHABLE: "the cluster is unreachable, or something could not be read",
    EXIT_UNEXPECTED: "an error that podrole did not expect, such as a full disk or a bug; the result is not complete",
    EXIT_INTERRUPTED: "interrupted (Ctrl-C)",
}
"""The same table is in docs/cli.md."""

API_HINTS = {
    401: "The credentials for the cluster are not valid or have expired: log in again.",
    403: "docs/cli.md lists the permissions of each command. With -n NAMESPACE fewer suffice.",
}
"""By HTTP status."""

UNREACHABLE_HINT = "Whether kubectl reaches the same cluster: kubectl version"


class CommandError(click.ClickException):
    """The base class. The message can contain what others wrote, and click prints it."""

    def __init__(self, message: str) -> None:
        super().__init__(escape(message))


class InvalidInputError(CommandError):
    """Usage, configuration or input is not valid."""

    exit_code = EXIT_USAGE


class ClusterUnreachableError(CommandError):
    """The cluster is unreachable, or rejected a request."""

    exit_code = EXIT_UNREACHABLE

    def __init__(self, error: ClusterError) -> None:
        super().__init__(str(error))
        self.hint = find_hint(error)

    def format_message(self) -> str:
        """The message, and what to do on a line of its own."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def find_hint(error: ClusterError) -> str:
    """What to do about an error; empty where its message says it."""
    if isinstance(error, ApiError):
        return API_HINTS.get(error.status or 0, "")
    return UNREACHABLE_HINT if isinstance(error, UnreachableError) else ""


class UnexpectedError(CommandError):
    """Anything else, on one line."""

    exit_code = EXIT_UNEXPECTED

    def __init__(self, error: Exception) -> None:
        shown = quote(f"{type(error).__name__}: {error}", MAX_ERROR)
        super().__init__(f"unexpected error: {shown}. PODROLE_DEBUG=1 shows where it occurred")
