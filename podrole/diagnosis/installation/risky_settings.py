"""Checks for unsafe settings in the webhook's configuration."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from contract.outside_aws import is_outside_aws
from contract.text import hide_password
from injector.config import VARIABLES, Config
from injector.partitions import KNOWN_REGIONS
from injector.unknown_settings import describe_variable, find_unknown
from podrole.diagnosis.installation.findings import Configuration
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.installed_config import DeployedEnv
from podrole.findings import Finding, limit_findings


class RiskySetting(NamedTuple):
    """A setting, the pattern of its unsafe values (matched in full), and the finding."""

    variable: str
    pattern: str
    template: Configuration


RISKY_SETTINGS = (
    RiskySetting("PODROLE_ALLOW_OVERRIDES", r".+", Configuration.OVERRIDES_ALLOWED),
    RiskySetting("PODROLE_PODS_WITHOUT_ROLE", r"ignore", Configuration.PODS_WITHOUT_ROLE_IGNORED),
    RiskySetting("PODROLE_MODE", r"env", Configuration.ENV_MODE_EVERYWHERE),
    RiskySetting("PODROLE_CREDENTIAL_SOURCE", r"node", Configuration.NODE_CREDENTIAL_SOURCE),
    RiskySetting("PODROLE_NODE_ACCESS_REQUIRES_USERS", r"false", Configuration.NODE_ACCESS_ALLOWED),
    RiskySetting("PODROLE_STS_ENDPOINT", r"http://.*", Configuration.PLAIN_HTTP),
    RiskySetting("PODROLE_AWS_ENDPOINT_URL", r"http://.*", Configuration.PLAIN_HTTP),
)

DIGEST = r".+@sha256:[0-9a-f]{64}"
FIXED_TAG = r".+:(?!latest$)[\w.-]+"


def check_risky_settings(context: CheckContext) -> Iterator[Finding]:
    """Report unknown and unsafe settings, and images that can change under their name."""
    if context.deployed_env is None:
        return
    if context.deployed_env.gaps:
        yield Configuration.SETTINGS_NOT_READ.format(gaps=", ".join(context.deployed_env.gaps))
    yield from limit_findings(_find_unknown_settings(context.deployed_env))
    if context.effective_config is None:
        yield Configuration.CONFIGURATION_INVALID.format(problem=" ".join(context.config_error.split()))
        return
    if context.effective_config.is_template_shipped:
        yield Configuration.TEMPLATE_NOT_READ.format(path=context.effective_config.config.template)
    yield from _check_sts(context.effective_config.config)
    environ = context.deployed_env.environ
    found = [
        _choose_template(setting, environ).format(
            variable=setting.variable, value=hide_password(environ[setting.variable])
        )
        for setting in RISKY_SETTINGS
        if re.fullmatch(setting.pattern, environ.get(setting.variable, ""))
    ]
    yield from found or [Configuration.NO_RISKY_SETTING.format()]
    yield from _check_image(context.effective_config.config.sidecar_image)


def _find_unknown_settings(deployed: DeployedEnv) -> Iterator[Finding]:
    for name in find_unknown(deployed.environ, VARIABLES):
        sentence, source = describe_variable(name, VARIABLES), deployed.sources.get(name, "the Deployment")
        yield Configuration.UNKNOWN_SETTING.format(sentence=sentence, source=source)


def _choose_template(setting: RiskySetting, environ: Mapping[str, str]) -> Configuration:
    is_closed = environ.get("PODROLE_REQUIRE_CLOSED_METADATA") == "true"
    is_env_mode = setting.template is Configuration.ENV_MODE_EVERYWHERE
    return Configuration.ENV_MODE_WHERE_CLOSED if is_env_mode and is_closed else setting.template


def _check_sts(config: Config) -> Iterator[Finding]:
    if not config.is_outside_aws and config.region not in KNOWN_REGIONS:
        yield Configuration.UNKNOWN_REGION.format(region=config.region)
    if not config.role_arn_prefix:
        is_outside = config.is_outside_aws or config.require_sts_endpoint
        yield (Configuration.NO_ACCOUNT_OUTSIDE_AWS if is_outside else Configuration.NO_ACCOUNT).format()
    if is_outside_aws(config.aws_endpoint_url) and not config.sts_endpoint:
        yield Configuration.STS_OF_AWS.format(url=hide_password(config.aws_endpoint_url or ""))


def _check_image(image: str) -> Iterator[Finding]:
    if re.fullmatch(DIGEST, image):
        return
    # A colon before the last slash is a registry's port.
    is_fixed = re.fullmatch(FIXED_TAG, image.rpartition("/")[2])
    yield (Configuration.IMAGE_WITHOUT_DIGEST if is_fixed else Configuration.IMAGE_WITHOUT_VERSION).format(image=image)
