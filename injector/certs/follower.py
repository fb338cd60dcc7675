"""Keeps the caBundle of the second webhook configuration equal to the CAs of the Secret.

Its webhook has `failurePolicy: Ignore`: while it lags behind, only warnings are missing. So no step of a rotation waits
for it, and a replica is ready without it.
"""

from collections.abc import Callable, Sequence

from injector.certs.ca_store import Document, build_ca_bundle_patch, parse_webhook_configuration
from injector.certs.stores import ConfigurationStore
from injector.certs.x509 import Certificate
from injector.errors import ClusterError, ConflictError


def follow(
    store: ConfigurationStore,
    cas: Sequence[Certificate],
    now: float,
    on_read: Callable[[Document | None], None] = lambda _document: None,
) -> str:
    """Set every caBundle where it differs; return the problem, empty if there is none.

    A configuration that does not exist is none: it can be left out.
    """
    try:
        document = store.read()
        on_read(document)
        state = parse_webhook_configuration(document)
        if document is not None and state is not None and not state.contains_exactly(tuple(cas)):
            store.patch(build_ca_bundle_patch(document, cas, now))
    except ConflictError:
        return ""  # another replica was faster
    except ClusterError as error:
        return str(error)
    return ""
