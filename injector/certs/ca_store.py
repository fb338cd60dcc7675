"""Parse and build the two objects that store the certificates, as JSON documents: the Secret and the caBundle.

The decisions are in `injector.certs.rotation`, the requests in `injector.k8s`.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from contract.text import quote
from injector.certs.loading import parse_certificates, parse_key_pair
from injector.certs.tls import parse_serving_pair
from injector.certs.x509 import Certificate, KeyPair
from injector.errors import CertificateError
from injector.k8s.objects import as_list, as_mapping

Document = dict[str, Any]

ROTATE_ANNOTATION = "podrole.io/rotate"
SINCE_ANNOTATION = "podrole.io/ca-bundle-since"
"""On the webhook configuration, set in each patch: when that was. The caBundle has not changed since then."""

REQUESTS = ("ca", "leaf", "drop")
"""Values of the annotation on the Secret: a new CA, a new serving certificate, the removal of old CAs."""

MAX_SHOWN = 64
"""Characters of an annotation's value in the log."""

CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY = SECRET_KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")


@dataclass(frozen=True, slots=True)
class SecretState:
    """The parsed Secret. A missing or damaged part is None, and `problems` has the cause."""

    cas: tuple[Certificate, ...] = ()
    """All CAs, newest first. Only the first one signs: the keys of the others were deleted."""

    ca: KeyPair | None = None
    """The first CA and its key."""

    pair: KeyPair | None = None
    """The serving certificate and its key."""

    request: str = ""
    """One of REQUESTS, or empty."""

    problems: tuple[str, ...] = field(default=(), compare=False)

    def find_issuer(self, pair: KeyPair | None) -> Certificate | None:
        """The CA of this Secret that issued the certificate, or None."""
        if pair is None:
            return None
        return next((ca for ca in self.cas if pair.certificate.is_signed_by(ca)), None)


@dataclass(frozen=True, slots=True)
class CaBundleState:
    """The parsed caBundles of the webhook configuration."""

    bundles: tuple[tuple[Certificate, ...], ...]
    """One for each webhook."""

    since: float | None = None
    """Seconds since the epoch; None if the annotation is missing, as when another client set the caBundle."""

    def contains_exactly(self, cas: tuple[Certificate, ...]) -> bool:
        """Whether every webhook has exactly these CAs."""
        return all(bundle == cas for bundle in self.bundles)

    def trusts(self, ca: Certificate) -> bool:
        """Whether every webhook accepts certificates of this CA."""
        return all(ca in bundle for bundle in self.bundles)


def parse_secret(document: Document | None) -> SecretState:
    """Parse what is usable. A missing or an empty Secret is valid, and gives an empty state."""
    stored = as_mapping(as_mapping(document).get("data"))
    data = {key: value for key in SECRET_KEYS if (value := _read_text(stored.get(key)))}
    parser, request = _Parser(), _read_request(document)
    if request not in ("", *REQUESTS):
        shown = quote(request, MAX_SHOWN)
        parser.problems.append(f"annotation {ROTATE_ANNOTATION} is '{shown}': must be one of {', '.join(REQUESTS)}")
    if not data:
        return SecretState(request=request, problems=tuple(parser.problems))
    cas = parser.attempt(_parse_cas, data, CA_CERTIFICATE) or ()
    ca = parser.attempt(parse_key_pair, data, CA_CERTIFICATE, CA_KEY) if cas else None
    pair = parser.attempt(parse_serving_pair, data, CERTIFICATE, KEY)
    secret = SecretState(cas, ca, pair, request)
    if pair and cas and secret.find_issuer(pair) is None:
        parser.problems.append(f"{CERTIFICATE}: not issued by a CA in {CA_CERTIFICATE}")
    return replace(secret, problems=tuple(dict.fromkeys(parser.problems)))


