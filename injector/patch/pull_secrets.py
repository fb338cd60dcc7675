"""The Secrets with which the kubelet pulls podrole's image from a private registry.

https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from injector.k8s.objects import Object, read_objects, read_spec
from injector.patch.injection_record import read_added

PULL_SECRETS = "imagePullSecrets"


class PullSecrets(NamedTuple):
    """Names of Secrets."""

    missing: Sequence[str] = ()
    """Those that the pod lacks."""

    added: Sequence[str] = ()
    """These, and those of an earlier injection."""


def find_pull_secrets(pod: Object, wanted: Sequence[str]) -> PullSecrets:
    """Find which of these the pod lacks, and which an injection added. The author's stay the author's."""
    if not wanted:
        return PullSecrets()
    present = {secret.get("name") for secret in read_objects(read_spec(pod), PULL_SECRETS)}
    recorded = _read_recorded(pod)
    missing = [name for name in wanted if name not in present]
    return PullSecrets(missing, [name for name in wanted if name in missing or name in recorded])


def find_recorded(pod: Object) -> list[int]:
    """Find the indexes of those that an injection added."""
    recorded = _read_recorded(pod)
    secrets = read_objects(read_spec(pod), PULL_SECRETS) if recorded else ()
    last = {secret["name"]: index for index, secret in enumerate(secrets) if secret.get("name") in recorded}
    return [*last.values()]


def _read_recorded(pod: Object) -> Sequence[str]:
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
        names = read_added(pod)[PULL_SECRETS]
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else ()
    return ()
