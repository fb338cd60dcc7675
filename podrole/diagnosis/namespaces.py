"""Findings about the labelled namespaces: which mode their pods get, and whether there is room for our containers."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import contract
from injector.config import Config
from injector.decision.context import POD_SECURITY_LABEL, POD_SECURITY_WITHOUT_REDIRECT
from injector.k8s.objects import Object, parse_metadata, read_list, read_mapping, read_objects
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.patch.template import load_template
from podrole.diagnosis.check_context import CheckContext, name_some, read_name
from podrole.diagnosis.cluster_findings import Namespaces
from podrole.diagnosis.quantities import parse_quantity
from podrole.findings import Finding

COUNTED = {"limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "cpu", "memory"}
"""What a quota can demand of each container: `cpu` and `memory` are its old names for requests.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

Amounts = dict[str, dict[str, Decimal]]
"""`requests` and `limits`, by resource."""


def find_labels(context: CheckContext) -> Iterator[Finding]:
    """Which namespaces are looked at, and which of those that were asked for have no label."""
    if not context.namespaces():
        yield Namespaces.NONE_LABELLED.format()
    for name in sorted(missing_of(context)):
        yield Namespaces.MISSING.format(namespace=name)
    for namespace in context.namespaces():
        if parse_metadata(namespace).labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
            yield Namespaces.NOT_LABELLED.format(namespace=read_name(namespace))


def missing_of(context: CheckContext) -> set[str]:
    """Namespaces that were asked about and do not exist."""
    asked = {str(one["name"]) for one in context.snapshot.all("asked")}
    return asked - {read_name(namespace) for namespace in context.namespaces()}


def find_modes(context: CheckContext) -> Iterator[Finding]:
    """Which mode pods get, by PodSecurity and the operator's PODROLE_MODE (`auto` where that is not known)."""
    mode = context.effective_config.config.mode if context.effective_config else "auto"
    by_level: dict[str, list[str]] = {}
    for namespace in context.namespaces():
        level = parse_metadata(namespace).labels.get(POD_SECURITY_LABEL, "")
        by_level.setdefault(level if level in POD_SECURITY_WITHOUT_REDIRECT else "", []).append(read_name(namespace))
    for level, names in sorted(by_level.items()):
        yield _tell_mode(mode, level, name_some(names))
    if "" in by_level and mode != contract.MODE_ENV:
        yield Namespaces.DEFAULT_UNSEEN.format()


def _tell_mode(mode: str, level: str, names: str) -> Finding:
    if mode == contract.MODE_ENV:
        return Namespaces.ENV.format(namespaces=names)
    if not level:
        return Namespaces.REDIRECT.format(namespaces=names)
    statement = Namespaces.ENV_BY_POD_SECURITY if mode == "auto" else Namespaces.REDIRECT_REFUSED
    return statement.format(level=level, namespaces=names)


def check_quotas(context: CheckContext) -> Iterator[Finding]:
    """LimitRanges and ResourceQuotas that refuse every pod with our containers in it."""
    found = [finding for namespace in context.namespaces() for finding in _check_quotas(context, read_name(namespace))]
    yield from found
    if not found and context.namespaces():
        yield Namespaces.ROOM.format()


def _check_quotas(context: CheckContext, namespace: str) -> Iterator[Finding]:
    limit_ranges = _of(context.snapshot.all("limit-ranges"), namespace)
    items = [
        (read_name(one), item)
        for one in limit_ranges
        for item in read_objects(read_mapping(one, "spec"), "limits")
        if item.get("type") == "Container"
    ]
    containers = {
        name: _apply_defaults(resources, [item for _, item in items])
        for name, resources in _list_resources(context).items()
    }
    for name, item in items:
        for container, amounts in containers.items():
            yield from (
                Namespaces.LIMIT_RANGE.format(name=name, container=container, clause=clause)
                for clause in _find_violations(item, amounts)
            )
    for quota in _of(context.snapshot.all("resource-quotas"), namespace):
        yield from _find_lacks(quota, containers, namespace)


def _list_resources(context: CheckContext) -> Mapping[str, Object]:
    """Our containers' resources; the shipped template's where the webhook's configuration is not known."""
    template = (
        context.effective_config.template
        if context.effective_config
        else load_template(Config(sidecar_image="-", region="us-east-1"))
    )
    return {
        contract.REDIRECT_CONTAINER: read_mapping(template.redirect, "resources"),
        contract.SIDECAR_CONTAINER: read_mapping(template.sidecar, "resources"),
    }


def _of(things: Sequence[Object], namespace: str) -> list[Object]:
    return [one for one in things if read_mapping(one, "metadata").get("namespace") == namespace]


def _apply_defaults(resources: Object, items: Sequence[Object]) -> Amounts:
    """What LimitRanger makes of a container: it fills in what is missing, limits first."""
    limits = _parse(read_mapping(resources, "limits"))
    requests = _parse(read_mapping(resources, "requests"))
    for item in items:
        limits = _parse(read_mapping(item, "default")) | limits
        requests = _parse(read_mapping(item, "defaultRequest")) | requests
    return {"limits": limits, "requests": limits | requests}


def _find_violations(item: Object, amounts: Amounts) -> Iterator[str]:
    for resource, most in _parse(read_mapping(item, "max")).items():
        limit = amounts["limits"].get(resource)
        if limit is None or limit > most:
            yield f"its limit of {resource} is {_show(limit)}, and at most {_show(most)} is allowed"
    for resource, least in _parse(read_mapping(item, "min")).items():
        request = amounts["requests"].get(resource)
        if request is None or request < least:
            yield f"its request of {resource} is {_show(request)}, and at least {_show(least)} is demanded"
    for resource, ratio in _parse(read_mapping(item, "maxLimitRequestRatio")).items():
        limit, request = (amounts[kind].get(resource) for kind in ("limits", "requests"))
        if limit is None or not request or limit / request > ratio:
            yield f"its limit of {resource} ({_show(limit)}) is more than {ratio} times its request ({_show(request)})"
    for resource, limit in amounts["limits"].items():
        if amounts["requests"].get(resource, limit) > limit:
            yield f"its request of {resource} is above the default limit, {_show(limit)}"


def _find_lacks(quota: Object, containers: Mapping[str, Amounts], namespace: str) -> Iterator[Finding]:
    spec = read_mapping(quota, "spec")
    # Our containers have requests, so no pod of theirs is one of BestEffort.
    if "BestEffort" in read_list(spec, "scopes"):
        return
    for demanded in sorted(COUNTED & read_mapping(spec, "hard").keys()):
        kind, _, resource = demanded.rpartition(".")
        lacking = [name for name, amounts in containers.items() if resource not in amounts[kind or "requests"]]
        if lacking:
            yield Namespaces.QUOTA.format(
                name=read_name(quota),
                resource=demanded,
                containers=" and ".join(lacking),
                short=resource,
                namespace=namespace,
            )


def _parse(quantities: Object) -> dict[str, Decimal]:
    parsed = {str(resource): parse_quantity(value) for resource, value in quantities.items()}
    return {resource: value for resource, value in parsed.items() if value is not None}


def _show(amount: Decimal | None) -> str:
    if amount is None:
        return "not set"
    mebibytes = amount / 1024**2
    if mebibytes >= 1:
        return f"{mebibytes.normalize():f}Mi"
    return f"{amount.normalize():f}" if amount >= 1 else f"{(amount * 1000).normalize():f}m"