def build_secret(document: Document | None, secret: SecretState) -> Document:
    """The Secret with this state; unrelated keys and annotations stay. The state must be complete."""
    if secret.ca is None or secret.pair is None:
        raise CertificateError("cannot write a Secret without a CA or without a serving certificate")
    texts = {
        CA_CERTIFICATE: build_bundle(secret.cas),
        CA_KEY: secret.ca.key_pem,
        CERTIFICATE: secret.pair.certificate.pem,
        KEY: secret.pair.key_pem,
    }
    document = document or {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {}}
    metadata = dict(document["metadata"])
    annotations = {**as_mapping(metadata.get("annotations")), ROTATE_ANNOTATION: secret.request}
    metadata["annotations"] = annotations if secret.request else _without(annotations, ROTATE_ANNOTATION)
    data = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
    return {**document, "metadata": metadata, "data": {**as_mapping(document.get("data")), **data}}


def parse_webhook_configuration(document: Document | None) -> CaBundleState | None:
    """Parse the caBundle of every webhook; None without a configuration or without webhooks."""
    if not (webhooks := _list_webhooks(document)):
        return None
    bundles = tuple(_read_bundle(as_mapping(webhook.get("clientConfig")).get("caBundle")) for webhook in webhooks)
    return CaBundleState(bundles, _read_since(document))


def build_ca_bundle_patch(document: Document, cas: Sequence[Certificate], now: float) -> Document:
    """The strategic merge patch that sets every caBundle; it fails if the configuration was changed meanwhile."""
    bundle = b64encode(build_bundle(cas).encode()).decode()
    webhooks = [{"name": webhook["name"], "clientConfig": {"caBundle": bundle}} for webhook in _list_webhooks(document)]
    return {**build_date_patch(document, now), "webhooks": webhooks}


def build_date_patch(document: Document, now: float) -> Document:
    """The patch that changes only the annotation, so that every other patch of what was read before it fails."""
    since = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")  # two in one second must differ
    version = document["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": {SINCE_ANNOTATION: since}}}


def build_bundle(cas: Sequence[Certificate]) -> str:
    """Concatenate certificates as PEM."""
    return "".join(ca.pem for ca in cas)


class _Parser:
    """Parses part by part, and collects the problems of parts that cannot be parsed."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def attempt(self, parse: Any, data: dict[str, str], *keys: str) -> Any:
        if missing := [key for key in keys if key not in data]:
            self.problems += [f"{key}: missing or not text" for key in missing]
            return None
        try:
            return parse(*(data[key] for key in keys))
        except CertificateError as error:
            self.problems.append(f"{' and '.join(keys)}: {error}")
            return None


def _parse_cas(pem: str) -> tuple[Certificate, ...]:
    cas = parse_certificates(pem)
    if not all(ca.is_root for ca in cas):
        raise CertificateError("a certificate in it is damaged, or not a CA that signed itself")
    return cas


def _list_webhooks(document: Document | None) -> list[dict[str, Any]]:
    return [one for one in as_list(as_mapping(document).get("webhooks")) if "name" in as_mapping(one)]


def _read_text(encoded: Any) -> str:
    """Decode base64; empty if that is impossible."""
    try:
        return b64decode(encoded, validate=True).decode()
    except (TypeError, ValueError):
        return ""


def _read_annotation(document: Document | None, name: str) -> Any:
    return as_mapping(as_mapping(as_mapping(document).get("metadata")).get("annotations")).get(name)


def _read_request(document: Document | None) -> str:
    return str(_read_annotation(document, ROTATE_ANNOTATION) or "")


def _read_bundle(encoded: Any) -> tuple[Certificate, ...]:
    try:
        return parse_certificates(_read_text(encoded))
    except CertificateError:
        return ()


def _read_since(document: Document | None) -> float | None:
    try:
        return datetime.fromisoformat(_read_annotation(document, SINCE_ANNOTATION)).timestamp()
    except (TypeError, ValueError, ArithmeticError, OSError):  # the latter two: a year that `timestamp` cannot convert
        return None


def _without(annotations: dict[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if name != key}
