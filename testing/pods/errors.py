"""What can go wrong when pods run as processes; every message ends with what to do."""


class RunnerError(Exception):
    """Base of all below."""


class UnavailableError(RunnerError):
    """The machine cannot make namespaces, or a program is missing: the setting or package is named."""


class CommandError(RunnerError):
    """A command inside failed: it is named, with what it said."""


class PodError(RunnerError):
    """A pod asks for what is not supported here, or one of its containers failed: field or container is named."""
