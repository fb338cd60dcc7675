"""Sends requests to the API server: where it is, whom to trust and who asks is the package kubernetes' business."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import client
from kubernetes.client import rest

import contract

PATHS = {"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/serviceaccounts"}
"""Kind: where all its objects are."""

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What is sent to be stored."""

    method: str
    document: Any
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Request:
    """What the API server is asked."""

    path: str
    accept: str
    timeout: urllib3.Timeout
    """To connect, and to wait for each part of the answer."""

    query: Mapping[str, str] | None = None
    change: RequestBody | None = None


class StatusError(Exception):
    """The API server answered, and not with success. The message is its own, which names account, verb and object."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class Transport:
    """Asks with the package's configuration and connection pool, but not through its generated methods.

    Those cost 22 MiB and a second at the start, and all that they add is to check our arguments and to decode answers
    into models, which know no PartialObjectMetadata. Nothing is connected before the first request, so that a
    transport may be made before a fork.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        # Each retry would add the whole timeout once more, and nothing bounds them together.
        configuration.retries = False
        # A connection that was forgotten on its way (a NAT's, a balancer's) would swallow the next request.
        configuration.keep_alive = True
        self._configuration = configuration
        self._pool = rest.RESTClientObject(configuration).pool_manager

    def open(self, request: Request) -> Any:
        """The answer, not read yet. Raises StatusError, HTTPError, for a token's file OSError or ConfigException."""
        change = request.change
        headers = {
            "Accept": request.accept,
            "User-Agent": f"podrole-injector/{contract.VERSION}",
            **self.auth_headers(),
        }
        response = self._pool.request(
            change.method if change else "GET",
            self._configuration.host + request.path + (f"?{urlencode(request.query)}" if request.query else ""),
            body=json.dumps(change.document) if change else None,
            headers=headers | ({"Content-Type": change.content_type} if change else {}),
            timeout=request.timeout,
            preload_content=False,
        )
        if response.status not in SUCCESS:
            with closing(response):
                raise StatusError(response.status, _read_message(response))
        return response

    def fetch(self, request: Request) -> Any:
        """The answer's JSON. Raises what `open` raises, and ValueError."""
        return json.loads(self.open(request).data)

    def close(self) -> None:
        """Close all connections; a further request opens one again."""
        self._pool.clear()

    def auth_headers(self) -> dict[str, str]:
        """The header that says who asks. Asked for each request, as a token's file or plugin may have another one."""
        bearer = self._configuration.auth_settings().get("BearerToken")
        return {bearer["key"]: bearer["value"]} if bearer and bearer["value"] else {}


def build_path(*segments: str) -> str:
    """The path of an object, whose name a user may have made up."""
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _read_message(response: Any) -> str:
    try:
        return str(json.loads(response.data)["message"])
    except (ValueError, LookupError, TypeError):
        return str(response.reason)
