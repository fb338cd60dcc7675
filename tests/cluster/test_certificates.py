"""Two real processes keep one Secret and one webhook configuration of a real API server, which calls them over TLS.

They log in with the rights that an installation gives the injector, and with no other.
"""

import base64
import json
import ssl
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from injector.certificates import DAY_SECONDS, Lifetimes, issue_authority, issue_leaf
from injector.cluster.secrets import CertificateSecret
from injector.cluster.webhooks import WebhookConfiguration
from injector.errors import ConflictError
from injector.trust import Held, build_publication, build_secret, parse_secret
from tests.cluster.api import ApiServer, Manifest, RefusedError, load_configuration, wait_for

REPOSITORY = Path(__file__).parents[2]
SECRET = "podrole-injector-certs"
SERVICE = ACCOUNT = "podrole-injector"
PERIOD_SECONDS = 10
REPAIR_SECONDS = 60
"""Patience with a machine under load. What is promised is one period, and for the configuration about a second."""


@pytest.fixture(scope="session", autouse=True)
def injector() -> None:
    """None: these processes take the place of the one that the other tests of this folder ask."""


@dataclass
class Site:
    """A namespace with an installation in it, and a namespace whose pods go through its webhooks."""

    api: ApiServer
    directory: Path
    name: str = field(default_factory=lambda: f"podrole-certificates-{uuid.uuid4().hex[:8]}")
    lifetimes: dict[str, float] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def send(self, method: str, path: str, body: Manifest | None = None, form: str = "application/json") -> Manifest:
        response = self.api.request(
            method,
            f"{self.api.host}/{path}",
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": form, "Accept": "application/json"},
            timeout=30,
        )
        document: Manifest = json.loads(response.data)
        if response.status >= 400:
            raise RefusedError(document["message"])
        return document

    @property
    def secret_path(self) -> str:
        return f"api/v1/namespaces/{self.name}/secrets/{SECRET}"

    @property
    def configuration_path(self) -> str:
        return f"apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{self.name}"

    def install(self) -> None:
        """Namespace, Service, empty Secret, and the account with its rights by name."""
        self.send("POST", "api/v1/namespaces", {"metadata": {"name": self.name}})
        self.stack.callback(self.send, "DELETE", f"api/v1/namespaces/{self.name}")
        place = f"api/v1/namespaces/{self.name}"
        # An ExternalName leads the API server to this machine; it still asks for a certificate of the Service's name.
        spec = {"type": "ExternalName", "externalName": "localhost"}
        self.send("POST", f"{place}/services", {"metadata": {"name": SERVICE}, "spec": spec})
        for account in (ACCOUNT, "default"):
            self.grant_account(account)
        self.send("POST", f"{place}/secrets", {"metadata": {"name": SECRET}})
        self.grant("Role", "", "secrets", SECRET, ["get", "update"])
        group = "admissionregistration.k8s.io"
        self.grant("ClusterRole", group, "mutatingwebhookconfigurations", self.name, ["get", "patch", "watch"])

    def grant_account(self, name: str) -> None:
        """The controller that makes the default one may be faster, or absent."""
        with suppress(RefusedError):
            self.send("POST", f"api/v1/namespaces/{self.name}/serviceaccounts", {"metadata": {"name": name}})

    def grant(self, kind: str, group: str, resource: str, name: str, verbs: list[str]) -> None:
        place = "apis/rbac.authorization.k8s.io/v1/" + ("" if kind == "ClusterRole" else f"namespaces/{self.name}/")
        rule = {"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": verbs}
        self.send("POST", f"{place}{kind.lower()}s", {"metadata": {"name": self.name}, "rules": [rule]})
        self.stack.callback(self.send, "DELETE", f"{place}{kind.lower()}s/{self.name}")
        binding = {
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": self.name},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.name}],
        }
        self.send("POST", f"{place}{kind.lower()}bindings", binding)
        self.stack.callback(self.send, "DELETE", f"{place}{kind.lower()}bindings/{self.name}")

    def register(self, ports: list[int], **more: str) -> None:
        """One webhook for each replica: the API server asks all of them about each pod."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
        webhooks = [
            {
                "name": f"replica-{port}.podrole.io",
                "clientConfig": {"service": {"namespace": self.name, "name": SERVICE, "port": port}, **more},
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.name}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 5,
            }
            for port in ports
        ]
        place, name = self.configuration_path.rsplit("/", 1)
        self.send("POST", place, {"metadata": {"name": name}, "webhooks": webhooks})
        self.stack.callback(self.send, "DELETE", self.configuration_path)

    def overwrite_bundles(self, bundle: str | None) -> None:
        """As `kubectl replace` with a manifest does it: caBundle, and no trace of ours."""
        document = self.send("GET", self.configuration_path)
        document["metadata"]["annotations"] = {}
        for webhook in document["webhooks"]:
            webhook["clientConfig"].pop("caBundle", None)
            if bundle:
                webhook["clientConfig"]["caBundle"] = base64.b64encode(bundle.encode()).decode()
        self.send("PUT", self.configuration_path, document)

    def bundles(self) -> set[str]:
        webhooks = self.send("GET", self.configuration_path)["webhooks"]
        return {base64.b64decode(webhook["clientConfig"].get("caBundle", "")).decode() for webhook in webhooks}

    def held(self) -> Held:
        try:
            return parse_secret(self.send("GET", self.secret_path))
        except RefusedError:
            return Held()

    def edit_secret(self, **data: str | None) -> None:
        encoded = {k: None if v is None else base64.b64encode(v.encode()).decode() for k, v in data.items()}
        body = {"data": {key.replace("_", "."): value for key, value in encoded.items()}}
        self.send("PATCH", self.secret_path, body, "application/merge-patch+json")

    def create_pod(self) -> None:
        """Through every webhook, without being stored."""
        pod = {
            "metadata": {"generateName": "try-"},
            "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
        }
        self.send("POST", f"api/v1/namespaces/{self.name}/pods?dryRun=All", pod)

    def start_replica(self, *, is_admin: bool = False) -> "Replica":
        """Start one. An administrator may create the Secret."""
        token = self.send(
            "POST",
            f"api/v1/namespaces/{self.name}/serviceaccounts/{ACCOUNT}/token",
            {"spec": {"expirationSeconds": 3600}},
        )
        settings = {
            "kubeconfig": self.api.kubeconfig,
            "token": None if is_admin else token["status"]["token"],
            "namespace": self.name,
            "secret": SECRET,
            "configuration": self.name,
            "service": SERVICE,
            "lifetimes": self.lifetimes,
            "period_seconds": 1 if self.lifetimes else PERIOD_SECONDS,
        }
        log = self.directory / f"replica-{uuid.uuid4().hex[:4]}.log"
        replica = Replica(self, settings, log)
        self.stack.callback(replica.kill)
        return replica


class Replica:
    """One process."""

    def __init__(self, site: Site, settings: dict[str, Any], log: Path) -> None:
        self.site = site
        self.log_file = log
        self.known_port = 0
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster.certificates_replica", json.dumps(settings)],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    @property
    def log(self) -> str:
        """What it said."""
        return self.log_file.read_text()

    @property
    def port(self) -> int:
        """Waits for the first certificate."""
        if not self.known_port:
            assert self.process.stdout
            self.known_port = int(self.process.stdout.readline() or pytest.fail(self.log))
        return self.known_port

    def kill(self) -> None:
        """Also a second time."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def served(self) -> str:
        """The certificate that a handshake gets."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=10)

    def status(self) -> dict[str, Any]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/", timeout=10, context=context) as answer:
            status: dict[str, Any] = json.load(answer)
        return status


@contextmanager
def installed(api: ApiServer, directory: Path, **lifetimes: float) -> Iterator[Site]:
    site = Site(api, directory, lifetimes=lifetimes)
    with site.stack:
        site.install()
        yield site


@pytest.fixture(scope="module")
def site(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with installed(api, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def replicas(site: Site) -> list[Replica]:
    """Two, started at once on an empty Secret; their webhooks come after them."""
    started = [site.start_replica(), site.start_replica()]
    ports = [replica.port for replica in started]
    assert not any(replica.status()["is_ready"] for replica in started)
    site.register(ports)
    await_rest(site, started)
    return started


def await_rest(site: Site, replicas: list[Replica]) -> Held:
    """Until both serve the Secret's leaf, and the API server calls both."""

    def look() -> Held | None:
        held = site.held()
        leaf = held.pair and held.pair.certificate.pem
        is_served = {replica.served() for replica in replicas} == {leaf}
        is_shown = site.bundles() == {"".join(authority.pem for authority in held.authorities)}
        return held if is_served and is_shown and all(r.status()["ca_bundle_in_sync"] for r in replicas) else None

    held = wait_for("the replicas agree", look, REPAIR_SECONDS)
    wait_for("the API server knows of the bundle", lambda: is_accepted(site), REPAIR_SECONDS)
    return held


