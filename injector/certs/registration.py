"""Compares podrole's webhook configuration with what the manifests set, as far as a difference matters. Pure.

Whatever an overlay may change is none: the names of further namespaces that are left out, a longer timeout, the port of
the Service.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from injector.deadlines import REVIEW_READS_SECONDS
from injector.k8s.objects import as_list, as_mapping
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL

POD_WEBHOOK = "pods.podrole.io"
WORKLOAD_WEBHOOK = "workloads.podrole.io"
PATH = "/mutate"
NAME_LABEL = "kubernetes.io/metadata.name"
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
SCOPES = ("Namespaced", "*", None)
NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")
MATCH_CONDITIONS = {
    "no-mirror-pod": (
        "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
    )
}
"""By name: the expressions of kustomize/base/webhook.yaml. The webhook works without them."""

Entry = Mapping[str, Any]


class ServiceName(NamedTuple):
    """The Service of the injector."""

    namespace: str
    name: str


def find_drift(document: Entry | None, service: ServiceName) -> dict[str, bool]:
    """By field of the webhook: whether it differs. `webhooks`: the webhook is missing, or others are beside it."""
    entries = [as_mapping(one) for one in as_list(as_mapping(document).get("webhooks"))]
    entry = next((one for one in entries if one.get("name") == POD_WEBHOOK), None)
    drift = {"webhooks": entry is None or len(entries) > 1}
    return drift | {
        field: entry is not None and not is_expected(entry.get(field), service)
        for field, is_expected in EXPECTATIONS.items()
    }


def can_refuse_workloads(document: Entry | None) -> bool:
    """Whether the configuration of the webhook that only warns can refuse workloads, in an outage or always.

    A missing configuration is no difference, as it can be left out.
    """
    entries = [as_mapping(one) for one in as_list(as_mapping(document).get("webhooks"))]
    return any(one.get("name") != WORKLOAD_WEBHOOK or one.get("failurePolicy") != "Ignore" for one in entries)


def _has_client(value: Any, service: ServiceName) -> bool:
    found = as_mapping(as_mapping(value).get("service"))
    return (found.get("namespace"), found.get("name"), found.get("path")) == (*service, PATH)


def _has_rules(value: Any) -> bool:
    rules = as_list(value)
    return len(rules) == 1 and any(
        all(as_mapping(rule).get(key) == expected for key, expected in RULE.items())
        and as_mapping(rule).get("scope") in SCOPES
        for rule in rules
    )


def _has_namespace_selector(value: Any, service: ServiceName) -> bool:
    """Whether it requires the label, excludes the namespaces without which no cluster starts, and nothing else."""
    selector = as_mapping(value)
    requirements: list[tuple[Any, Any, Any]] = [
        *((key, "In", [value]) for key, value in as_mapping(selector.get("matchLabels")).items()),
        *(
            (one.get("key"), one.get("operator"), as_list(one.get("values")))
            for one in map(as_mapping, as_list(selector.get("matchExpressions")))
        ),
    ]
    is_label_required = (INJECTION_LABEL, "In", [INJECTION_ENABLED]) in requirements
    others = [one for one in requirements if one[0] != INJECTION_LABEL or one[1] != "In"]
    excluded = {str(name) for one in others if one[:2] == (NAME_LABEL, "NotIn") for name in one[2]}
    return (
        is_label_required
        and all(one[:2] == (NAME_LABEL, "NotIn") for one in others)
        and excluded.issuperset((service.namespace, *SYSTEM_NAMESPACES))
    )


def _has_match_conditions(value: Any) -> bool:
    conditions = [as_mapping(one) for one in as_list(value)]
    return all(MATCH_CONDITIONS.get(str(one.get("name"))) == one.get("expression") for one in conditions)


def _has_object_selector(value: Any) -> bool:
    return not any(as_mapping(value).values())


EXPECTATIONS: Mapping[str, Callable[[Any, ServiceName], bool]] = {
    "clientConfig": _has_client,
    "failurePolicy": lambda value, _: value in ("Fail", None),
    "matchConditions": lambda value, _: _has_match_conditions(value),
    "namespaceSelector": _has_namespace_selector,
    "objectSelector": lambda value, _: _has_object_selector(value),
    "reinvocationPolicy": lambda value, _: value == "IfNeeded",
    "rules": lambda value, _: _has_rules(value),
    "sideEffects": lambda value, _: value in NO_SIDE_EFFECTS,
    "timeoutSeconds": lambda value, _: value is None or (isinstance(value, int) and value >= REVIEW_READS_SECONDS),
}
FIELDS = ("webhooks", *EXPECTATIONS)
