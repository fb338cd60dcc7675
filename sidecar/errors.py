"""Errors that stop the sidecar. Each class is one kind of error with its exit code; the message says what to do."""

import signal

TERMINATED = 128 + signal.SIGTERM
"""The exit code when a signal ends a program before it is started or has done its work, as a shell reports it."""


class SidecarError(Exception):
    """The sidecar cannot run. The message is printed unchanged; the process exits with `exit_code`."""

    exit_code = 1


class ConfigError(SidecarError):
    """The environment variables are not valid. One message lists all problems."""

    exit_code = 2


class StartError(SidecarError):
    """The configuration is valid but the process cannot start: a port is in use, a directory has the wrong owner."""


class RedirectError(SidecarError):
    """A metadata address does not lead to this process: a redirect rule is missing in the pod's network namespace."""

    exit_code = 3


class OpenMetadataError(SidecarError):
    """The node's metadata service answers this pod, and the operator requires that it does not."""

    exit_code = 4
