"""How a person's commands reach the cluster: as kubectl would. The webhook has its own way, in `live`."""

import os

from kubernetes import client, config

from injector.errors import ClusterError


def load_kubeconfig(path: str | None = None, context: str | None = None) -> client.Configuration:
    """Read a kubeconfig (else KUBECONFIG, else ~/.kube/config), or the pod's own account where there is none.

    The order is kubectl's: a person in a pod who has a kubeconfig means that one.
    """
    configuration = client.Configuration()
    file = path or os.environ.get("KUBECONFIG") or None
    try:
        config.load_kube_config(file, context, configuration)  # type: ignore[no-untyped-call] # not annotated there
    except (config.ConfigException, OSError, ValueError) as error:
        if path is None and context is None and _load_account(configuration):
            return configuration
        named = "".join([f" {file}" if file else "", f", context {context}" if context else ""])
        raise ClusterError(f"the kubeconfig{named} cannot be used: {error}") from error
    return configuration


def _load_account(configuration: client.Configuration) -> bool:
    try:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call] # not annotated there
    except config.ConfigException:
        return False
    return True