def is_accepted(site: Site) -> bool:
    try:
        site.create_pod()
    except RefusedError:
        return False
    return True


def test_two_replicas_that_start_at_once_agree_and_the_api_server_calls_both(
    site: Site, replicas: list[Replica]
) -> None:
    held = await_rest(site, replicas)

    site.create_pod()

    assert len(held.authorities) == 1
    assert held.problems == ()
    assert held.pair
    for replica in replicas:
        assert replica.status()["is_ready"]
        assert replica.status()["certificate_not_after"] == held.pair.certificate.not_after
    assert sum(replica.status()["rotations"] for replica in replicas) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda site: (
            site.send("DELETE", site.secret_path)
            and site.send("POST", site.secret_path.rsplit("/", 1)[0], {"metadata": {"name": SECRET}})
        ),
        lambda site: site.edit_secret(ca_crt=None, ca_key=None, tls_crt=None, tls_key=None),
        lambda site: site.edit_secret(ca_key="rubbish"),
        lambda site: site.edit_secret(ca_crt="rubbish"),
        lambda site: site.edit_secret(tls_key="rubbish"),
        lambda site: site.edit_secret(tls_crt=issue_authority(time.time(), Lifetimes()).certificate.pem),
    ],
    ids=["deleted", "emptied", "ca.key", "ca.crt", "tls.key", "tls.crt of another"],
)
def test_a_damaged_secret_is_repaired_without_a_failed_handshake(
    site: Site, replicas: list[Replica], damage: Callable[[Site], object]
) -> None:
    await_rest(site, replicas)
    damage(site)

    while not is_sound(site.held()):
        site.create_pod()
        time.sleep(0.05)
    for _ in range(40):
        site.create_pod()
        time.sleep(0.05)

    held = await_rest(site, replicas)
    assert held.problems == ()
    assert held.authority
    assert not any("a connection failed" in replica.log for replica in replicas)


