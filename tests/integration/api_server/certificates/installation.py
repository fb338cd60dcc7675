"""An installation of the injector in its own namespace, whose replicas are processes on this machine."""

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from injector.certs.ca_store import SecretState, parse_secret
from testing.cluster.api import ApiServer, Manifest, RefusedError, wait_for
from testing.repository import ROOT
from tests.integration.api_server.certificates.replica import Replica

SECRET = "podrole-injector-certs"
SERVICE = ACCOUNT = "podrole-injector"
PERIOD_SECONDS = 10
REPAIR_SECONDS = 60
"""For a machine under load. Documented are one polling interval, and about a second for the configuration."""


@dataclass
class Installation:
    """The objects of one installation. Its webhooks are called for pods of its namespace."""

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
        """Create the namespace, the Service, the empty Secret, and the ServiceAccount with its permissions."""
        self.send("POST", "api/v1/namespaces", {"metadata": {"name": self.name}})
        self.stack.callback(self.send, "DELETE", f"api/v1/namespaces/{self.name}")
        path = f"api/v1/namespaces/{self.name}"
        # An ExternalName leads the API server to this machine; it still verifies the name of the Service.
        spec = {"type": "ExternalName", "externalName": "localhost"}
        self.send("POST", f"{path}/services", {"metadata": {"name": SERVICE}, "spec": spec})
        for account in (ACCOUNT, "default"):
            self.grant_account(account)
        self.send("POST", f"{path}/secrets", {"metadata": {"name": SECRET}})
        self.grant("Role", "", "secrets", SECRET, ["get", "update"])
        group = "admissionregistration.k8s.io"
        self.grant("ClusterRole", group, "mutatingwebhookconfigurations", self.name, ["get", "patch", "watch"])
        self.guard()

    def guard(self) -> None:
        """Create the policy for what the account changes, as an installation has it."""
        text = (ROOT / "kustomize/base/guard/injector.yaml").read_text()
        for manifest in yaml.safe_load_all(text.replace("podrole-system", self.name)):
            manifest["metadata"]["name"] = self.name
            if manifest["kind"] == "ValidatingAdmissionPolicyBinding":
                manifest["spec"]["policyName"] = self.name
            self.api.create(manifest)
            self.stack.callback(self.api.delete, manifest["kind"], self.name)

    def grant_account(self, name: str) -> None:
        """Create a ServiceAccount, unless a controller was faster."""
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
        """Create a configuration with one webhook for each replica: the API server calls all of them for each pod."""
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
        """Replace every caBundle and remove the annotation, as `kubectl replace` does with a manifest."""
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

    def create_pod(self) -> Manifest:
        """In a dry run, which calls every webhook; return what would be stored."""
        pod = {
            "metadata": {"generateName": "try-"},
            "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
        }
        return self.send("POST", f"api/v1/namespaces/{self.name}/pods?dryRun=All", pod)

    def start_replica(self, *, is_admin: bool = False, clock: Path | None = None) -> Replica:
        """Start a process. An administrator can also create the Secret.

        `clock` is a file with the number of seconds by which its clock is ahead.
        """
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
            "clock": str(clock) if clock else None,
            "service": SERVICE,
            "lifetimes": self.lifetimes,
            "poll_seconds": 1 if self.lifetimes else PERIOD_SECONDS,
        }
        log = self.directory / f"replica-{uuid.uuid4().hex[:4]}.log"
        replica = Replica(settings, log)
        self.stack.callback(replica.kill)
        return replica


@contextmanager
def installed(api: ApiServer, directory: Path, **lifetimes: float) -> Iterator[Installation]:
    installation = Installation(api, directory, lifetimes=lifetimes)
    with installation.stack:
        installation.install()
        yield installation


def await_rest(installation: Installation, replicas: list[Replica]) -> SecretState:
    """Wait until all replicas serve the Secret's certificate, and the API server accepts it."""

    def read() -> SecretState | None:
        secret = installation.secret()
        stored = secret.pair and secret.pair.certificate.pem
        is_served = {replica.served() for replica in replicas} == {stored}
        is_published = installation.bundles() == {"".join(ca.pem for ca in secret.cas)}
        return secret if is_served and is_published and all(r.status()["ca_bundle_in_sync"] for r in replicas) else None

    secret = wait_for("the replicas agree", read, REPAIR_SECONDS)
    wait_for("the API server accepts the certificate", lambda: is_accepted(installation), REPAIR_SECONDS)
    return secret


def is_accepted(installation: Installation) -> bool:
    try:
        installation.create_pod()
    except RefusedError:
        return False
    return True
