"""Whatever in the Secret or a caBundle cannot be loaded in full is replaced as missing."""

import logging
import os
import random
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from injector.certs import tls
from injector.certs.ca_store import SECRET_KEYS, Document, build_secret, parse_secret, parse_webhook_configuration
from injector.certs.manager import CertManager
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls, build_context
from injector.errors import CertificateError, ResourceError
from testing.stored_object import StoredObject, build_empty_configuration
from tests.unit.injector.certs.odd_pairs import (
    NO_TEXT,
    UNREADABLE_BUNDLES,
    Pair,
    build_cas,
    build_serving_pairs,
    decode,
    encode,
)
from tests.unit.injector.certs.rotation_examples import AT_REST, NOW, OLD_CA, OLD_LEAF, POLICY, published

DAMAGES = int(os.environ.get("PODROLE_TEST_DAMAGES", "5000"))
"""How many random ones: a thousand take a second."""

SEED = int(os.environ.get("PODROLE_TEST_DAMAGES_SEED", "15"))
REPAIRED_ONE_IN = 20


class Cluster:
    """Both objects, with one certificate at rest."""

    def __init__(self) -> None:
        self.secret = StoredObject("Secret")
        self.configuration = StoredObject("MutatingWebhookConfiguration")
        self.secret.force({"metadata": {}, **build_secret(None, AT_REST)})
        self.configuration.force(build_empty_configuration())

    def replace(self, **data: object) -> None:
        """Replace values of the Secret, which are already encoded."""
        document: Any = self.secret.read()
        document["data"] |= {key.replace("_", "."): value for key, value in data.items()}
        self.secret.force(document)

    def is_sound(self) -> bool:
        """Whether everything can be loaded, and the caBundle is that of the Secret."""
        secret, bundles = parse_secret(self.secret.read()), parse_webhook_configuration(self.configuration.read())
        is_complete = secret.ca is not None and secret.find_issuer(secret.pair) is not None and not secret.problems
        return is_complete and bundles is not None and bundles.contains_exactly(secret.cas)


