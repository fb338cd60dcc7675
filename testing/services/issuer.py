"""An OIDC issuer like a cluster's: it signs ServiceAccount tokens and publishes its discovery document and keys.

It serves static files, as many real issuers do.
"""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from testing.services.programs import Popen, Program, running

HTTP_SERVER = (sys.executable, "-u", "-m", "http.server")
ALGORITHM = "RS256"
AUDIENCE = "sts.amazonaws.com"
LIFETIME_SECONDS = 3600


def build_key() -> rsa.RSAPrivateKey:
    """Generate an RSA key of kubeadm's size."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issuer:
    """Signs tokens; its URL is their issuer."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=build_key, repr=False)
    key_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """The id of the key in tokens and in the key set. A forger can copy it."""

    def token(self, subject: str, audience: str = AUDIENCE, lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        """Sign a token of `system:serviceaccount:<namespace>:<name>`. It has expired if the lifetime is negative."""
        claims = build_claims(subject, audience, lifetime_seconds) | {"iss": self.url}
        return jwt.encode(claims, self.key, ALGORITHM, {"kid": self.key_id})

    def forger(self) -> "Issuer":
        """An issuer with the same URL and key id, but another key."""
        return Issuer(self.url, key_id=self.key_id)

    def build_documents(self) -> dict[str, dict[str, Any]]:
        """The discovery document and the key set: path -> content.

        https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
        """
        keys_path = "openid/v1/jwks"
        public_key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        discovery = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/{keys_path}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }
        keys = {"keys": [public_key | {"use": "sig", "alg": ALGORITHM, "kid": self.key_id}]}
        return {".well-known/openid-configuration": discovery, keys_path: keys}


def build_claims(subject: str, audience: str, lifetime_seconds: int) -> dict[str, Any]:
    """The claims of a token that is bound to a pod, without the issuer."""
    _, _, namespace, account = subject.split(":")
    now = int(time.time())
    issued_at = now if lifetime_seconds > 0 else now + 2 * lifetime_seconds
    return {
        "aud": [audience],
        "exp": now + lifetime_seconds,
        "iat": issued_at,
        "nbf": issued_at,
        "jti": str(uuid.uuid4()),
        "sub": subject,
        "kubernetes.io": {
            "namespace": namespace,
            "node": {"name": "node-1", "uid": str(uuid.uuid4())},
            "pod": {"name": f"{account}-0", "uid": str(uuid.uuid4())},
            "serviceaccount": {"name": account, "uid": str(uuid.uuid4())},
        },
    }


@contextmanager
def issuer(
    directory: Path, address: str = "127.0.0.1", port: int = 0, popen: Popen = subprocess.Popen
) -> Iterator[Issuer]:
    """Run an issuer and serve its public documents; port 0: a free port."""
    documents = directory / "issuer"
    documents.mkdir()
    program = Program(
        name="issuer",
        argv=(*HTTP_SERVER, "--bind", address, "--directory", str(documents), str(port)),
        ready=r"Serving HTTP on .*\((http://\S+)/\)",
        remedy="free the port",
    )
    with running(program, directory, popen) as match:
        signer = Issuer(match[1])
        for path, document in signer.build_documents().items():
            file = documents / path
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(document))
        yield signer
