"""A namespace with an installation in it whose replicas keep the certificates, and when all of them are at rest."""

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from injector.certs.ca_store import SecretState, parse_secret
from tests.integration.api_server.api import ApiServer, Manifest, RefusedError, wait_for
from tests.integration.api_server.certificates.replica import Replica

SECRET = "podrole-injector-certs"
SERVICE = ACCOUNT = "podrole-injector"
PERIOD_SECONDS = 10
REPAIR_SECONDS = 60
"""Patience with a machine under load. What is promised is one period, and for the configuration about a second."""


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

    def secret(self) -> SecretState:
        try:
            return parse_secret(self.send("GET", self.secret_path))
        except RefusedError:
            return SecretState()

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

    def start_replica(self, *, is_admin: bool = False) -> Replica:
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
        replica = Replica(settings, log)
        self.stack.callback(replica.kill)
        return replica


@contextmanager
def installed(api: ApiServer, directory: Path, **lifetimes: float) -> Iterator[Site]:
    site = Site(api, directory, lifetimes=lifetimes)
    with site.stack:
        site.install()
        yield site


def await_rest(site: Site, replicas: list[Replica]) -> SecretState:
    """Until both serve the Secret's leaf, and the API server calls both."""

    def look() -> SecretState | None:
        secret = site.secret()
        leaf = secret.pair and secret.pair.certificate.pem
        is_served = {replica.served() for replica in replicas} == {leaf}
        is_shown = site.bundles() == {"".join(ca.pem for ca in secret.cas)}
        return secret if is_served and is_shown and all(r.status()["ca_bundle_in_sync"] for r in replicas) else None

    secret = wait_for("the replicas agree", look, REPAIR_SECONDS)
    wait_for("the API server knows of the bundle", lambda: is_accepted(site), REPAIR_SECONDS)
    return secret


def is_accepted(site: Site) -> bool:
    try:
        site.create_pod()
    except RefusedError:
        return False
    return True
