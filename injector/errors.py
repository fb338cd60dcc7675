"""The injector's errors. Each class is one condition; its message says what to do."""


class InjectorError(Exception):
    """The base class."""


class ConfigError(InjectorError):
    """The environment, the template or the manifests are not valid. One message has all problems."""

    exit_code = 2


class ReviewError(InjectorError):
    """The request is not a valid AdmissionReview. The response is 400 with this message."""


class ObjectError(ReviewError):
    """A field of a Kubernetes object has the wrong type."""


class ClusterError(InjectorError):
    """The API server gave no usable answer. Whether an object exists is then unknown, so nothing is allowed."""


class UnreachableError(ClusterError):
    """The API server sent no complete answer: no connection, a timeout, or no token to authenticate with."""


class InvalidResponseError(ClusterError):
    """The API server answered with success, but its answer is not a valid Kubernetes object."""


class ObjectTooLargeError(ClusterError):
    """An object's metadata is too large to be read. Its owner must make it smaller."""


class TooManyReadsError(ClusterError):
    """Too many reviews wait for reads of the API server. The response is 429 with this message."""


class ApiError(ClusterError):
    """The API server answered with a failure.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """

    def __init__(self, text: str, status: int | None = None, message: str = "") -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status code; None where the API server sent none."""

        self.message = message
        """The API server's own sentence, which names the user, the verb and the resource."""


class ForbiddenError(ApiError):
    """403: RBAC or an admission webhook does not allow the request."""


class NotFoundError(ApiError):
    """404 with a Status that names what was asked for: there is no such object, namespace or resource."""


class ConflictError(ApiError):
    """409 with a Status: the object has changed since it was read, or exists already. Read it again."""


class GoneError(ApiError):
    """410: the resource version is older than the API server's history. Only a new list helps."""


class UnavailableError(ApiError):
    """429, 5xx, or a failure that is not the API server's own, such as a load balancer's. Try again later."""


class CertificateError(InjectorError):
    """A certificate and its key cannot be used. The webhook keeps serving the previous ones."""


class ResourceError(CertificateError):
    """Memory or file descriptors are scarce. Whether the certificate can be used is unknown; try again later."""
