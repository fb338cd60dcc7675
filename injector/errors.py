"""What can go wrong in the injector: each class is one condition, its message says what to do. No logic here."""


class InjectorError(Exception):
    """The root of all errors that the injector raises on purpose."""


class ConfigError(InjectorError):
    """Environment, template or manifests describe no webhook that could run. All that is wrong is in one message."""

    exit_code = 2


class ReviewError(InjectorError):
    """What was posted is not a review that an API server would send. The answer is 400 with this message."""


class ObjectError(ReviewError):
    """A field of a Kubernetes object has another type than Kubernetes gives it."""


class ClusterError(InjectorError):
    """A namespace or ServiceAccount could not be read: nobody knows whether it exists, so nothing is allowed."""


class ConflictError(ClusterError):
    """Somebody else wrote the object since it was read: read it again and decide anew."""


class CertificateError(InjectorError):
    """A certificate and its key cannot be used. What was served before still is."""
