"""Which variables `envFrom` can set. The injector cannot read the ConfigMaps and Secrets, so only prefixes tell."""

from collections.abc import Collection

from injector.k8s.objects import Object, read_objects


def find_prefixes(names: Collection[str]) -> frozenset[str]:
    """Everything that one of these names can start with; a key of a ConfigMap has at least one character."""
    return frozenset(name[:length] for name in names for length in range(len(name)))


def can_set(container: Object, prefixes: Collection[str]) -> bool:
    """Whether `envFrom` can set one of the variables; `prefixes` is the result of `find_prefixes`.

    https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
    """
    if not container.get("envFrom"):  # most containers
        return False
    return any((source.get("prefix") or "") in prefixes for source in read_objects(container, "envFrom"))
