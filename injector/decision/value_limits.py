"""Limits the values that decisions read, before anything parses them.

A value counts even if this pod needs no part of it: then it does not depend on a pod's other annotations whether its
namespace and ServiceAccount are accepted.
"""

from collections.abc import Iterator, Mapping

from injector.k8s.objects import Metadata
from injector.metadata_keys import NAMESPACE_LIMITS, POD_LIMITS, SERVICE_ACCOUNT_LIMITS
from injector.reasons import Explanation, Reason


def find_oversized(pod: Metadata, namespace: Metadata, service_account: Metadata | None) -> list[Explanation]:
    """Explain each value that is larger than its limit, in bytes of UTF-8."""
    found = [
        *_find_oversized(pod.annotations, POD_LIMITS, "annotation {} of the pod"),
        *_find_oversized(namespace.annotations, NAMESPACE_LIMITS, "annotation {} of the namespace"),
    ]
    if service_account is not None:
        kind = "annotation {} of the ServiceAccount"
        found += _find_oversized(service_account.annotations, SERVICE_ACCOUNT_LIMITS, kind)
    return found


def _find_oversized(values: Mapping[str, str], limits: Mapping[str, int], where: str) -> Iterator[Explanation]:
    for key, limit in limits.items():
        if key in values and _count_bytes(values[key]) > limit:
            yield Reason.VALUE_TOO_LARGE.explain(where=where.format(key), maximum=str(limit))


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