def is_sound(held: Held) -> bool:
    return held.problems == () and held.authority is not None and held.find_issuer(held.pair) is not None


@pytest.mark.parametrize("bundle", [None, issue_authority(time.time(), Lifetimes()).certificate.pem])
def test_an_overwritten_ca_bundle_is_repaired_in_about_a_second(
    site: Site, replicas: list[Replica], bundle: str | None
) -> None:
    await_rest(site, replicas)
    time.sleep(2)  # so that the pause between two passes is over
    started = time.monotonic()
    site.overwrite_bundles(bundle)

    wait_for("the bundle is back", lambda: site.bundles() not in ({bundle}, {""}), REPAIR_SECONDS)

    assert time.monotonic() - started < PERIOD_SECONDS, "noticed by the next look instead of the watch"
    await_rest(site, replicas)


def test_a_webhook_that_is_added_gets_the_bundle_too(site: Site, replicas: list[Replica]) -> None:
    await_rest(site, replicas)
    document = site.send("GET", site.configuration_path)
    document["webhooks"].append({**document["webhooks"][0], "name": "third.podrole.io"})
    document["webhooks"][-1]["clientConfig"].pop("caBundle")
    site.send("PUT", site.configuration_path, document)

    await_rest(site, replicas)

    assert len(site.send("GET", site.configuration_path)["webhooks"]) == 3


def test_a_killed_replica_comes_back_with_the_same_certificate(site: Site, replicas: list[Replica]) -> None:
    held = await_rest(site, replicas)
    third = site.start_replica()
    assert held.pair

    assert third.served() == held.pair.certificate.pem
    assert third.status()["rotations"] == 0
    third.kill()


def test_annotations_make_a_new_leaf_and_a_new_authority_and_drop_the_old_one(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, settle_seconds=2) as site:
        replicas = [site.start_replica(), site.start_replica()]
        site.register([replica.port for replica in replicas])
        seen = [await_rest(site, replicas)]

        for request in ("leaf", "ca", "drop"):
            annotate = {"metadata": {"annotations": {"podrole.io/rotate": request}}}
            site.send("PATCH", site.secret_path, annotate, "application/merge-patch+json")
            ends = time.monotonic() + REPAIR_SECONDS
            while not is_done(site.held(), seen[-1]) and time.monotonic() < ends:
                site.create_pod()
                time.sleep(0.1)
            seen.append(await_rest(site, replicas))

    first, leaf, ca, drop = seen
    assert leaf.pair != first.pair
    assert leaf.authorities == first.authorities
    assert ca.authorities[1:] == leaf.authorities
    assert ca.find_issuer(ca.pair) == ca.authorities[0]
    assert drop.authorities == ca.authorities[:1]
    assert drop.pair == ca.pair


def is_done(held: Held, before: Held) -> bool:
    """Whether the request is gone, and what follows it is over."""
    return held.request == "" and held != before and held.find_issuer(held.pair) == held.authorities[0]


