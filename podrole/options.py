"""Options that several commands share: the cluster, manifests, and the webhook's settings by their PODROLE_* names."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from injector.env_vars import OPTIONAL, REQUIRED
from injector.errors import ConfigError
from injector.partitions import partition_of
from podrole.diagnosis.installed_config import DeployedEnv, EffectiveConfig, build_effective_config
from podrole.iam.usage import Account

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {
    "PODROLE_SIDECAR_IMAGE": ("IMAGE", "The image that both injected containers run. Required."),
    "PODROLE_REGION": ("REGION", "The AWS region of the STS that is asked. Required."),
    "PODROLE_ACCOUNT_ID": ("DIGITS", "The account of roles that are given by name."),
    "PODROLE_BASE_ROLE_ARN": ("ARN", "Instead of the account: the ARN in front of such names."),
    "PODROLE_MODE": ("MODE", "auto, redirect or env.  [default: auto]"),
    "PODROLE_REDIRECT_BACKEND": ("KIND", "nftables or iptables.  [default: nftables]"),
    "PODROLE_PODS_WITHOUT_ROLE": ("WHAT", "What pods without a role get: block or ignore.  [default: block]"),
    "PODROLE_ALLOW_OVERRIDES": ("LIST", "Of inject, mode, metadata-passthrough: what pods may ask for."),
    "PODROLE_ALLOWED_ROLES_FORMAT": ("FORMAT", "How allow-lists are read: glob or regexp.  [default: glob]"),
    "PODROLE_CREDENTIAL_SOURCE": ("SOURCE", "web-identity or node (unsafe).  [default: web-identity]"),
    "PODROLE_STS_ENDPOINT": ("URL", "An STS other than the region's."),
    "PODROLE_STS_CA": ("PATH", "The authorities that STS is verified by, PEM."),
    "PODROLE_STS_PROXY": ("URL", "A proxy for STS alone."),
    "PODROLE_USE_FIPS": ("BOOLEAN", "true: the region's FIPS endpoint.  [default: false]"),
    "PODROLE_AWS_ENDPOINT_URL": ("URL", "AWS_ENDPOINT_URL of apps that set none."),
    "PODROLE_NATIVE_SIDECARS_CONFIRMED": ("BOOLEAN", "true: no kubelet is older than 1.29.  [default: false]"),
    "PODROLE_IPV6_ONLY": ("BOOLEAN", "true: pods have no IPv4 but on loopback.  [default: false]"),
    "PODROLE_TEMPLATE": ("PATH", "An edited template of the injected containers."),
}
"""Variable of the webhook: how its option is shown. docs/configuration.md says more of each."""

ACCOUNT_HELP = {
    "PODROLE_REGION": "The region of the cluster: its partition is that of the roles.  [default: any partition]",
    "PODROLE_ACCOUNT_ID": "The account of roles that are given by name.",
    "PODROLE_BASE_ROLE_ARN": "Instead of the account: the ARN in front of such names.",
}

HOW_TO_FIND_SETTINGS = """\
Give what the injector of your cluster runs with: by options, by environment variables, or with --cluster, which reads
them from its Deployment. They are also printed by
  kubectl -n podrole-system set env deployment/podrole-injector --list
For a first look without a cluster:
  --sidecar-image podrole-sidecar:0.1.0 --region eu-west-1 --account-id 111122223333"""


def settings_options(command: F) -> F:
    """The webhook's settings, each by option or variable; see load_setup for what to do with them."""
    for variable, (metavar, text) in reversed(SETTINGS.items()):
        option = click.option(
            _name_option(variable), variable, envvar=variable, show_envvar=True, metavar=metavar, help=text
        )
        command = option(command)
    return command


def load_effective_config(options: Mapping[str, Any], deployed: DeployedEnv | None = None) -> EffectiveConfig:
    """Configuration and template, of options that win over what is deployed; ConfigError names options."""
    environ = {name: str(options[name]) for name in SETTINGS if options.get(name)}
    for variable in ("PODROLE_TEMPLATE", "PODROLE_STS_CA"):
        if variable in environ:
            environ[variable] = str(Path(environ[variable]).absolute())
    try:
        return build_effective_config(deployed, environ)
    except ConfigError as error:
        problems = str(error)
        for variable in SETTINGS:
            problems = problems.replace(f"{variable} ", f"{_name_option(variable)} ({variable}) ")
        problems = problems.replace("the environment is wrong", "settings are missing or wrong")
        raise ConfigError(f"{problems}\n\n{HOW_TO_FIND_SETTINGS}") from error


def _name_option(variable: str) -> str:
    return "--" + variable.removeprefix("PODROLE_").lower().replace("_", "-")


def output_option(command: F) -> F:
    """`-o` of commands that print manifests."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["yaml", "json"]),
        default="yaml",
        show_default=True,
        help="yaml: the manifests, each in its own format. json: a report on each pod template.",
    )(command)


def check_setting(_: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Hold an option against what its variable must be."""
    pattern, meaning = (REQUIRED | OPTIONAL)[str(param.name)]
    if value and not re.fullmatch(pattern, value, re.ASCII):
        raise click.BadParameter(f"{value!r}: it must be {meaning}")
    return value or None


def report_output_option(command: F) -> F:
    """`-o` of commands that report findings."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="text, or json for programs.",
    )(command)


def account_options(command: F) -> F:
    """The account of roles that are given by name; see load_account."""
    for variable in ("PODROLE_REGION", "PODROLE_BASE_ROLE_ARN", "PODROLE_ACCOUNT_ID"):
        command = click.option(
            _name_option(variable),
            variable,
            envvar=variable,
            show_envvar=True,
            metavar=SETTINGS[variable][0],
            callback=check_setting,
            help=ACCOUNT_HELP[variable],
        )(command)
    return command


def load_account(options: Mapping[str, Any]) -> Account:
    """Build the account of roles that are given by name."""
    region, account, base = (options[f"PODROLE_{name}"] for name in ("REGION", "ACCOUNT_ID", "BASE_ROLE_ARN"))
    if account and base:
        raise click.UsageError("--account-id and --base-role-arn are both set: the ARN already contains the account")
    if account:
        base = f"arn:{partition_of(region or '')}:iam::{account}:role/"
    return Account(base, region)


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
