"""Errors of the pod runner. Every message says what to do."""


class RunnerError(Exception):
    """Base class."""


class UnavailableError(RunnerError):
    """The machine cannot create namespaces or lacks a program. The message names the setting or package."""


class CommandError(RunnerError):
    """A command in the namespaces failed. The message has the command and its output."""


class PodError(RunnerError):
    """A pod uses an unsupported field, or a container failed. The message names the field or container."""