def test_a_leaf_that_expired_while_nobody_was_there_is_replaced_at_once(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as site:
        long_ago = time.time() - 100 * DAY_SECONDS
        authority = issue_authority(long_ago, Lifetimes())
        leaf = issue_leaf(authority, {f"{SERVICE}.{site.name}.svc"}, long_ago, Lifetimes())
        document = site.send("GET", site.secret_path)
        site.send("PUT", site.secret_path, build_secret(document, Held((authority.certificate,), authority, leaf)))
        replica = site.start_replica()
        site.register([replica.port])

        held = await_rest(site, [replica])

    assert held.authorities == (authority.certificate,)
    assert held.pair
    assert held.pair.certificate.not_after > time.time() + 89 * DAY_SECONDS


def test_authorities_and_leaves_expire_by_the_minute_and_no_pod_fails(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path, authority_seconds=40, leaf_seconds=24, settle_seconds=3) as site:
        replicas = [site.start_replica(), site.start_replica()]
        site.register([replica.port for replica in replicas])
        await_rest(site, replicas)
        seen: list[Held] = []
        ends = time.monotonic() + 120
        while time.monotonic() < ends and not has_rotated(seen):
            site.create_pod()
            seen.append(site.held())
            time.sleep(0.1)
        logs = "".join(replica.log for replica in replicas)

    assert has_rotated(seen)
    assert len(seen[-1].authorities) <= 3
    assert "a connection failed" not in logs


def has_rotated(seen: list[Held]) -> bool:
    """Whether two authorities have come after the first, and the last of them signs."""
    authorities = {authority for held in seen for authority in held.authorities}
    is_over = bool(seen) and seen[-1].find_issuer(seen[-1].pair) == seen[-1].authorities[0]
    return len(authorities) >= 3 and len({held.pair for held in seen}) >= 4 and is_over


def test_an_absent_secret_that_may_not_be_created_is_asked_for(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as site:
        site.send("DELETE", site.secret_path)
        replica = site.start_replica()
        command = f"kubectl create secret generic {SECRET} --namespace {site.name}"
        wait_for("the sentence", lambda: command in replica.log, REPAIR_SECONDS)
        wait_for("progress", lambda: "no certificate yet after" in replica.log, REPAIR_SECONDS)

        site.send("POST", f"api/v1/namespaces/{site.name}/secrets", {"metadata": {"name": SECRET}})

        assert replica.port
        assert site.held().authority
        assert replica.log.count(command) == 1
        assert 'cannot create resource "secrets"' in replica.log


def test_a_write_of_what_somebody_else_wrote_since_is_refused(api: ApiServer, tmp_path: Path) -> None:
    """No replica has an outdated Secret or bundle stored, however long it slept before its write."""
    with installed(api, tmp_path) as site:
        site.register([9443])
        secret = CertificateSecret(load_configuration(api.kubeconfig), site.name, SECRET)
        webhooks = WebhookConfiguration(load_configuration(api.kubeconfig), site.name)
        read, shown = secret.read(), webhooks.read()
        assert read
        assert shown
        authority = issue_authority(time.time(), Lifetimes()).certificate
        secret.write({**read, "data": {"other": ""}})
        webhooks.patch(build_publication(shown, [authority], time.time()))

        with pytest.raises(ConflictError, match=f"Secret {site.name}/{SECRET} was written by somebody else"):
            secret.write({**read, "data": {}})
        with pytest.raises(ConflictError, match=f"MutatingWebhookConfiguration {site.name} was written by somebody"):
            webhooks.patch(build_publication(shown, [], time.time()))

        assert site.bundles() == {authority.pem}


def test_an_absent_secret_is_created_where_that_is_allowed(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as site:
        site.send("DELETE", site.secret_path)
        replica = site.start_replica(is_admin=True)

        served = replica.served()

        assert (leaf := site.held().pair)
        assert served == leaf.certificate.pem


def test_a_deleted_secret_that_may_not_be_created_leaves_the_certificate_in_place(
    api: ApiServer, tmp_path: Path
) -> None:
    with installed(api, tmp_path, settle_seconds=2) as site:
        replica = site.start_replica()
        site.register([replica.port])
        await_rest(site, [replica])
        served = replica.served()
        site.send("DELETE", site.secret_path)
        wait_for("the sentence", lambda: "kubectl create secret generic" in replica.log, REPAIR_SECONDS)

        site.create_pod()

        assert replica.served() == served
        assert replica.status()["failures"] >= 1
        site.send("POST", f"api/v1/namespaces/{site.name}/secrets", {"metadata": {"name": SECRET}})
        assert len(await_rest(site, [replica]).authorities) == 2
