"""Checks of the registered webhook: its rules and selectors, CA bundle, serving certificate and endpoints."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from injector.certs.loading import parse_certificates
from injector.certs.x509 import Certificate
from injector.errors import CertificateError
from injector.k8s.objects import read_mapping, read_objects
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.installation.findings import Registration
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.selectors import find_mismatch
from podrole.diagnosis.state.webhooks import Webhook, find_podrole_webhooks, is_for_pods
from podrole.findings import Finding

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
NAME_LABEL = "kubernetes.io/metadata.name"
"""https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name"""

EXPIRY_WARNING_DAYS = 20
DAY_SECONDS = 24 * 60 * 60
NO_SIDE_EFFECTS = {"None", "NoneOnDryRun"}


def check_registration(context: CheckContext) -> Iterator[Finding]:
    """Check that the webhook is registered once, for the creation of pods in labelled namespaces."""
    webhooks = find_podrole_webhooks(context.installation.webhooks.value)
    if not webhooks:
        is_installed = context.installation.deployment.value is not None
        yield (Registration.WEBHOOK_NOT_REGISTERED if is_installed else Registration.NOT_INSTALLED).format()
        return
    if len(webhooks) > 1:
        names = ", ".join(webhook.configuration_name for webhook in webhooks)
        yield Registration.DUPLICATE_WEBHOOK.format(count=len(webhooks), configurations=names)
    for webhook in webhooks:
        yield Registration.WEBHOOK_REGISTERED.format(configuration=webhook.configuration_name)
        yield from _check_webhook(webhook)


def _check_webhook(webhook: Webhook) -> Iterator[Finding]:
    where = webhook.configuration_name
    if not is_for_pods(webhook):
        yield Registration.POD_CREATION_NOT_COVERED.format(configuration=where)
    if webhook.failure_policy == "Ignore":
        yield Registration.FAILURE_POLICY_IGNORE.format(configuration=where)
    if find_mismatch(webhook.namespace_selector, {NAME_LABEL: "a-namespace"}) is None:
        yield Registration.NAMESPACE_SELECTOR_TOO_BROAD.format(configuration=where)
    labelled = {INJECTION_LABEL: INJECTION_ENABLED}
    system = [
        name
        for name in SYSTEM_NAMESPACES
        if find_mismatch(webhook.namespace_selector, labelled | {NAME_LABEL: name}) is None
    ]
    if system:
        yield Registration.SYSTEM_NAMESPACES_NOT_EXCLUDED.format(configuration=where, namespaces=", ".join(system))
    effects = webhook.entry.get("sideEffects")
    if effects not in NO_SIDE_EFFECTS:
        yield Registration.SIDE_EFFECTS.format(configuration=where, effects=effects)


def check_ca_bundle(context: CheckContext) -> Iterator[Finding]:
    """Check that the caBundle contains a valid CA, and when it expires."""
    for webhook in find_podrole_webhooks(context.installation.webhooks.value):
        where = {"configuration": webhook.configuration_name}
        if not webhook.client.get("caBundle"):
            yield Registration.CA_BUNDLE_MISSING.format(**where)
            continue
        try:
            bundle = read_bundle(webhook)
        except CertificateError as error:
            yield Registration.CA_BUNDLE_INVALID.format(**where, problem=error)
            continue
        last = max(ca.not_after for ca in bundle)
        end = _format_time(last)
        if not any(ca.is_valid(context.now) for ca in bundle):
            yield Registration.CA_EXPIRED.format(**where, end=end)
        elif days := _days_if_expiring(last, context.now):
            yield Registration.CA_EXPIRES_SOON.format(**where, days=days, end=end)
        else:
            yield Registration.CA_VALID.format(**where, end=end)


def check_certificate(context: CheckContext) -> Iterator[Finding]:
    """Check that the API server accepts the serving certificate."""
    for webhook in find_podrole_webhooks(context.installation.webhooks.value):
        service = read_mapping(webhook.client, "service")
        if not service:
            yield Registration.CERTIFICATE_NOT_CHECKED.format(configuration=webhook.configuration_name)
            continue
        stored = context.cluster.certificate.value
        values = {"secret": stored.secret, "name": f"{service.get('name')}.{service.get('namespace')}.svc"}
        try:
            chain = parse_certificates(stored.pem)
        except CertificateError:
            yield Registration.CERTIFICATE_MISSING.format(**values)
            continue
        yield _check_chain(chain, webhook, values, context.now)


def check_endpoints(context: CheckContext) -> Iterator[Finding]:
    """Check that the Service exists and has ready endpoints."""
    for webhook in find_podrole_webhooks(context.installation.webhooks.value):
        service = read_mapping(webhook.client, "service")
        if not service:
            continue
        name, namespace = f"{service.get('namespace')}/{service.get('name')}", service.get("namespace")
        if context.cluster.service.value is None:
            yield Registration.SERVICE_NOT_FOUND.format(configuration=webhook.configuration_name, service=name)
            continue
        count = _count_ready(context)
        templates = {0: Registration.NO_READY_ENDPOINT, 1: Registration.SINGLE_READY_ENDPOINT}
        yield templates.get(count, Registration.ENDPOINTS_READY).format(service=name, namespace=namespace, count=count)


def read_bundle(webhook: Webhook) -> tuple[Certificate, ...]:
    """Parse the CAs that the API server trusts for this webhook. Raises CertificateError."""
    try:
        text = b64decode(str(webhook.client["caBundle"]), validate=True).decode()
    except ValueError as error:
        raise CertificateError(f"it is not valid base64 text: {error}") from error
    return parse_certificates(text)


def _check_chain(chain: tuple[Certificate, ...], webhook: Webhook, named: Mapping[str, object], now: float) -> Finding:
    leaf, values = chain[0], {**named, "end": _format_time(chain[0].not_after)}
    try:
        is_trusted = _is_trusted(chain, read_bundle(webhook))
    except (CertificateError, KeyError):
        is_trusted = False
    if not leaf.is_valid(now):
        return Registration.CERTIFICATE_EXPIRED.format(**values)
    if values["name"] not in leaf.names:
        return Registration.CERTIFICATE_NAME_MISMATCH.format(**values, names=", ".join(sorted(leaf.names)) or "no name")
    if not is_trusted:
        return Registration.CERTIFICATE_UNTRUSTED.format(**values)
    if days := _days_if_expiring(leaf.not_after, now):
        return Registration.CERTIFICATE_EXPIRES_SOON.format(**values, days=days)
    return Registration.CERTIFICATE_VALID.format(**values)


def _is_trusted(chain: tuple[Certificate, ...], bundle: tuple[Certificate, ...]) -> bool:
    """Return whether the chain, which may contain intermediates, leads to a CA of the bundle."""
    for position, certificate in enumerate(chain):
        if certificate in bundle or any(certificate.is_signed_by(ca) for ca in bundle):
            return True
        if position + 1 < len(chain) and not certificate.is_signed_by(chain[position + 1]):
            return False
    return False


def _count_ready(context: CheckContext) -> int:
    endpoints = [one for each in context.cluster.endpoint_slices.value for one in read_objects(each, "endpoints")]
    # Unknown counts as ready: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#ready
    ready = [one for one in endpoints if read_mapping(one, "conditions").get("ready") is not False]
    # A dual-stack pod is in two slices.
    return len({str(read_mapping(one, "targetRef").get("uid") or one.get("addresses")) for one in ready})


def _days_if_expiring(end: float, now: float) -> int | None:
    days = (end - now) / DAY_SECONDS
    return max(1, round(days)) if days < EXPIRY_WARNING_DAYS else None


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
