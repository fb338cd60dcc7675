"""Signs calls of STS by boto3. `sidecar.http_client` sends them, within its limits on time and size.

Part of the child process. Endpoint, CA, proxy and keys come from the configuration only: the container's AWS variables,
files and proxies do not affect them.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config as ClientConfig

from sidecar.config import Config
from sidecar.http_client.client import Request
from sidecar.http_client.url import parse_url
from sidecar.sts.endpoints import find_sts_url


@dataclass(frozen=True)
class AccessKeys:
    """Access keys of a role that assumes another role."""

    owner: str
    """The role, for messages."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class SignedError(Exception):
    """Ends a call of boto3 with the request that it would send."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class Sts:
    """The STS endpoint of this configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = boto3.session.Session(region_name=config.region)

    def sign(self, parameters: dict[str, Any], keys: AccessKeys) -> Request:
        """Return a signed request for AssumeRole; raise what botocore raises."""
        try:
            self.build_client(keys).assume_role(**parameters)
        except SignedError as signed:
            return signed.request
        raise AssertionError("boto3 sent a request")

    def build_client(self, keys: AccessKeys) -> Any:
        """Build a client that signs requests and sends none."""
        client = self._session.client(
            "sts",
            endpoint_url=find_sts_url(self._config),
            config=ClientConfig(retries={"total_max_attempts": 1}, proxies={}),  # with None it would read proxies
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
        )
        client.meta.events.register("before-send.sts", _raise_signed)
        return client


def _raise_signed(request: AWSPreparedRequest, **_: Any) -> NoReturn:
    headers = {
        name: value.decode("ascii") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
        if name.lower() != "content-length"
    }
    body = request.body.encode("ascii") if isinstance(request.body, str) else request.body
    raise SignedError(Request(request.method, parse_url(request.url), headers, body))
