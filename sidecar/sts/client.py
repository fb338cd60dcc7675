"""Clients for STS and the node's metadata service: endpoint, CA, proxy and keys come from the configuration only.

Part of the child process. The container's AWS variables, files and proxies do not affect them.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.utils import InstanceMetadataFetcher

from sidecar.config import Config
from sidecar.sts.endpoints import find_sts_url

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 5
NODE_TIMEOUT_SECONDS = 2
NODE_ATTEMPTS = 2


@dataclass(frozen=True)
class AccessKeys:
    """Access keys of a role that assumes another role."""

    owner: str
    """The role, for messages."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True)
class Token:
    """A web identity token. The request that sends it is not signed."""

    text: str = field(repr=False)
    owner: str = "the web identity"


CallerIdentity = AccessKeys | Token
"""The caller of AssumeRole or AssumeRoleWithWebIdentity."""


class Sts:
    """The STS endpoint of this configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = boto3.session.Session(region_name=config.region)
        self._ca_bundle = True if config.sts_ca_pem is None else _write_to_memory_file(config.sts_ca_pem)

    def assume(self, parameters: dict[str, Any], identity: CallerIdentity) -> dict[str, Any]:
        """Call STS once; raise what botocore raises."""
        client = self.build_client(identity)
        if isinstance(identity, Token):
            response: dict[str, Any] = client.assume_role_with_web_identity(
                WebIdentityToken=identity.text, **parameters
            )
        else:
            response = client.assume_role(**parameters)
        return response

    def build_client(self, identity: CallerIdentity) -> Any:
        """Build a client without retries and with short timeouts."""
        keys = identity if isinstance(identity, AccessKeys) else None
        proxy = self._config.sts_proxy
        options = ClientConfig(
            signature_version=None if keys else UNSIGNED,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            proxies={"http": proxy, "https": proxy} if proxy else {},  # with None botocore would read the environment
        )
        return self._session.client(
            "sts",
            endpoint_url=find_sts_url(self._config),
            config=options,
            verify=self._ca_bundle,
            aws_access_key_id=keys and keys.access_key_id,
            aws_secret_access_key=keys and keys.secret_access_key,
            aws_session_token=keys and keys.session_token,
        )


def fetch_node_keys(config: Config) -> AccessKeys | None:
    """Return the access keys of the node's role, by IMDSv2 only; None, without a reason, if it returns none."""
    fetcher = InstanceMetadataFetcher(
        timeout=NODE_TIMEOUT_SECONDS,
        num_attempts=NODE_ATTEMPTS,
        base_url=config.node_metadata_endpoint,
        env={},  # the process's own environment disables the metadata service
        config={"ec2_metadata_v1_disabled": True},
    )
    keys = fetcher.retrieve_iam_role_credentials()
    if not keys:
        return None
    return AccessKeys(f"the node's role {keys['role_name']}", keys["access_key"], keys["secret_key"], keys["token"])


def _write_to_memory_file(pem: str) -> str:
    """Return a path for the SDK, which accepts only files. The file vanishes with this process."""
    descriptor = os.memfd_create("podrole-sts-ca")
    os.write(descriptor, pem.encode())
    return f"/proc/self/fd/{descriptor}"
