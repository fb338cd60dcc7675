"""Finds the API server and the credentials for it: the pod's own ServiceAccount, or a kubeconfig."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kubernetes import config
from kubernetes.client import Configuration
from yaml import YAMLError

from contract.text import quote
from injector.errors import ClusterError

INVALID = (config.ConfigException, OSError, ValueError, YAMLError, AttributeError, KeyError, TypeError)
"""What the client raises for a kubeconfig that is missing or not valid: it does not check the types of fields."""

MAX_PLUGIN_ERROR = 500
"""Characters that an error shows of what an exec plugin wrote."""


def load_configuration() -> Configuration:
    """For the injector: the pod's own ServiceAccount; outside of a cluster, the kubeconfig that kubectl would use."""
    configuration = Configuration()
    if not _load_service_account(configuration):
        try:
            _load_kube_config(configuration)
        except INVALID as error:
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
        _load_kube_config(configuration, file, context)
    except INVALID as error:
        if path is None and context is None and _load_service_account(configuration):
            return configuration
        raise ClusterError(_describe(file, context, " ".join(str(error).split()))) from error
    return configuration


def load_namespace(path: str | None = None, context: str | None = None) -> str:
    """The namespace of a context, as kubectl uses it: `default` if it names none, or without a kubeconfig."""
    try:
        contexts, current = config.list_kube_config_contexts(path or os.environ.get("KUBECONFIG") or None)  # type: ignore[no-untyped-call] # not annotated there
    except INVALID:
        return "default"
    chosen = next((one for one in contexts if one["name"] == context), None) if context else current
    return str((chosen or {}).get("context", {}).get("namespace") or "default")


def _describe(file: str | None, context: str | None, problem: str) -> str:
    """Say why there is no kubeconfig, and what to do."""
    files = (file or config.KUBE_CONFIG_DEFAULT_LOCATION).split(os.pathsep)
    if not any(Path(one).expanduser().exists() for one in files):
        return f"there is no kubeconfig {' or '.join(files)}: name one with --kubeconfig or in KUBECONFIG"
    named = "".join([f" {file}" if file else "", f", context {context}" if context else ""])
    hint = "; kubectl config get-contexts lists the contexts, and --context chooses one" if "context" in problem else ""
    return f"the kubeconfig{named} cannot be used: {problem}{hint}"


def _load_kube_config(configuration: Configuration, file: str | None = None, context: str | None = None) -> None:
    with _raise_plugin_errors():
        config.load_kube_config(file, context, configuration)  # type: ignore[no-untyped-call] # not annotated there
    renew: Any = configuration.refresh_api_key_hook
    if renew is None:  # no token
        return

    def renew_or_raise(renewed: Configuration) -> None:
        with _raise_plugin_errors():
            renew(renewed)

    configuration.refresh_api_key_hook = renew_or_raise  # type: ignore[assignment] # declared as None there


class _PluginErrors(logging.Handler):
    """Keeps what the client logs on the root logger: only why it has no credentials of an exec plugin."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root" and record.module == "kube_config":
            # The client fails to strip an error output that it has not, as the plugin wrote it to the terminal.
            is_shown = isinstance(sys.exc_info()[1], AttributeError)
            self.messages.append("its error is above" if is_shown else " ".join(record.getMessage().split()))


@contextmanager
def _raise_plugin_errors() -> Iterator[None]:
    """Raise ClusterError if an exec plugin fails: the client would log its whole output, and go on without credentials.

    On a terminal the plugin's standard error is the terminal, as with kubectl: it can ask for a password.
    """
    root, errors = logging.getLogger(), _PluginErrors()
    root.addHandler(errors)
    try:
        yield
    finally:
        root.removeHandler(errors)
    if errors.messages:
        message = quote(errors.messages[0], MAX_PLUGIN_ERROR)
        raise ClusterError(f"the kubeconfig's exec plugin failed: {message}")


def _load_service_account(configuration: Configuration) -> bool:
    """Whether there is one; raise ClusterError if its files cannot be read."""
    try:
        _read_service_account(configuration)
    except config.ConfigException:
        return False
    except (OSError, ValueError) as error:
        raise ClusterError(f"the token or the CA of the pod's ServiceAccount cannot be read: {error}") from error
    configuration.refresh_api_key_hook = _renew_token  # type: ignore[assignment] # declared as None there
    return True


def _renew_token(configuration: Configuration) -> None:
    """Read the token, for each request: the client's own hook keeps it until a minute has passed by the wall clock.

    A clock that was years ahead and is right again would keep it for years, and it expires. Without a descriptor for
    the file the last token is sent: a request on an open connection needs none.
    """
    with suppress(OSError):
        _read_service_account(configuration)


def _read_service_account(configuration: Configuration) -> None:
    config.load_incluster_config(configuration, try_refresh_token=False)  # type: ignore[no-untyped-call] # not annotated there
