"""Clients for signed calls of STS and for the node's metadata service, by boto3.

Part of the child process. Endpoint, CA, proxy and keys come from the configuration only: the container's AWS variables,
files and proxies do not affect them.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config as ClientConfig
from botocore.utils import InstanceMetadataFetcher

from sidecar.config import Config
from sidecar.deadlines import NODE_KEYS_SECONDS, SIGNED_CONNECT_SECONDS, SIGNED_READ_SECONDS
from sidecar.sts.endpoints import find_sts_url

NODE_ATTEMPTS = 2


@dataclass(frozen=True)
class AccessKeys:
    """Access keys of a role that assumes another role."""

    owner: str
    """The role, for messages."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class Sts:
    """The STS endpoint of this configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = boto3.session.Session(region_name=config.region)
        self._ca_bundle = True if config.sts_ca_pem is None else _write_to_memory_file(config.sts_ca_pem)

    def assume(self, parameters: dict[str, Any], keys: AccessKeys) -> dict[str, Any]:
        """Call AssumeRole once; raise what botocore raises."""
        response: dict[str, Any] = self.build_client(keys).assume_role(**parameters)
        return response

    def build_client(self, keys: AccessKeys) -> Any:
        """Build a client without retries and with short timeouts."""
        proxy = self._config.sts_proxy
        options = ClientConfig(
            connect_timeout=SIGNED_CONNECT_SECONDS,
            read_timeout=SIGNED_READ_SECONDS,
            retries={"total_max_attempts": 1},
            proxies={"http": proxy, "https": proxy} if proxy else {},  # with None botocore would read the environment
        )
        return self._session.client(
            "sts",
            endpoint_url=find_sts_url(self._config),
            config=options,
            verify=self._ca_bundle,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
        )


def fetch_node_keys(config: Config) -> AccessKeys | None:
    """Return the access keys of the node's role, by IMDSv2 only; None, without a reason, if it returns none."""
    fetcher = InstanceMetadataFetcher(
        timeout=NODE_KEYS_SECONDS,
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
