"""Adds the file to the message of an invalid object or policy."""

from collections.abc import Iterator
from contextlib import contextmanager

from injector.errors import ConfigError, ObjectError
from podrole.iam.documents import PolicyError


@contextmanager
def error_context(location: str) -> Iterator[None]:
    """Turn ObjectError and PolicyError into a ConfigError that names the file, or the document in it."""
    try:
        yield
    except (ObjectError, PolicyError) as error:
        raise ConfigError(f"{location}: {error}") from error
