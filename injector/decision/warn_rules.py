"""Rules that warn about a pod."""

import re
from collections.abc import Iterator

from contract.modes import CredentialSource, Mode
from injector.decision.container_powers import find_powers
from injector.decision.context import AdmissionContext
from injector.k8s.objects import read_app_containers, read_name, read_spec
from injector.reasons import Explanation, Reason
from injector.value_types import ModePolicy

SANDBOX = re.compile("gvisor|runsc|kata|firecracker")
"""https://gvisor.dev/docs/user_guide/quick_start/kubernetes/, https://github.com/kata-containers/kata-containers"""


def warn_unknown_annotations(context: AdmissionContext) -> Iterator[Explanation]:
    """Misspelt keys, which have no effect."""
    yield from context.warnings


def warn_privileged_containers(context: AdmissionContext) -> Iterator[Explanation]:
    """Containers that can remove or bypass the redirect."""
    if context.mode != Mode.REDIRECT:
        return
    for container in read_app_containers(context.pod):
        if powers := [*find_powers(container, context.pod)]:
            yield Reason.PRIVILEGED_CONTAINER.explain(container=read_name(container), power=" and ".join(powers))


def warn_sandbox(context: AdmissionContext) -> Iterator[Explanation]:
    """RuntimeClasses that are sandboxes by their name; with PODROLE_MODE=redirect the operator vouches for all."""
    if context.mode != Mode.REDIRECT or context.config.mode != ModePolicy.AUTO:
        return
    name = read_name(read_spec(context.pod), "runtimeClassName")
    if SANDBOX.search(name):
        yield Reason.SANDBOX.explain(name=name)


def warn_env_mode(context: AdmissionContext) -> Iterator[Explanation]:
    """In env mode the node's metadata service stays reachable, except on Fargate, where pods have none."""
    if context.mode == Mode.ENV:
        reason = Reason.ENV_MODE_ON_FARGATE if context.is_on_fargate else Reason.ENV_MODE
        yield reason.explain(why=context.mode_reason)


def warn_node_source(context: AdmissionContext) -> Iterator[Explanation]:
    """With the source `node`, a container that becomes the sidecar's user gets the node's role; Fargate has none."""
    is_checked = context.requires_users and context.mode == Mode.REDIRECT
    if context.config.credential_source == CredentialSource.NODE and not is_checked:
        reason = Reason.NODE_SOURCE_ON_FARGATE if context.is_on_fargate else Reason.NODE_CREDENTIAL_SOURCE
        yield reason.explain()


def warn_metadata_passthrough(context: AdmissionContext) -> Iterator[Explanation]:
    """With pass-through, the redirect rules let the sidecar's user reach the node's metadata service."""
    if context.settings.passes_metadata and context.mode == Mode.REDIRECT and not context.requires_users:
        yield Reason.METADATA_PASSTHROUGH.explain()
