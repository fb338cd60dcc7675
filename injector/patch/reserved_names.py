"""Warnings about what an injection removes from a pod because its name is reserved for podrole."""

from collections.abc import Iterator, Sequence

import contract
from injector.k8s.objects import Object, is_reserved, read_name, read_objects, read_spec
from injector.reasons import Explanation, Reason

INJECTED_NAMES = {
    contract.REDIRECT_CONTAINER,
    contract.SIDECAR_CONTAINER,
    contract.TOKEN_VOLUME,
    contract.RUN_VOLUME,
}

KINDS: Sequence[tuple[str, str]] = (
    ("initContainers", "container"),
    ("containers", "container"),
    ("volumes", "volume"),
)


def warn_reserved_names(pod: Object, app_containers: Sequence[Object]) -> Iterator[Explanation]:
    """Warn about each container, volume and mount that is removed.

    Those of INJECTED_NAMES can be podrole's own, except app containers and their mounts.
    """
    spec = read_spec(pod)
    for field, kind in KINDS:
        for thing in read_objects(spec, field):
            if is_reserved(thing) and (field == "containers" or thing["name"] not in INJECTED_NAMES):
                yield Reason.RESERVED_NAME.explain(kind=kind, name=thing["name"])
    for container in app_containers:
        for mount in filter(is_reserved, read_objects(container, "volumeMounts")):
            yield Reason.RESERVED_MOUNT.explain(container=read_name(container), volume=mount["name"])
