"""What the Secret holds and what the webhook configuration shows: parsed from Kubernetes' JSON, and built for it.

No decision here (`injector.certs.rotation`), and no request (`injector.k8s.reader`).
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from injector.certs.x509 import Certificate, KeyPair, parse_certificates, parse_key_pair
from injector.errors import CertificateError

Document = dict[str, Any]

ROTATE_ANNOTATION = "podrole.io/rotate"
SINCE_ANNOTATION = "podrole.io/ca-bundle-since"
"""On the configuration, written in one patch with the bundle: when it became what it is."""

REQUESTS = ("ca", "leaf", "drop")
"""What a person may ask for by the annotation on the Secret: a new authority, a new leaf, no old authority."""

CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY = SECRET_KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")


@dataclass(frozen=True, slots=True)
class SecretState:
    """What the Secret holds. A part that is missing or damaged is None, and `problems` says why."""

    cas: tuple[Certificate, ...] = ()
    """The bundle, newest first. Only the first one signs: the key of the others is thrown away."""

    ca: KeyPair | None = None
    """The first one and its key."""

    pair: KeyPair | None = None
    """The leaf that replicas are to serve."""

    request: str = ""
    """One of REQUESTS, or nothing."""

    problems: tuple[str, ...] = field(default=(), compare=False)

    def find_issuer(self, pair: KeyPair | None) -> Certificate | None:
        """The authority of the bundle that issued this certificate."""
        if pair is None:
            return None
        return next((ca for ca in self.cas if pair.certificate.is_signed_by(ca)), None)


@dataclass(frozen=True, slots=True)
class CaBundleState:
    """What the webhook configuration shows to API servers."""

    bundles: tuple[tuple[Certificate, ...], ...]
    """One for each of its webhooks."""

    since: float | None = None
    """Seconds since the epoch. None: nobody says, as where the caBundle came by another hand."""

    def contains_exactly(self, cas: tuple[Certificate, ...]) -> bool:
        """Whether each webhook has exactly these."""
        return all(bundle == cas for bundle in self.bundles)

    def trusts(self, ca: Certificate) -> bool:
        """Whether a leaf of this authority is accepted for each webhook."""
        return all(ca in bundle for bundle in self.bundles)


def parse_secret(document: Document | None) -> SecretState:
    """Read what is usable of the Secret. None and an empty Secret hold nothing, which is no problem."""
    data = {key: value for key in SECRET_KEYS if (value := _read_text(document, key))}
    reading, request = _Parser(), _read_request(document)
    if request not in ("", *REQUESTS):
        reading.problems.append(
            f"annotation {ROTATE_ANNOTATION} is {request!r}: it must be one of {', '.join(REQUESTS)}"
        )
    if not data:
        return SecretState(request=request, problems=tuple(reading.problems))
    cas = reading.attempt(parse_certificates, data, CA_CERTIFICATE) or ()
    ca = reading.attempt(parse_key_pair, data, CA_CERTIFICATE, CA_KEY)
    pair = reading.attempt(parse_key_pair, data, CERTIFICATE, KEY)
    secret = SecretState(cas, ca, pair, request)
    if pair and cas and secret.find_issuer(pair) is None:
        reading.problems.append(f"{CERTIFICATE}: it was not issued by an authority of {CA_CERTIFICATE}")
    return replace(secret, problems=tuple(dict.fromkeys(reading.problems)))


def build_secret(document: Document | None, secret: SecretState) -> Document:
    """The Secret with this in it; all else that somebody wrote there stays. Needs a `secret` without gaps."""
    if secret.ca is None or secret.pair is None:
        raise CertificateError("a Secret without an authority or without a leaf is never written")
    texts = {
        CA_CERTIFICATE: build_bundle(secret.cas),
        CA_KEY: secret.ca.key_pem,
        CERTIFICATE: secret.pair.certificate.pem,
        KEY: secret.pair.key_pem,
    }
    document = document or {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {}}
    metadata = dict(document["metadata"])
    annotations = {**(metadata.get("annotations") or {}), ROTATE_ANNOTATION: secret.request}
    metadata["annotations"] = annotations if secret.request else _without(annotations, ROTATE_ANNOTATION)
    data = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
    return {**document, "metadata": metadata, "data": {**(document.get("data") or {}), **data}}


def parse_webhook_configuration(document: Document | None) -> CaBundleState | None:
    """Read the caBundle of every webhook; None where there is no configuration, or none with a webhook in it."""
    if document is None or not document.get("webhooks"):
        return None
    bundles = tuple(_read_bundle(webhook["clientConfig"].get("caBundle") or "") for webhook in document["webhooks"])
    return CaBundleState(bundles, _read_since(document))


def build_ca_bundle_patch(document: Document, cas: Sequence[Certificate], now: float) -> Document:
    """The strategic merge patch that puts the bundle into every webhook, if nobody changed the configuration since."""
    bundle = b64encode(build_bundle(cas).encode()).decode()
    since = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {
        "metadata": {
            "resourceVersion": document["metadata"]["resourceVersion"],
            "annotations": {SINCE_ANNOTATION: since},
        },
        "webhooks": [
            {"name": webhook["name"], "clientConfig": {"caBundle": bundle}} for webhook in document["webhooks"]
        ],
    }


def build_bundle(cas: Sequence[Certificate]) -> str:
    """Certificates as one text."""
    return "".join(ca.pem for ca in cas)


class _Parser:
    """Reads part by part, and keeps what is wrong with those that cannot be read."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def attempt(self, parse: Any, data: dict[str, str], *keys: str) -> Any:
        if missing := [key for key in keys if key not in data]:
            self.problems += [f"{key}: it is missing or not text" for key in missing]
            return None
        try:
            return parse(*(data[key] for key in keys))
        except CertificateError as error:
            self.problems.append(f"{' and '.join(keys)}: {error}")
            return None


def _read_text(document: Document | None, key: str) -> str:
    try:
        return b64decode(((document or {}).get("data") or {}).get(key) or "", validate=True).decode()
    except ValueError:
        return ""


def _read_request(document: Document | None) -> str:
    annotations = ((document or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(ROTATE_ANNOTATION, ""))


def _read_bundle(encoded: str) -> tuple[Certificate, ...]:
    try:
        return parse_certificates(b64decode(encoded).decode())
    except (ValueError, CertificateError):
        return ()


def _read_since(document: Document) -> float | None:
    try:
        return datetime.fromisoformat(document["metadata"]["annotations"][SINCE_ANNOTATION]).timestamp()
    except (LookupError, TypeError, ValueError):
        return None


def _without(annotations: dict[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if name != key}
