"""Where `trust-policy` knows the issuer and the users of roles from: options, manifests, or the live cluster."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from injector.errors import ClusterError
from injector.k8s.workloads import find_objects
from podrole.iam.usage import Account, ClusterObjects, RoleUsage, find_usage
from podrole.progress import progress_message
from podrole.yaml.documents import error_context, read_documents


@dataclass
class RoleUsageLoader:
    """Asks for each thing at most once, and connects only if something must be asked."""

    options: Mapping[str, Any]
    account: Account
    stack: ExitStack

    @cached_property
    def issuer_url(self) -> str:
        """The issuer's URL: of the option, else of the live cluster."""
        if given := self.options["issuer"]:
            return str(given)
        from injector.k8s.discovery import fetch_issuer  # noqa: PLC0415 - as below

        try:
            with progress_message("reading the cluster's issuer"):
                return fetch_issuer(self._client)
        except ClusterError as error:
            raise ClusterError(f"{error}. Without the cluster: give the issuer of its tokens with --issuer") from error

    @cached_property
    def usage(self) -> RoleUsage:
        """Who uses which role: by manifests where some are given, else in the live cluster."""
        inventory = ClusterObjects()
        if self.options["filenames"]:
            for document in read_documents(self.options["filenames"], recursive=self.options["recursive"]):
                with error_context(document):
                    for thing, _ in find_objects(document.content):
                        inventory.add(thing)
        else:
            self._learn_cluster(inventory)
        return find_usage(inventory, self.account)

    def _learn_cluster(self, inventory: ClusterObjects) -> None:
        from injector.k8s.discovery import COLLECTIONS, list_objects  # noqa: PLC0415 - as below

        for kind in COLLECTIONS:
            with progress_message(f"listing every {kind} of the cluster"):
                for thing in list_objects(self._client, kind):
                    inventory.add(thing)

    @cached_property
    def _client(self) -> Any:
        from injector.k8s.inspection import ApiClient  # noqa: PLC0415 - imports the Kubernetes client: half a second
        from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - likewise

        return self.stack.enter_context(ApiClient(load_kubeconfig(self.options["kubeconfig"], self.options["context"])))
