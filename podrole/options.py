"""Options that several commands share: the cluster, manifests, and the webhook's settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from contract.settings import Setting, find_problem, list_settings
from contract.text import quote
from injector.config import Config
from injector.errors import ConfigError
from injector.k8s.workload_kinds import Kinds, add_paths
from injector.partitions import build_role_arn_prefix
from injector.value_types import DNS_LABEL, PATH
from podrole.diagnosis.state.installed_config import DeployedEnv, EffectiveConfig, build_effective_config
from podrole.iam.admission import Account

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = [one for one in list_settings(Config).values() if one.is_for_pods]
"""The webhook's settings that can change a pod. Each is an option."""

ACCOUNT_VARIABLES = tuple(
    f"PODROLE_{name}" for name in ("ACCOUNT_ID", "AUDIENCE", "BASE_ROLE_ARN", "REGION", "STS_ENDPOINT")
)

HOW_TO_FIND_SETTINGS = """\
Use the settings of your cluster's injector: as options, as environment variables, or with --cluster, which reads them
from its Deployment. To print them:
  kubectl -n podrole-system set env deployment/podrole-injector --list
To try it without a cluster:
  --sidecar-image podrole-sidecar:0.1.0 --region eu-west-1 --account-id 111122223333"""


class NamespaceName(click.ParamType[str]):
    """The name of a namespace. Any other text would be part of a path of the API server."""

    name = "namespace"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name. Raises click.BadParameter."""
        if not DNS_LABEL.accepts(value):
            self.fail(f"'{quote(value, 63)}' is not a valid name of a namespace: use a-z, 0-9 and -", param, ctx)
        return value


NAMESPACE = NamespaceName()

default_namespace_option = click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    type=NAMESPACE,
    default="default",
    show_default=True,
    help="The namespace of objects without one.",
)


def namespaces_option(text: str) -> Callable[[F], F]:
    """`-n` of commands for several namespaces."""
    return click.option("-n", "--namespace", "namespaces", metavar="NAME", type=NAMESPACE, multiple=True, help=text)


def settings_options(command: F) -> F:
    """The webhook's settings as options and variables, for load_effective_config."""
    for one in reversed(SETTINGS):
        command = _build_option(one, help=_describe(one))(command)
    return command


def optional_settings_options(command: F) -> F:
    """The same, for commands that find the required ones in the installation."""
    for one in reversed(SETTINGS):
        text = f"{one.meaning}.  [default: the installed webhook's]" if one.is_required else _describe(one)
        command = _build_option(one, help=text)(command)
    return command


def _build_option(one: Setting, **arguments: Any) -> Callable[[F], F]:
    return click.option(
        _name_option(one.variable),
        one.variable,
        envvar=one.variable,
        show_envvar=True,
        metavar=one.type.metavar,
        **arguments,
    )


def _describe(one: Setting) -> str:
    return f"{one.meaning}.  [{'required' if one.is_required else f'default: {one.default or one.unset}'}]"


def load_effective_config(options: Mapping[str, Any], deployed: DeployedEnv | None = None) -> EffectiveConfig:
    """Load configuration and template; options take precedence over the Deployment. ConfigError names options."""
    given = {one.variable: str(options[one.variable]) for one in SETTINGS if options.get(one.variable)}
    paths = {one.variable for one in SETTINGS if one.type is PATH}
    environ = {name: str(Path(value).absolute()) if name in paths else value for name, value in given.items()}
    try:
        return build_effective_config(deployed, environ)
    except ConfigError as error:
        problems = str(error)
        for one in SETTINGS:
            problems = problems.replace(f"{one.variable} ", f"{_name_option(one.variable)} ({one.variable}) ")
        problems = problems.replace("invalid environment", "missing or invalid settings")
        raise ConfigError(f"{problems}\n\n{HOW_TO_FIND_SETTINGS}") from error


def _name_option(variable: str) -> str:
    return "--" + variable.removeprefix("PODROLE_").lower().replace("_", "-")


def build_output_option(*formats: str, text: str) -> Callable[[F], F]:
    """`-o`; the first format is the default."""
    return click.option("-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help=text)


output_option = build_output_option(
    "yaml", "json", text="yaml: the manifests, each in its own format. json: a report on each pod template."
)
"""Of commands that print manifests."""

report_output_option = build_output_option("text", "json", text="text, or json for programs.")
"""Of commands that report findings."""


def check_setting(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Validate an option like its variable."""
    one = next(one for one in SETTINGS if one.variable == param.name)
    if value and (problem := find_problem(one, value, context.params.get("PODROLE_STS_ENDPOINT"))):
        raise click.BadParameter(problem)
    return value or None


def account_options(command: F) -> F:
    """The default account of roles and the audience of tokens, for load_account."""
    for one in SETTINGS:
        if one.variable in ACCOUNT_VARIABLES:
            text = f"{one.meaning}.  [default: any]" if one.is_required else _describe(one)
            is_read_first = one.variable == "PODROLE_STS_ENDPOINT"  # what the others must be depends on it
            command = _build_option(one, callback=check_setting, help=text, is_eager=is_read_first)(command)
    return command


def load_account(options: Mapping[str, Any]) -> Account:
    """Build the account of roles that are given by name."""
    region, account, base = (options[f"PODROLE_{name}"] for name in ("REGION", "ACCOUNT_ID", "BASE_ROLE_ARN"))
    if account and base:
        raise click.UsageError("--account-id and --base-role-arn are both set: set only one")
    if account:
        base = build_role_arn_prefix(region or "", account)
    return Account(base, region, audience=options["PODROLE_AUDIENCE"], sts_endpoint=options["PODROLE_STS_ENDPOINT"])


def optional_manifest_options(command: F) -> F:
    """`-f` and `--recursive`, to read manifests instead of the live cluster."""
    return _build_manifest_options(command, is_required=False, text="Read these manifests instead of the live cluster.")


def manifest_options(command: F) -> F:
    """`-f` and `--recursive`, as kubectl has them."""
    return _build_manifest_options(
        command, is_required=True, text="A file, a directory, or - for stdin; can be repeated."
    )


def _build_manifest_options(command: F, *, is_required: bool, text: str) -> F:
    command = click.option("-R", "--recursive", is_flag=True, help="Read directories recursively.")(command)
    return click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        required=is_required,
        metavar="FILE",
        help=text,
        type=click.Path(exists=True, allow_dash=True),
    )(command)


def template_path_option(command: F) -> F:
    """`--pod-template-path`, for load_kinds."""
    return click.option(
        "--pod-template-path",
        "pod_template_paths",
        multiple=True,
        metavar="KIND.GROUP=PATH",
        help="Where a custom kind has its pod template, such as Rollout.argoproj.io=spec.template; can be repeated.",
    )(command)


def load_kinds(options: Mapping[str, Any]) -> Kinds:
    """The kinds that have pod templates, with those of the option. Raises ConfigError."""
    return add_paths(options["pod_template_paths"])


def cluster_options(command: F) -> F:
    """`--kubeconfig` and `--context`, as kubectl has them; for `injector.k8s.kubeconfig.load_kubeconfig`."""
    for option in (
        click.option("--context", metavar="NAME", help="The context of the kubeconfig to use."),
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False),
            help="The kubeconfig.  [default: KUBECONFIG, then ~/.kube/config]",
        ),
    ):
        command = option(command)
    return command
