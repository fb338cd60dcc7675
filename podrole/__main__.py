"""The command `podrole`: the table of its subcommands, and the exit codes of errors."""

import logging
import os
import sys
from contextlib import suppress
from errno import EBADF, EPIPE
from importlib import import_module
from typing import Any, NoReturn

import click

import contract
from injector.errors import ClusterError, InjectorError
from podrole.exit_codes import (
    EXIT_CODES,
    EXIT_INTERRUPTED,
    EXIT_UNEXPECTED,
    ClusterUnreachableError,
    InvalidInputError,
    UnexpectedError,
)
from podrole.terminal import TerminalHandler, write

COMMANDS = {
    "plan": ("podrole.plan:plan", "Show what podrole would change about the workloads of a cluster."),
    "inject": ("podrole.inject:inject", "Print manifests as the webhook would change them, for kubectl apply."),
    "uninject": ("podrole.uninject:uninject", "Remove an injection from manifests."),
    "check": ("podrole.check:check", "Explain pods and workloads: whether they are injected, why pods are missing."),
    "preflight": ("podrole.preflight:preflight", "Check whether a cluster is ready for podrole."),
    "trust-policy": ("podrole.trust_policy:trust_policy", "Print, check or merge the trust policies of roles."),
}
"""Name: module and function, and the line in `podrole --help`. Imported on use, because each needs other packages."""

CLICK_ERRORS = (click.ClickException, click.exceptions.Exit, click.Abort)


class Commands(click.Group):
    """A group that imports a command on use, and exits with the code of an error."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List all names, in the order in which they are usually needed."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - COMMANDS names nothing else
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End with the exit codes."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command as click does; output that cannot be written becomes a message and an exit code."""
        if sys.stdout is None:  # it was closed when the command started
            _end_unwritten(os.strerror(EBADF))
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            _end_unwritten(error.strerror)
        finally:
            _drop_unwritten()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse a misspelt variable before any command but for its help."""
        if not ctx.resilient_parsing and not {*args} & {*ctx.help_option_names}:
            from podrole.own_environment import check_own_environment  # noqa: PLC0415 - `podrole --help` needs none

            check_own_environment(os.environ)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become a message and an exit code."""
        logging.lastResort = TerminalHandler(logging.WARNING)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _interrupt(ctx)
        except CLICK_ERRORS:
            raise
        except ClusterError as error:
            raise ClusterUnreachableError(error) from error
        except InjectorError as error:
            raise InvalidInputError(str(error)) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno == EPIPE:
                raise  # click ends the command quietly: who read its output has seen enough
            _show_traceback()
            raise UnexpectedError(error) from error


def _end_unwritten(reason: str | None) -> NoReturn:
    with suppress(OSError):
        write(f"Error: the output cannot be written: {reason}", is_error=True)
    sys.exit(EXIT_UNEXPECTED)


def _drop_unwritten() -> None:
    """Drop what could not be written: at its end Python would try again, print a traceback and exit with 120."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            setattr(sys, name, None)


def _show_traceback() -> None:
    if os.environ.get("PODROLE_DEBUG"):
        import traceback  # noqa: PLC0415 - only for this

        write(traceback.format_exc(), is_error=True)


def _interrupt(ctx: click.Context) -> NoReturn:
    write("interrupted", is_error=True)
    ctx.exit(EXIT_INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  podrole inject -f deployment.yaml       # what the webhook would change
  podrole preflight                       # is the cluster ready?
  podrole plan -A                         # what would change, and what would be denied?
  podrole check -n team-a deployment/web  # does each pod have its role?""",
)
@click.version_option(contract.VERSION, prog_name="podrole")
def main() -> None:
    """Inspect IAM roles for Kubernetes pods: manifests, running pods, clusters and trust policies.

    The --help of each command has examples.
    """


if __name__ == "__main__":
    main()
