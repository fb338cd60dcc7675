"""What can stop the sidecar: each class is one condition, its message says what to do. No logic here."""

import signal

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a start that was ended by a signal, as a shell gives it."""


class SidecarError(Exception):
    """The sidecar cannot run. The message is printed as it is; the process ends with `exit_code`."""

    exit_code = 1


class ConfigError(SidecarError):
    """The environment does not describe a role to serve. All that is wrong stands in one message."""

    exit_code = 2


class StartError(SidecarError):
    """The configuration is right but its surroundings are not: a port is taken, a directory is not ours."""


class RedirectError(SidecarError):
    """A metadata address does not lead to this process: the pod's network namespace lacks a rule."""

    exit_code = 3
    """gunicorn's for a worker that cannot boot: the arbiter ends as well instead of starting another."""
