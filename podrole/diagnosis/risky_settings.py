"""Findings about what is unsafe in the webhook's configuration."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from podrole.diagnosis.check_context import CheckContext
from podrole.diagnosis.webhook_findings import Configuration
from podrole.findings import Finding


class RiskySetting(NamedTuple):
    """A variable's value, matched in full, that opens something."""

    variable: str
    pattern: str
    statement: Configuration


RISKY_SETTINGS = (
    RiskySetting("PODROLE_ALLOW_OVERRIDES", r".+", Configuration.OVERRIDES),
    RiskySetting("PODROLE_PODS_WITHOUT_ROLE", r"ignore", Configuration.PODS_WITHOUT_ROLE_IGNORED),
    RiskySetting("PODROLE_MODE", r"env", Configuration.ENV_EVERYWHERE),
    RiskySetting("PODROLE_CREDENTIAL_SOURCE", r"node", Configuration.NODE_SOURCE),
    RiskySetting("PODROLE_STS_ENDPOINT", r"http://.*", Configuration.PLAIN_HTTP),
    RiskySetting("PODROLE_AWS_ENDPOINT_URL", r"http://.*", Configuration.PLAIN_HTTP),
)

DIGEST = r".+@sha256:[0-9a-f]{64}"
FIXED_TAG = r".+:(?!latest$)[\w.-]+"


def find_risky_settings(context: CheckContext) -> Iterator[Finding]:
    """What opens the wall, or lets somebody else decide what runs in every pod."""
    if context.settings is None:
        return
    if context.settings.gaps:
        yield Configuration.GAPS.format(gaps=", ".join(context.settings.gaps))
    if context.effective_config is None:
        yield Configuration.INVALID.format(problem=" ".join(context.problem.split()))
        return
    if context.effective_config.is_template_shipped:
        yield Configuration.TEMPLATE.format(path=context.effective_config.config.template)
    environ = context.settings.environ
    found = [
        danger.statement.format(variable=danger.variable, value=environ[danger.variable])
        for danger in RISKY_SETTINGS
        if re.fullmatch(danger.pattern, environ.get(danger.variable, ""))
    ]
    yield from found or [Configuration.VALID.format()]
    yield from _find_loose_image(context.effective_config.config.sidecar_image)


def _find_loose_image(image: str) -> Iterator[Finding]:
    if re.fullmatch(DIGEST, image):
        return
    # A colon before the last slash is a registry's port.
    is_fixed = re.fullmatch(FIXED_TAG, image.rpartition("/")[2])
    yield (Configuration.NO_DIGEST if is_fixed else Configuration.LATEST).format(image=image)
