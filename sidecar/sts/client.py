"""How STS and the node's metadata service are asked: endpoint, trust, proxy and keys, by the configuration alone.

Part of the exec'ed child. No variable, file or proxy of anybody else changes where it asks, or whom it trusts.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.utils import InstanceMetadataFetcher

from sidecar.config import Config

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 5
NODE_TIMEOUT_SECONDS = 2
NODE_ATTEMPTS = 2


@dataclass(frozen=True)
class AccessKeys:
    """What an assumed role asks with."""

    owner: str
    """The role that they are of, for people."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True)
class Token:
    """A web identity: it is sent, and nothing is signed."""

    text: str = field(repr=False)
    owner: str = "the web identity"


CallerIdentity = AccessKeys | Token
"""Who asks for a role."""


class Sts:
    """One STS, for as long as the child lives."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = boto3.session.Session(region_name=config.region)
        self._trusted = True if config.sts_ca_pem is None else _write_to_memory(config.sts_ca_pem)

    def assume(self, parameters: dict[str, Any], identity: CallerIdentity) -> dict[str, Any]:
        """Ask for a role once; raises what botocore raises."""
        client = self.build_client(identity)
        if isinstance(identity, Token):
            answer: dict[str, Any] = client.assume_role_with_web_identity(WebIdentityToken=identity.text, **parameters)
        else:
            answer = client.assume_role(**parameters)
        return answer

    def build_client(self, identity: CallerIdentity) -> Any:
        """Make a client that asks once and gives up soon."""
        keys = identity if isinstance(identity, AccessKeys) else None
        proxy = self._config.sts_proxy
        options = ClientConfig(
            signature_version=None if keys else UNSIGNED,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            use_fips_endpoint=self._config.use_fips,
            proxies={"http": proxy, "https": proxy} if proxy else {},  # with None botocore would ask the environment
        )
        return self._session.client(
            "sts",
            endpoint_url=self._config.sts_endpoint,
            config=options,
            verify=self._trusted,
            aws_access_key_id=keys and keys.access_key_id,
            aws_secret_access_key=keys and keys.secret_access_key,
            aws_session_token=keys and keys.session_token,
        )


def fetch_node_keys(config: Config) -> AccessKeys | None:
    """The keys of the node's role, by IMDSv2 and by nothing else; None, without a reason, if there are none."""
    sts_process = InstanceMetadataFetcher(
        timeout=NODE_TIMEOUT_SECONDS,
        num_attempts=NODE_ATTEMPTS,
        base_url=config.node_metadata_endpoint,
        env={},  # the process's own says that there is no such service, for everything else in the SDK
        config={"ec2_metadata_v1_disabled": True},
    )
    found = sts_process.retrieve_iam_role_credentials()
    if not found:
        return None
    return AccessKeys(f"the node's role {found['role_name']}", found["access_key"], found["secret_key"], found["token"])


def _write_to_memory(pem: str) -> str:
    """A path for the SDK, which takes no text. It ends with this process."""
    descriptor = os.memfd_create("podrole-sts-ca")
    os.write(descriptor, pem.encode())
    return f"/proc/self/fd/{descriptor}"