class Replica(CertManager):
    """One replica, whose clock stands still."""

    def __init__(self, cluster: Cluster) -> None:
        self.tls = MemoryTls()
        super().__init__(Stores(cluster.secret, cluster.configuration), self.tls, POLICY, lambda: NOW)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Disable the log, which would get thousands of lines."""
    logger = logging.getLogger("podrole.certificates")
    logger.disabled = True
    yield
    logger.disabled = False


def check_repair(cluster: Cluster, damage: dict[str, object]) -> None:
    """A replica that runs keeps its certificate while it repairs the Secret; one that starts then is ready."""
    running = Replica(cluster)
    running.reconcile()
    before = running.tls.context()
    cluster.replace(**damage)
    running.reconcile()

    assert cluster.is_sound()
    assert running.tls.context() is before
    assert running.is_ready

    cluster.replace(**damage)
    started = Replica(cluster)
    started.reconcile()

    assert cluster.is_sound()
    assert started.tls.certificate_not_after
    assert started.is_ready


def encode_text(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("pair", [pytest.param(pair, id=name) for name, pair in build_serving_pairs().items()])
def test_serving_pair_that_cannot_be_served_is_replaced(cluster: Cluster, pair: Pair) -> None:
    check_repair(cluster, {"tls_crt": encode_text(pair[0]), "tls_key": encode_text(pair[1])})


@pytest.mark.parametrize("pair", [pytest.param(pair, id=name) for name, pair in build_cas().items()])
def test_ca_that_cannot_be_used_is_replaced(cluster: Cluster, pair: Pair) -> None:
    check_repair(cluster, {"ca_crt": encode_text(pair[0]), "ca_key": encode_text(pair[1])})


@pytest.mark.parametrize(
    ("error", "is_replaced"),
    [
        pytest.param(CertificateError("the key is too small"), True, id="refused"),
        pytest.param(ResourceError("too many open files"), False, id="no-descriptor"),
    ],
)
def test_serving_pair_that_openssl_refuses_is_replaced(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    error: CertificateError,
    is_replaced: bool,  # noqa: FBT001 - a table
) -> None:
    def refuse(certificate: bytes, key: bytes) -> ssl.SSLContext:
        if certificate == OLD_LEAF.certificate.pem.encode():
            raise error
        return build_context(certificate, key)

    monkeypatch.setattr("injector.certs.tls.build_context", refuse)
    tls.check_context.cache_clear()
    Replica(cluster).reconcile()

    assert (parse_secret(cluster.secret.read()).pair != OLD_LEAF) is is_replaced


@pytest.mark.parametrize("key", SECRET_KEYS)
@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in NO_TEXT.items()])
def test_value_of_the_secret_that_is_no_text_is_replaced(cluster: Cluster, key: str, value: object) -> None:
    check_repair(cluster, {key: value})


@pytest.mark.parametrize(
    "value", [pytest.param(value, id=name) for name, value in (UNREADABLE_BUNDLES | NO_TEXT).items()]
)
def test_ca_bundle_that_cannot_be_loaded_is_replaced(cluster: Cluster, value: object) -> None:
    running = Replica(cluster)
    running.reconcile()
    document: Any = cluster.configuration.read()
    document["webhooks"][1]["clientConfig"]["caBundle"] = value
    cluster.configuration.force(document)

    running.reconcile()

    assert cluster.is_sound()
    assert parse_webhook_configuration(cluster.configuration.read()) == published(OLD_CA)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"metadata": None, "data": None}, id="null"),
        pytest.param({"metadata": [], "data": "x"}, id="other-types"),
        pytest.param({"metadata": {"annotations": ["x"]}, "data": ["x"]}, id="lists"),
        pytest.param({"metadata": {"annotations": {"podrole.io/rotate": {"x": 1}}}}, id="annotation"),
    ],
)
def test_fields_of_other_types_are_missing(document: Document) -> None:
    assert parse_secret(document).ca is None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"metadata": None, "webhooks": {"x": 1}}, id="no-list"),
        pytest.param({"metadata": {}, "webhooks": [None, "x", {}]}, id="no-webhook"),
    ],
)
def test_webhooks_of_other_types_are_missing(document: Document) -> None:
    assert parse_webhook_configuration(document) is None


@pytest.mark.parametrize("since", [7, None, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9" * 10**5, ""])
def test_annotation_that_is_no_time_has_none(since: object) -> None:
    document = build_empty_configuration()
    document["metadata"]["annotations"] = {"podrole.io/ca-bundle-since": since}
    parsed = parse_webhook_configuration(document)

    assert parsed
    assert not isinstance(parsed.since, str)


def damage(chosen: random.Random, pem: bytes) -> bytes:
    """A byte of the text or of what it encodes, a lost end, or a piece replaced by another one."""
    damaged = bytearray(pem)
    at = chosen.randrange(len(damaged))
    match chosen.randrange(6):
        case 0:
            damaged[at] = chosen.randrange(256)
        case 1:
            del damaged[at:]
        case 2:
            damaged[at : at + chosen.randrange(20)] = chosen.randbytes(chosen.randrange(20))
        case _:
            label = pem.decode().partition("-----BEGIN ")[2].partition("-----")[0]
            der = bytearray(decode(pem.decode()))
            for _ in range(chosen.choice((1, 1, 2, 5))):
                der[chosen.randrange(len(der))] = chosen.randrange(256)
            return encode(label, bytes(der)).encode()
    return bytes(damaged)


def test_random_damage_is_noticed_and_repaired() -> None:
    """A damage that is not noticed would be served, or published, though API servers may not accept it."""
    chosen = random.Random(SEED)
    data = {key: b64decode(value) for key, value in build_secret(None, AT_REST)["data"].items()}
    for number in range(DAMAGES):
        key = chosen.choice(SECRET_KEYS)
        changed = damage(chosen, data[key])
        cluster = Cluster()
        cluster.replace(**{key: b64encode(changed).decode()})
        try:
            found = parse_secret(cluster.secret.read())
            same = (found.cas, found.ca, found.pair) == ((OLD_CA,), AT_REST.ca, OLD_LEAF)
            assert same or found.problems
            if number % REPAIRED_ONE_IN == 0:
                Replica(cluster).reconcile()
                assert cluster.is_sound()
        except BaseException as error:
            error.add_note(f"damage {number} of {key}, PODROLE_TEST_DAMAGES_SEED={SEED}: {changed!r}")
            raise


def test_random_damage_of_a_ca_bundle_is_noticed() -> None:
    chosen = random.Random(SEED)
    for _ in range(DAMAGES):
        changed = damage(chosen, OLD_CA.pem.encode())
        document = build_empty_configuration()
        for webhook in document["webhooks"]:
            webhook["clientConfig"]["caBundle"] = b64encode(changed).decode()
        parsed = parse_webhook_configuration(document)

        assert parsed
        assert parsed.contains_exactly((OLD_CA,)) or not [ca for ca in parsed.bundles[0] if ca.is_self_managed]
