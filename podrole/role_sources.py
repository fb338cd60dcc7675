"""Loads what `trust-policy` needs, the issuer and the use of roles, from options, manifests or the live cluster."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from injector.errors import ClusterError
from injector.k8s.workloads import find_objects
from podrole.error_context import error_context
from podrole.iam.usage import Account, ClusterObjects, RoleUsage, find_usage
from podrole.progress import progress_message
from podrole.yaml.documents import read_documents


@dataclass
class RoleUsageLoader:
    """Loads each thing at most once, and connects to the cluster only if it must."""

    options: Mapping[str, Any]
    account: Account
    stack: ExitStack

    @cached_property
    def issuer_url(self) -> str:
        """The issuer's URL: from the option, else from the live cluster."""
        if given := self.options["issuer"]:
            return str(given)
        from injector.k8s.discovery import fetch_issuer  # noqa: PLC0415 - as below

        try:
            with progress_message("reading the cluster's issuer"):
                return fetch_issuer(self._client)
        except ClusterError as error:
            raise ClusterError(f"{error}. Without a cluster, give the issuer of its tokens with --issuer") from error

    @cached_property
    def usage(self) -> RoleUsage:
        """Which ServiceAccounts use which role: in the given manifests, else in the live cluster."""
        objects = ClusterObjects()
        if self.options["filenames"]:
            for document in read_documents(self.options["filenames"], recursive=self.options["recursive"]):
                with error_context(document.location):
                    for obj, _ in find_objects(document.content):
                        objects.add(obj)
        else:
            self._add_cluster_objects(objects)
        return find_usage(objects, self.account)

    def _add_cluster_objects(self, objects: ClusterObjects) -> None:
        from injector.k8s.discovery import COLLECTIONS, list_objects  # noqa: PLC0415 - as below

        for kind in COLLECTIONS:
            with progress_message(f"listing every {kind} of the cluster"):
                for obj in list_objects(self._client, kind):
                    objects.add(obj)

    @cached_property
    def _client(self) -> Any:
        from injector.k8s.client import ApiClient  # noqa: PLC0415 - imports the Kubernetes client: half a second
        from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - likewise

        return self.stack.enter_context(ApiClient(load_kubeconfig(self.options["kubeconfig"], self.options["context"])))
