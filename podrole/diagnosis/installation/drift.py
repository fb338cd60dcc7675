"""Checks for changes of podrole's webhook that its manifests do not have, and of the webhook that warns."""

from collections.abc import Callable, Iterator, Mapping

from injector.certs.registration import MATCH_CONDITIONS, PATH, ServiceName, find_drift
from injector.errors import CertificateError
from injector.k8s.objects import Object, read_mapping, read_objects
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.installation.drift_findings import Drift
from podrole.diagnosis.installation.registration import read_bundle
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.selectors import find_mismatch
from podrole.diagnosis.state.webhooks import Webhook, find_podrole_webhooks, is_for_pods
from podrole.findings import Finding

KIND = "mutatingwebhookconfiguration"
LABELLED = {INJECTION_LABEL: INJECTION_ENABLED, "kubernetes.io/metadata.name": "a-namespace"}


def check_drift(context: CheckContext) -> Iterator[Finding]:
    """Name what somebody changed in the webhook, as far as no other check does."""
    for webhook in find_podrole_webhooks(context.installation.webhooks.value):
        service = read_mapping(webhook.client, "service")
        expected = ServiceName(str(service.get("namespace")), str(service.get("name")))
        # Another configuration can have podrole's webhook too: that is one of the other checks.
        drift = find_drift({"webhooks": [webhook.entry]}, expected)
        for field, find in FINDERS.items():
            if drift[field]:
                yield from find(webhook)
        yield from _find_added_webhooks(webhook)


def check_warnings(context: CheckContext) -> Iterator[Finding]:
    """Check the webhook that warns whoever applies a workload."""
    if context.installation.deployment.value is None:
        return
    entries = read_objects(context.cluster.warnings.value or {}, "webhooks")
    entry = next((one for one in entries if one.get("name") == "workloads.podrole.io"), None)
    if entry is None:
        yield Drift.WARNINGS_NOT_REGISTERED.format()
        return
    concerns = []
    if entry.get("failurePolicy") != "Ignore":
        concerns.append(Drift.WARNINGS_FAIL_CLOSED.format())
    try:
        read_bundle(Webhook(context.cluster.warnings.value or {}, entry))
    except (CertificateError, KeyError):
        concerns.append(Drift.WARNINGS_NOT_TRUSTED.format())
    yield from concerns or [Drift.WARNINGS_REGISTERED.format()]


def _find_conditions(webhook: Webhook) -> Iterator[Finding]:
    entries = read_objects(webhook.configuration, "webhooks")
    place = next(index for index, entry in enumerate(entries) if entry is webhook.entry)
    conditions = [*enumerate(webhook.match_conditions)]
    for index, one in reversed(conditions):  # so that the commands can be run in this order
        name = str(one.get("name"))
        if MATCH_CONDITIONS.get(name) != one.get("expression"):
            path = f"/webhooks/{place}/matchConditions/{index}"
            yield Drift.CONDITION_ADDED.format(
                configuration=webhook.configuration_name, name=name, command=_remove(webhook, path)
            )


def _find_added_webhooks(webhook: Webhook) -> Iterator[Finding]:
    entries = [*enumerate(read_objects(webhook.configuration, "webhooks"))]
    for index, entry in reversed(entries):
        if entry.get("name") != webhook.name:
            where, command = webhook.configuration_name, _remove(webhook, f"/webhooks/{index}")
            yield Drift.WEBHOOK_ADDED.format(configuration=where, name=entry.get("name"), command=command)


def _remove(webhook: Webhook, path: str) -> str:
    patch = f'[{{"op": "remove", "path": "{path}"}}]'
    return f"kubectl patch {KIND} {webhook.configuration_name} --type json --patch '{patch}'"


def _find_namespaces(webhook: Webhook) -> Iterator[Finding]:
    if mismatch := find_mismatch(webhook.namespace_selector, LABELLED):
        where = webhook.configuration_name
        yield Drift.NAMESPACES_LEFT_OUT.format(configuration=where, requirement=mismatch)


def _find_rules(webhook: Webhook) -> Iterator[Finding]:
    if is_for_pods(webhook):
        yield Drift.RULES_ADDED.format(configuration=webhook.configuration_name)


def _find_path(webhook: Webhook) -> Iterator[Finding]:
    service: Object = read_mapping(webhook.client, "service")
    if service:
        path = service.get("path") or "/"
        yield Drift.PATH_CHANGED.format(configuration=webhook.configuration_name, path=path, expected=PATH)


def _find(template: Drift, field: str) -> Callable[[Webhook], Iterator[Finding]]:
    def find(webhook: Webhook) -> Iterator[Finding]:
        yield template.format(configuration=webhook.configuration_name, value=webhook.entry.get(field))

    return find


FINDERS: Mapping[str, Callable[[Webhook], Iterator[Finding]]] = {
    "clientConfig": _find_path,
    "matchConditions": _find_conditions,
    "namespaceSelector": _find_namespaces,
    "objectSelector": _find(Drift.OBJECTS_LEFT_OUT, "objectSelector"),
    "rules": _find_rules,
    "timeoutSeconds": _find(Drift.TIMEOUT_SHORT, "timeoutSeconds"),
}
"""The fields of `injector.certs.registration` that `registration` and `other_injectors` do not check."""
