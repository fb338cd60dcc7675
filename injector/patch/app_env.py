"""What an app container's environment needs so that AWS clients find the pod's role. What a user set is never replaced.

What `envFrom` brings in cannot be seen without reading ConfigMaps and Secrets, for which the injector has no right. As
the kubelet lets `env` win over it, a region or an endpoint of ours could replace the user's: none is added beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import contract
from injector.config import Config
from injector.k8s.objects import Object, read_objects
from injector.reasons import Explanation, Reason

RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
METADATA_ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
SIDECAR_URL = f"http://127.0.0.1:{contract.SIDECAR_PORT}"
"""The address and not a name: every SDK's list of hosts that plain HTTP may go to has it."""

SIDECAR_VARIABLES = {
    RELATIVE_URI: contract.CREDENTIALS_PATH,
    FULL_URI: SIDECAR_URL + contract.CREDENTIALS_PATH,
    METADATA_ENDPOINT: f"{SIDECAR_URL}/",
}
"""Variables that lead to the sidecar. A container that has one with another value keeps it."""

URIS = (RELATIVE_URI, FULL_URI)
URI_PREFIX, URI_SUFFIX = "AWS_CONTAINER_CREDENTIALS_", "_URI"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
ENDPOINT_URL = "AWS_ENDPOINT_URL"

AWS_PREFIX = "AWS_"
POD_IDENTITY_PREFIX = "AWS_CONTAINER_"
SHADOWING_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", METADATA_ENDPOINT)
"""Static keys and IRSA: SDKs look at these before they ask for container credentials, Pod Identity's are those.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NO_PROXIES = ("NO_PROXY", "no_proxy")
NO_PROXY_HOSTS = (*contract.METADATA_ADDRESSES, "127.0.0.1")
"""One by one: botocore knows no ranges."""

NO_PROXY_VALUE = ",".join(NO_PROXY_HOSTS)

ADDED_VARIABLES = {*SIDECAR_VARIABLES, *REGIONS, ENDPOINT_URL, *NO_PROXIES}
"""All that podrole may add to a container."""


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """What to do to one container's `env`."""

    additions: tuple[Object, ...] = ()
    replacements: Mapping[int, str] | None = None
    """Index in the list as it is: the value instead. Only lists of hosts are ever extended so."""

    warnings: tuple[Explanation, ...] = ()


def plan_environment(container: Object, mode: str, config: Config) -> EnvironmentChange:
    """Compare a container's environment with what it needs in this mode."""
    variables = read_objects(container, "env")
    # Of two variables with one name the later one counts.
    present = {str(variable.get("name")): variable for variable in variables}
    for_sdks = {name: variable for name, variable in present.items() if name.startswith(AWS_PREFIX)}
    missing = _find_missing(container, for_sdks, _choose_sidecar_variables(mode, config), config)
    warnings = tuple(_find_warnings(container, for_sdks))
    if not _uses_proxy(present):
        return EnvironmentChange(_build_variables(missing), warnings=warnings)
    no_proxy = _extend_no_proxy(present)
    missing |= {name: hosts for name, hosts in no_proxy.items() if name not in present}
    replacements = {
        index: no_proxy[name]
        for index, variable in enumerate(variables)
        if (name := str(variable.get("name"))) in no_proxy and present[name] is variable
    }
    return EnvironmentChange(
        _build_variables(missing), replacements, (*warnings, *_find_unknown_hosts(container, present))
    )


def _build_variables(values: Mapping[str, str]) -> tuple[Object, ...]:
    return tuple([{"name": name, "value": value} for name, value in values.items()])


def _choose_sidecar_variables(mode: str, config: Config) -> tuple[str, ...]:
    """Which of our variables lead to the sidecar. Never both URIs: Go prefers the one, the other SDKs the other."""
    if mode == contract.MODE_ENV:
        return FULL_URI, METADATA_ENDPOINT
    return (FULL_URI,) if config.ipv6_only else (RELATIVE_URI,)


def _find_missing(
    container: Object, present: Mapping[str, Object], ours: tuple[str, ...], config: Config
) -> dict[str, str]:
    has_uri = any(name.endswith(URI_SUFFIX) for name in present if name.startswith(URI_PREFIX))
    missing = {name: SIDECAR_VARIABLES[name] for name in ours if not (has_uri if name in URIS else name in present)}
    if container.get("envFrom"):
        return missing
    if present.keys().isdisjoint(REGIONS):
        missing |= dict.fromkeys(REGIONS, config.region)
    if config.aws_endpoint_url and ENDPOINT_URL not in present:
        missing[ENDPOINT_URL] = config.aws_endpoint_url
    return missing


def _extend_no_proxy(present: Mapping[str, Object]) -> dict[str, str]:
    """The values that must change. A missing variable is made from its twin, as programs read either."""
    literals = {name: str(present[name].get("value") or "") for name in NO_PROXIES if name in present}
    from_elsewhere = [name for name in literals if _has_value_from(present[name])]
    values = {}
    for name, twin in (NO_PROXIES, NO_PROXIES[::-1]):
        if name in from_elsewhere or (name not in literals and twin in from_elsewhere):
            continue
        wanted = _extend(literals[name]) if name in literals else _make_from_twin(literals.get(twin, ""))
        if literals.get(name) != wanted:
            values[name] = wanted
    return values


def _extend(hosts: str) -> str:
    """Append, to an empty list too, and leave the user's text as it is."""
    return hosts if _exempts_all(hosts) else f"{hosts},{NO_PROXY_VALUE}"


def _make_from_twin(hosts: str) -> str:
    """In another order than `_extend`, so that a list which was there is never taken for one that was made."""
    return hosts if _exempts_all(hosts) else ",".join(filter(None, (NO_PROXY_VALUE, hosts)))


def _exempts_all(hosts: str) -> bool:
    listed = {host.strip() for host in hosts.split(",")}
    return "*" in listed or listed.issuperset(NO_PROXY_HOSTS)


def _uses_proxy(present: Mapping[str, Object]) -> bool:
    return any(name in present and _is_set(present[name]) for name in PROXIES)


def _is_set(variable: Object) -> bool:
    return bool(variable.get("value")) or _has_value_from(variable)


def _has_value_from(variable: Object) -> bool:
    """Even if it is empty: the API server drops what is null in it, which must not change what is read."""
    return variable.get("valueFrom") is not None


def _find_warnings(container: Object, present: Mapping[str, Object]) -> Iterator[Explanation]:
    container_name = str(container.get("name"))
    if container.get("envFrom") and present.keys().isdisjoint(REGIONS):
        yield Reason.REGION_NOT_SET.explain(container=container_name)
    for name, variable in present.items():
        is_ours = name in SIDECAR_VARIABLES and variable.get("value") == SIDECAR_VARIABLES[name]
        if not is_ours and (name in SHADOWING_VARIABLES or name.startswith(POD_IDENTITY_PREFIX)) and _is_set(variable):
            yield Reason.CREDENTIALS_OVERRIDDEN.explain(container=container_name, variable=name)


def _find_unknown_hosts(container: Object, present: Mapping[str, Object]) -> Iterator[Explanation]:
    values = {"container": str(container.get("name")), "addresses": NO_PROXY_VALUE}
    for name in NO_PROXIES:
        if name in present and _has_value_from(present[name]):
            yield Reason.NO_PROXY_NOT_EXTENDED.explain(variable=name, **values)
