"""NO_PROXY of an app container that uses a proxy: without podrole's addresses, SDKs ask the proxy for credentials.

Variables of `envFrom` are unknown here. The kubelet sets them first, and then expands $(NO_PROXY) in `env` to the value
of `envFrom`; if there is none, the reference stays as it is, and is no host's name.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from collections.abc import Iterator, Mapping

import contract
from injector.k8s.objects import Object, read_name
from injector.patch.env_from import find_prefixes
from injector.reasons import Explanation, Reason, TooLargePodError

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NO_PROXIES = ("NO_PROXY", "no_proxy")
NO_PROXY_HOSTS = (*contract.METADATA_ADDRESSES, "127.0.0.1")
"""Single addresses: botocore does not support ranges."""

MAX_NO_PROXY = 256 * 1024
"""Characters in all containers of a pod: the patch repeats each value, up to twice. A process can have 128 KiB."""

NO_PROXY_VALUE = ",".join(NO_PROXY_HOSTS)

ALL_HOSTS = "*"
"""Only alone: in a list, and beside spaces, it is no host's name for botocore, as urllib reads it."""

PROXY_PREFIXES = find_prefixes((*PROXIES, *NO_PROXIES))


def check_no_proxy(size: int) -> None:
    """Check how many characters the values of NO_PROXY and no_proxy have; raise TooLargePodError."""
    if size > MAX_NO_PROXY:
        explanation = Reason.NO_PROXY_TOO_LONG.explain(size=str(size), maximum=str(MAX_NO_PROXY))
        raise TooLargePodError(explanation)


def _extend(hosts: str) -> str:
    """Append podrole's hosts, even if the list is empty, and keep the user's text unchanged."""
    return hosts if _exempts_all(hosts) else f"{hosts},{NO_PROXY_VALUE}"


def _copy_from_twin(hosts: str) -> str:
    """Copy the hosts of the other variable, after podrole's."""
    return hosts if _exempts_all(hosts) else ",".join(filter(None, (NO_PROXY_VALUE, hosts)))


def _exempts_all(hosts: str) -> bool:
    return hosts == ALL_HOSTS or {host.strip() for host in hosts.split(",")}.issuperset(NO_PROXY_HOSTS)


def uses_proxy(present: Mapping[str, Object]) -> bool:
    """Whether the container has a proxy variable."""
    return any(is_set(name, present) for name in PROXIES)


def is_set(name: str, present: Mapping[str, Object]) -> bool:
    """Whether a variable has a value, of whatever source."""
    variable = present.get(name)
    return variable is not None and (bool(variable.get("value")) or _has_value_from(variable))


def _has_value_from(variable: Object) -> bool:
    """Whether it has `valueFrom`, even an empty one: the API server removes null fields in it."""
    return variable.get("valueFrom") is not None


def extend_no_proxy(present: Mapping[str, Object], *, with_env_from: bool = False) -> dict[str, str]:
    """Return the new values. A missing variable gets its twin's hosts, because programs read only one of the two.

    `with_env_from`: whether `envFrom` can set a variable that is missing.
    """
    literals = {name: str(present[name].get("value") or "") for name in NO_PROXIES if name in present}
    check_no_proxy(sum(map(len, literals.values())))
    with_value_from = [name for name in literals if _has_value_from(present[name])]
    values = {}
    for name, twin in (NO_PROXIES, NO_PROXIES[::-1]):
        if name in with_value_from or (name not in literals and twin in with_value_from):
            continue
        if name in literals:
            wanted: str | None = _extend(literals[name])
        elif with_env_from:
            wanted = _refer_to_env_from(name, twin, literals)
        else:
            wanted = _copy_from_twin(literals.get(twin, ""))
        if wanted is not None and literals.get(name) != wanted:
            values[name] = wanted
    return values


def _refer_to_env_from(name: str, twin: str, literals: Mapping[str, str]) -> str | None:
    """Refer to both variables of `envFrom`; None where all hosts of the twin are exempt, as a list would be less."""
    if twin not in literals:
        return f"$({name}),$({twin}),{NO_PROXY_VALUE}"
    hosts = literals[twin]
    return None if hosts == ALL_HOSTS else ",".join(filter(None, (f"$({name})", NO_PROXY_VALUE, hosts)))


def warn_unknown_hosts(
    container: Object, present: Mapping[str, Object], *, with_env_from: bool
) -> Iterator[Explanation]:
    """Warn about hosts that podrole could not add."""
    values = {"container": read_name(container), "addresses": NO_PROXY_VALUE}
    for name, twin in (NO_PROXIES, NO_PROXIES[::-1]):
        if name in present and _has_value_from(present[name]):
            yield Reason.NO_PROXY_NOT_EXTENDED.explain(variable=name, **values)
        elif with_env_from and name not in present and name not in extend_no_proxy(present, with_env_from=True):
            yield Reason.NO_PROXY_NOT_REPLACED.explain(variable=name, twin=twin, **values)
