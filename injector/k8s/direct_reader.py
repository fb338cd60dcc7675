"""Reads namespaces and ServiceAccounts from the API server, each time. Only its version is cached."""

import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.deadlines import LIVE_READ_SECONDS
from injector.errors import (
    ClusterError,
    NotFoundError,
    ObjectError,
    ObjectTooLargeError,
    UnreachableError,
)
from injector.k8s.api_errors import translate_object_errors
from injector.k8s.cached_metadata import MAX_FIELDS, ReadObject, join_key
from injector.k8s.client import ApiClient
from injector.k8s.metadata_stream import MAX_OBJECT_BYTES, read_single
from injector.k8s.objects import Metadata
from injector.k8s.request import METADATA, Request, build_path
from injector.k8s.version import Version, read_version
from server.clocks import read_boottime

DESCRIPTIONS = {"Namespace": "namespace", "ServiceAccount": "ServiceAccount"}
"""Kind: its name in messages."""

MAX_VERSION_BYTES = 64 * 1024
"""Of the only document that is read as JSON; it has about 400 bytes."""

VERSION_TTL_SECONDS = 3600
VERSION_RETRY_SECONDS = 60

Answer = TypeVar("Answer")


class DirectReader:
    """A MetadataReader without a cache."""

    def __init__(self, configuration: Configuration, clock: Callable[[], float] = read_boottime) -> None:
        self._client = ApiClient(configuration, max_object_bytes=MAX_VERSION_BYTES)
        self._clock = clock
        self._version: Version | None = None
        self._version_due = 0.0

    def namespace(self, name: str, timeout_seconds: float = LIVE_READ_SECONDS) -> Metadata | None:
        """A namespace's labels and annotations that decisions read, or None if there is no such namespace."""
        return self._read_metadata("Namespace", name, build_path("namespaces", name), timeout_seconds)

    def service_account(self, namespace: str, name: str, timeout_seconds: float = LIVE_READ_SECONDS) -> Metadata | None:
        """A ServiceAccount's annotations that decisions read, or None if there is no such account."""
        path = build_path("namespaces", namespace, "serviceaccounts", name)
        return self._read_metadata("ServiceAccount", join_key(namespace, name), path, timeout_seconds)

    def version(self, timeout_seconds: float = LIVE_READ_SECONDS) -> Version | None:
        """Major and minor version of the API server, read again after an hour, as clusters are upgraded.

        A failure to read it again keeps the last one: a pod waits for the answer, and it was right an hour ago.
        """
        if self.is_version_known:
            return self._version
        now = self._clock()
        if self._version is not None:  # other threads use it meanwhile
            self._version_due = now + VERSION_RETRY_SECONDS
        try:
            self._version = self._read_version(timeout_seconds)
            self._version_due = now + VERSION_TTL_SECONDS
        except ClusterError:
            if self._version is None:
                raise
        return self._version

    @property
    def is_version_known(self) -> bool:
        """Whether `version` returns without a request."""
        return self._version is not None and self._clock() < self._version_due

    def is_cached(self, namespace: str, service_account: str) -> bool:  # noqa: ARG002 - the interface's
        """False: every read is a request."""
        return False

    def _read_metadata(self, kind: str, key: str, path: str, timeout_seconds: float) -> Metadata | None:
        description = f"{DESCRIPTIONS[kind]} {key}"

        def read(timeout: Timeout) -> ReadObject:
            request = Request("get", path, description, accept=METADATA, timeout=timeout)
            data = self._client.read(request, MAX_OBJECT_BYTES)
            with translate_object_errors(request.action):
                read_object = read_single(kind, data)
                if read_object.key != key:
                    raise ObjectError("it is another object")
                return read_object

        try:
            found = self._send(read, description, timeout_seconds)
        except NotFoundError:
            return None
        if found.metadata is None:
            raise ObjectTooLargeError(
                f"{description} has more than {MAX_FIELDS} labels, annotations and other entries of metadata"
            )
        return found.metadata

    def _read_version(self, timeout_seconds: float) -> Version:
        description = "the API server's version"
        document = self._send(
            lambda timeout: self._client.get("/version/", description=description, timeout=timeout),
            description,
            timeout_seconds,
        )
        with translate_object_errors(f"get {description}"):
            return read_version(document)

    def _send(self, send: Callable[[Timeout], Answer], description: str, timeout_seconds: float) -> Answer:
        """Send a request; once more, in what is left of its time, if no complete answer came.

        A server that restarts, or a load balancer, can close a connection while it is opened, while the request is on
        its way, or within the answer. A new connection can still succeed, also at another server:
        https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
        """
        if timeout_seconds <= 0:
            raise UnreachableError(f"cannot get {description}: the reads before took all of the time")
        deadline = time.monotonic() + timeout_seconds
        try:
            return send(Timeout(total=timeout_seconds))
        except UnreachableError:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
        return send(Timeout(total=left))
