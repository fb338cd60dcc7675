"""Finds the API server and the credentials for it: the pod's own ServiceAccount, or a kubeconfig."""

import os

from kubernetes import config
from kubernetes.client import Configuration

from injector.errors import ClusterError


def load_configuration() -> Configuration:
    """For the injector: the pod's own ServiceAccount; outside of a cluster, the kubeconfig that kubectl would use."""
    configuration = Configuration()
    if not _load_service_account(configuration):
        try:
            config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # not annotated
        except (config.ConfigException, OSError) as error:
            message = f"no cluster: there is neither a ServiceAccount token of a pod nor a kubeconfig ({error})"
            raise ClusterError(message) from error
    return configuration


def load_kubeconfig(path: str | None = None, context: str | None = None) -> Configuration:
    """For commands, in kubectl's order: the given kubeconfig, KUBECONFIG, ~/.kube/config, then the pod's own account.

    A user who has a kubeconfig inside of a pod means the kubeconfig.
    """
    configuration = Configuration()
    file = path or os.environ.get("KUBECONFIG") or None
    try:
        config.load_kube_config(file, context, configuration)  # type: ignore[no-untyped-call] # not annotated there
    except (config.ConfigException, OSError, ValueError) as error:
        if path is None and context is None and _load_service_account(configuration):
            return configuration
        named = "".join([f" {file}" if file else "", f", context {context}" if context else ""])
        raise ClusterError(f"the kubeconfig{named} cannot be used: {error}") from error
    return configuration


def _load_service_account(configuration: Configuration) -> bool:
    try:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call] # not annotated there
    except config.ConfigException:
        return False
    return True
