"""The command `podrole`: its frame, and which module each command is in. What a command does is not known here."""

from importlib import import_module
from typing import Any, NoReturn

import click

import contract
from injector.errors import ClusterError, InjectorError
from podrole.exit_codes import EXIT_CODES, EXIT_INTERRUPTED, UnreachableError, UsageError

COMMANDS = {
    "inject": ("podrole.inject:inject", "Show what podrole makes of manifests, ready for kubectl apply."),
    "uninject": ("podrole.uninject:uninject", "Take an injection out of manifests again."),
    "check": ("podrole.check:check", "Say what became of a running pod, and why."),
    "preflight": ("podrole.preflight:preflight", "Say what in a cluster would stand in podrole's way."),
    "trust-policy": ("podrole.trust_policy:trust_policy", "Print, check or merge the trust policies of roles."),
}
"""Name: where the command is, and its line in `podrole --help`. Loaded when asked for, as each needs other packages."""


class Commands(click.Group):
    """A group that imports a command when it is asked for, and gives each error its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order in which a person needs them."""
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises on purpose becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _interrupt(ctx)
        except ClusterError as error:
            raise UnreachableError(str(error)) from error
        except InjectorError as error:
            raise UsageError(str(error)) from error


def _interrupt(ctx: click.Context) -> NoReturn:
    click.echo("interrupted", err=True)
    ctx.exit(EXIT_INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Start with the manifest of a Deployment:
  podrole inject -f deployment.yaml""",
)
@click.version_option(contract.VERSION, prog_name="podrole")
def main() -> None:
    """IAM roles for Kubernetes pods: see what podrole does to a manifest, a pod or a cluster, and what IAM must allow.

    Each command has examples in its --help.
    """


if __name__ == "__main__":
    main()
