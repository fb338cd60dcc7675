"""A request to the API server, before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypedDict
from urllib.parse import quote

from urllib3 import Timeout

from injector.k8s.answers import Target, parse_path

JSON = "application/json"
METADATA = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Lists are merged by key, webhooks by name: fields that the patch leaves out keep their values.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
"""https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb"""


class Options(TypedDict, total=False):
    """Optional parts of a request; see `Request`."""

    description: str
    query: Mapping[str, str]
    accept: str
    timeout: Timeout


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API server."""

    verb: str
    path: str
    description: str = ""
    """The object's name in error messages; empty: its path."""

    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = JSON
    timeout: Timeout | None = None
    """None: the client's own."""

    body: Any = None
    content_type: str = JSON

    @property
    def target(self) -> Target | None:
        """What the path is about; None for one without a resource, such as `/version`."""
        return parse_path(self.path)

    @property
    def action(self) -> str:
        """For error messages, such as `get ServiceAccount team-a/web`."""
        return f"{self.verb} {self.description or self.path}"

    def with_query(self, parameters: Mapping[str, str]) -> Self:
        """The same request with more query parameters."""
        return replace(self, query={**self.query, **parameters})


def build_path(*segments: str) -> str:
    """A path of the core API group. Quoted, as a name can come from a user."""
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)
