"""Findings about what is unsafe in the webhook's configuration."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from podrole.diagnosis.check_context import Scene
from podrole.diagnosis.webhook_findings import Configuration
from podrole.findings import Finding


class Danger(NamedTuple):
    """A variable's value, matched in full, that opens something."""

    variable: str
    pattern: str
    statement: Configuration


DANGERS = (
    Danger("PODROLE_ALLOW_OVERRIDES", r".+", Configuration.OVERRIDES),
    Danger("PODROLE_NO_ROLE", r"untouched", Configuration.NO_ROLE_UNTOUCHED),
    Danger("PODROLE_MODE", r"env", Configuration.ENV_EVERYWHERE),
    Danger("PODROLE_SOURCE", r"node", Configuration.NODE_SOURCE),
    Danger("PODROLE_STS_ENDPOINT", r"http://.*", Configuration.PLAIN_HTTP),
    Danger("PODROLE_AWS_ENDPOINT_URL", r"http://.*", Configuration.PLAIN_HTTP),
)

DIGEST = r".+@sha256:[0-9a-f]{64}"
FIXED_TAG = r".+:(?!latest$)[\w.-]+"


def find_dangers(scene: Scene) -> Iterator[Finding]:
    """What opens the wall, or lets somebody else decide what runs in every pod."""
    if scene.settings is None:
        return
    if scene.settings.gaps:
        yield Configuration.GAPS.say(gaps=", ".join(scene.settings.gaps))
    if scene.setup is None:
        yield Configuration.INVALID.say(problem=" ".join(scene.problem.split()))
        return
    if scene.setup.is_template_shipped:
        yield Configuration.TEMPLATE.say(path=scene.setup.config.template)
    environ = scene.settings.environ
    found = [
        danger.statement.say(variable=danger.variable, value=environ[danger.variable])
        for danger in DANGERS
        if re.fullmatch(danger.pattern, environ.get(danger.variable, ""))
    ]
    yield from found or [Configuration.VALID.say()]
    yield from _find_loose_image(scene.setup.config.sidecar_image)


def _find_loose_image(image: str) -> Iterator[Finding]:
    if re.fullmatch(DIGEST, image):
        return
    # A colon before the last slash is a registry's port.
    is_fixed = re.fullmatch(FIXED_TAG, image.rpartition("/")[2])
    yield (Configuration.NO_DIGEST if is_fixed else Configuration.LATEST).say(image=image)
