"""Checks of the namespaces: whether they exist and have the label, their pods' mode, and whether pods are rejected."""

from collections.abc import Iterator

from contract.modes import Mode
from injector.decision.context import POD_SECURITY_WITHOUT_REDIRECT
from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import Object, parse_metadata
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, POD_SECURITY_LABEL
from podrole.diagnosis.cluster.findings import Namespaces, Workloads
from podrole.diagnosis.state.check_context import CheckContext, join_names, read_name
from podrole.findings import Finding

REACH_NODE = "can still reach the node's role"
START_WHERE_CLOSED = "start only where the node's metadata service does not answer them"


def check_labels(context: CheckContext) -> Iterator[Finding]:
    """Check that the requested namespaces exist, and that every namespace has the label."""
    if not context.namespaces:
        yield Namespaces.NO_NAMESPACE_LABELLED.format()
    names = {read_name(namespace) for namespace in context.namespaces}
    for name in sorted({*context.cluster.requested_namespaces} - names):
        yield Namespaces.NAMESPACE_NOT_FOUND.format(namespace=name)
    for namespace in context.namespaces:
        if parse_metadata(namespace).labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
            yield _report_missing_label(namespace)


def _report_missing_label(namespace: Object) -> Finding:
    name, found = read_name(namespace), find_injection_label(parse_metadata(namespace))
    if found:
        return Namespaces.NAMESPACE_LABELLED_OTHERWISE.format(namespace=name, found=found)
    return Namespaces.NAMESPACE_NOT_LABELLED.format(namespace=name)


def check_modes(context: CheckContext) -> Iterator[Finding]:
    """Report the mode by PodSecurity level and the operator's PODROLE_MODE (`auto` where that cannot be read)."""
    config = context.effective_config.config if context.effective_config else None
    mode = config.mode if config else "auto"
    reach = START_WHERE_CLOSED if config and config.require_closed_metadata else REACH_NODE
    by_level: dict[str, list[str]] = {}
    for namespace in context.namespaces:
        labels = parse_metadata(namespace).labels
        if labels.get(INJECTION_LABEL, INJECTION_ENABLED) != INJECTION_ENABLED:
            continue  # its pods get no mode: `check_labels` reports it
        level = labels.get(POD_SECURITY_LABEL, "")
        by_level.setdefault(level if level in POD_SECURITY_WITHOUT_REDIRECT else "", []).append(read_name(namespace))
    for level, names in sorted(by_level.items()):
        yield _report_mode(mode, level, join_names(names), reach)
    if "" in by_level and mode != Mode.ENV:
        yield Namespaces.POD_SECURITY_DEFAULT_UNKNOWN.format()


def _report_mode(mode: str, level: str, names: str, reach: str) -> Finding:
    if mode == Mode.ENV:
        return Namespaces.ENV_MODE.format(namespaces=names)
    if not level:
        return Namespaces.REDIRECT_MODE.format(namespaces=names)
    template = Namespaces.ENV_MODE_BY_POD_SECURITY if mode == "auto" else Namespaces.REDIRECT_FORBIDDEN
    return template.format(level=level, namespaces=names, reach=reach)


def check_rejected_workloads(context: CheckContext) -> Iterator[Finding]:
    """Report workloads that lack pods because of podrole."""
    names = context.cluster.rejected_workloads.value
    if names:
        yield Workloads.WORKLOADS_REJECTED.format(count=len(names), names=join_names(names))
    else:
        yield Workloads.NO_WORKLOAD_REJECTED.format()
