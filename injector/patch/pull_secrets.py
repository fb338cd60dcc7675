"""The Secrets with which the kubelet pulls podrole's image from a private registry.

https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from injector.k8s.objects import Object, read_name, read_objects, read_spec
from injector.patch.injection_record import read_added

PULL_SECRETS = "imagePullSecrets"


class PullSecrets(NamedTuple):
    """Names of Secrets."""

    missing: Sequence[str] = ()
    """Those that the pod lacks."""

    added: Sequence[str] = ()
    """These, and those of an earlier injection."""

    former: Sequence[str] = ()
    """Those of an earlier injection that the setting no longer names."""


def find_pull_secrets(pod: Object, wanted: Sequence[str]) -> PullSecrets:
    """Find which of these the pod lacks, and which an injection added. The author's stay the author's.

    One that an earlier injection added stays in the record, as in the pod, if the setting no longer names it.
    """
    recorded = _read_recorded(pod)
    if not (wanted or recorded):
        return PullSecrets()
    present = [read_name(secret) for secret in read_objects(read_spec(pod), PULL_SECRETS)]
    missing = [name for name in wanted if name not in present]
    former = [name for name in dict.fromkeys(recorded) if name in present and name not in wanted]
    added = [*former, *(name for name in wanted if name in missing or name in recorded)]
    return PullSecrets(missing, added, former)


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
