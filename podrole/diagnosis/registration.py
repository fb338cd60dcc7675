"""Findings about the registered webhook: its selectors, authorities and certificate, and whether anybody answers."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from injector.certs.x509 import Certificate, parse_certificates
from injector.errors import CertificateError
from injector.k8s.objects import read_mapping, read_objects
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.check_context import CheckContext
from podrole.diagnosis.selectors import find_mismatch
from podrole.diagnosis.webhook_findings import Registration
from podrole.diagnosis.webhooks import Webhook, find_ours, is_for_pods
from podrole.findings import Finding

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
NAME_LABEL = "kubernetes.io/metadata.name"
"""https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name"""

SOON_DAYS = 20
DAY_SECONDS = 24 * 60 * 60
NO_SIDE_EFFECTS = {"None", "NoneOnDryRun"}


def find_registration(context: CheckContext) -> Iterator[Finding]:
    """Whether the webhook is registered, once, for what it must be asked about and nothing else."""
    ours = find_ours(context.snapshot.all("webhooks"))
    if not ours:
        is_installed = context.snapshot.one("deployment") is not None
        yield (Registration.ABSENT if is_installed else Registration.NOT_INSTALLED).format()
        return
    if len(ours) > 1:
        names = ", ".join(webhook.configuration_name for webhook in ours)
        yield Registration.DUPLICATE.format(count=len(ours), configurations=names)
    for webhook in ours:
        yield Registration.PRESENT.format(configuration=webhook.configuration_name)
        yield from _find_flaws(webhook)


def _find_flaws(webhook: Webhook) -> Iterator[Finding]:
    where = webhook.configuration_name
    if not is_for_pods(webhook):
        yield Registration.NOT_FOR_PODS.format(configuration=where)
    if webhook.failure_policy == "Ignore":
        yield Registration.IGNORES.format(configuration=where)
    if find_mismatch(webhook.namespace_selector, {NAME_LABEL: "a-namespace"}) is None:
        yield Registration.ASKED_EVERYWHERE.format(configuration=where)
    labelled = {INJECTION_LABEL: INJECTION_ENABLED}
    system = [
        name
        for name in SYSTEM_NAMESPACES
        if find_mismatch(webhook.namespace_selector, labelled | {NAME_LABEL: name}) is None
    ]
    if system:
        yield Registration.SYSTEM_NAMESPACES.format(configuration=where, namespaces=", ".join(system))
    effects = webhook.entry.get("sideEffects")
    if effects not in NO_SIDE_EFFECTS:
        yield Registration.SIDE_EFFECTS.format(configuration=where, effects=effects)


def find_authorities(context: CheckContext) -> Iterator[Finding]:
    """Whether the API server has an authority to trust, for how long."""
    for webhook in find_ours(context.snapshot.all("webhooks")):
        where = {"configuration": webhook.configuration_name}
        if not webhook.client.get("caBundle"):
            yield Registration.NO_CA.format(**where)
            continue
        try:
            bundle = read_bundle(webhook)
        except CertificateError as error:
            yield Registration.BAD_CA.format(**where, problem=error)
            continue
        last = max(authority.not_after for authority in bundle)
        end = _format_time(last)
        if not any(authority.is_valid(context.now) for authority in bundle):
            yield Registration.CA_EXPIRED.format(**where, end=end)
        elif days := _days_if_soon(last, context.now):
            yield Registration.CA_ENDS.format(**where, days=days, end=end)
        else:
            yield Registration.CA.format(**where, end=end)


def find_certificate(context: CheckContext) -> Iterator[Finding]:
    """Whether what the webhook serves is what the API server trusts."""
    for webhook in find_ours(context.snapshot.all("webhooks")):
        service = read_mapping(webhook.client, "service")
        if not service:
            yield Registration.CERTIFICATE_AT_URL.format(configuration=webhook.configuration_name)
            continue
        held = context.snapshot.one("certificate") or {}
        values = {"secret": held.get("secret"), "name": f"{service.get('name')}.{service.get('namespace')}.svc"}
        try:
            chain = parse_certificates(str(held.get("pem") or ""))
        except CertificateError:
            yield Registration.CERTIFICATE_ABSENT.format(**values)
            continue
        yield _judge(chain, webhook, values, context.now)


def find_endpoints(context: CheckContext) -> Iterator[Finding]:
    """Whether there is anybody behind the Service."""
    for webhook in find_ours(context.snapshot.all("webhooks")):
        service = read_mapping(webhook.client, "service")
        if not service:
            continue
        name, namespace = f"{service.get('namespace')}/{service.get('name')}", service.get("namespace")
        if context.snapshot.one("service") is None:
            yield Registration.NO_SERVICE.format(configuration=webhook.configuration_name, service=name)
            continue
        count = _count_ready(context)
        statements = {0: Registration.NO_ENDPOINTS, 1: Registration.ONE_ENDPOINT}
        yield statements.get(count, Registration.ENDPOINTS).format(service=name, namespace=namespace, count=count)


def read_bundle(webhook: Webhook) -> tuple[Certificate, ...]:
    """The authorities that the API server trusts for this webhook."""
    try:
        text = b64decode(str(webhook.client["caBundle"]), validate=True).decode()
    except ValueError as error:
        raise CertificateError(f"it is no text in base64: {error}") from error
    return parse_certificates(text)


def _judge(chain: tuple[Certificate, ...], webhook: Webhook, named: Mapping[str, object], now: float) -> Finding:
    leaf, values = chain[0], {**named, "end": _format_time(chain[0].not_after)}
    try:
        is_trusted = _is_trusted(chain, read_bundle(webhook))
    except (CertificateError, KeyError):
        is_trusted = False
    if not leaf.is_valid(now):
        return Registration.CERTIFICATE_EXPIRED.format(**values)
    if values["name"] not in leaf.names:
        return Registration.CERTIFICATE_NAMES.format(**values, names=", ".join(sorted(leaf.names)) or "no name at all")
    if not is_trusted:
        return Registration.CERTIFICATE_UNTRUSTED.format(**values)
    if days := _days_if_soon(leaf.not_after, now):
        return Registration.CERTIFICATE_ENDS.format(**values, days=days)
    return Registration.CERTIFICATE.format(**values)


def _is_trusted(chain: tuple[Certificate, ...], bundle: tuple[Certificate, ...]) -> bool:
    """Whether the chain, which may have intermediates in it, ends at an authority of the bundle."""
    for position, certificate in enumerate(chain):
        if certificate in bundle or any(certificate.is_signed_by(authority) for authority in bundle):
            return True
        if position + 1 < len(chain) and not certificate.is_signed_by(chain[position + 1]):
            return False
    return False


def _count_ready(context: CheckContext) -> int:
    endpoints = [one for each in context.snapshot.all("endpoint-slices") for one in read_objects(each, "endpoints")]
    # Unknown counts as ready: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#ready
    ready = [one for one in endpoints if read_mapping(one, "conditions").get("ready") is not False]
    # A pod of both families is in two slices.
    return len({str(read_mapping(one, "targetRef").get("uid") or one.get("addresses")) for one in ready})


def _days_if_soon(end: float, now: float) -> int | None:
    days = (end - now) / DAY_SECONDS
    return max(1, round(days)) if days < SOON_DAYS else None


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
