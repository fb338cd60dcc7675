"""What an app container's environment needs so that AWS clients find the pod's role.

A user's value is never replaced. An empty one counts as unset, except for AWS_ENDPOINT_URL: emptied, it keeps AWS's own
endpoints.

The injector cannot see the variables of `envFrom`, because it has no permission to read ConfigMaps and Secrets. `env`
takes precedence over `envFrom`, so a region or endpoint that podrole adds could replace the user's. A container whose
`envFrom` can set them therefore gets neither. NO_PROXY refers to the value of `envFrom`.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

import contract
from contract.modes import Mode
from injector.config import Config
from injector.k8s.objects import Object, read_name, read_objects
from injector.patch.env_from import can_set, find_prefixes
from injector.patch.no_proxy import (
    NO_PROXIES,
    PROXIES,
    PROXY_PREFIXES,
    extend_no_proxy,
    is_set,
    uses_proxy,
    warn_unknown_hosts,
)
from injector.patch.other_credentials import (
    FULL_URI,
    METADATA_ENDPOINT,
    SHARED_CONFIG,
    list_redirected,
    warn_other_credentials,
)
from injector.patch.pod_uid import CREDENTIALS_PATH, POD_UID_FIELD, is_addition, is_pod_uid
from injector.patch.regions import REGION_VARIABLES, find_regions, may_lack_region
from injector.reasons import Explanation, Reason

RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
SIDECAR_URL = f"http://127.0.0.1:{contract.SIDECAR_PORT}"
"""An address, not a name: all SDKs allow plain HTTP to it."""

SIDECAR_VARIABLES = {
    RELATIVE_URI: CREDENTIALS_PATH,
    FULL_URI: SIDECAR_URL + CREDENTIALS_PATH,
    METADATA_ENDPOINT: f"{SIDECAR_URL}/",
}
"""Variables that lead to the sidecar. A container that has another value for one keeps it."""

URI_VARIABLES = (RELATIVE_URI, FULL_URI)
URI_PREFIX, URI_SUFFIX = "AWS_CONTAINER_CREDENTIALS_", "_URI"
ENDPOINT_URL = "AWS_ENDPOINT_URL"
ENDPOINT_PREFIXES = find_prefixes((ENDPOINT_URL,))

AWS_PREFIX = "AWS_"
NAME = itemgetter("name")
OTHER_VARIABLES = {*PROXIES, *NO_PROXIES, *SHARED_CONFIG, contract.ENV_POD_UID}
"""Those that this module reads, besides AWS's."""

ADDED_VARIABLES = {contract.ENV_POD_UID, *SIDECAR_VARIABLES, *REGION_VARIABLES, ENDPOINT_URL, *NO_PROXIES}
"""All that podrole may add to a container."""


class EnvironmentChange(NamedTuple):
    """The changes to one container's `env`."""

    additions: Mapping[str, str] = MappingProxyType({})
    """Variables and their values; the field for POD_UID, which goes to the front of `env`, the others to its end."""

    replacements: Mapping[int, str] | None = None
    """New values by index in the present list: longer ones of NO_PROXY and no_proxy, and those of empty variables."""

    warnings: tuple[Explanation, ...] = ()
    removed: tuple[int, ...] = ()
    """Indexes in the present list of variables that an earlier injection added for another mode."""


UNCHANGED = EnvironmentChange()


def find_present(container: Object) -> Mapping[str, Object]:
    """Find the variables that this module reads: of two with the same name the later one, as the kubelet uses it."""
    variables = read_objects(container, "env")
    if not variables or _has_none(variables):
        return {}
    return {
        name: variable
        for variable in variables
        if isinstance(name := variable.get("name"), str) and (name.startswith(AWS_PREFIX) or name in OTHER_VARIABLES)
    }


def _has_none(variables: Sequence[Object]) -> bool:
    """Whether surely none of them is read: true for most containers, and faster than to look at each."""
    try:
        names = [*map(NAME, variables)]
        return AWS_PREFIX not in "".join(names) and OTHER_VARIABLES.isdisjoint(names)
    except (KeyError, TypeError):  # a name is missing, or no text
        return False


def plan_environment(container: Object, present: Mapping[str, Object], mode: str, config: Config) -> EnvironmentChange:
    """Find what a container's environment lacks in this mode; `present` is the result of `find_present`."""
    variables = read_objects(container, "env")
    wanted = _choose_sidecar_variables(mode, config)
    values = {**_find_missing(container, present, wanted, config), **_find_no_proxy(container, present)}
    replacements = {
        index: values[name]
        for index, variable in enumerate(variables)
        if (name := read_name(variable)) in values and present[name] is variable
    }
    ours = [name for name in wanted if _is_ours(name, present)]
    if mode == Mode.REDIRECT:
        ours += list_redirected(present, ipv6_only=config.ipv6_only)
    warnings = (*_find_warnings(container, present, ours), *_warn_pod_uid(container, present, variables))
    return EnvironmentChange(
        {name: value for name, value in values.items() if name not in present}, replacements or None, warnings
    )


def find_outdated(container: Object, added: Mapping[str, str], mode: str, config: Config) -> tuple[int, ...]:
    """Find the variables of an earlier injection that lead nowhere in this mode; `added` is what its record says."""
    outdated = SIDECAR_VARIABLES.keys() & added.keys() - {*_choose_sidecar_variables(mode, config)}
    return tuple(
        index
        for index, variable in enumerate(read_objects(container, "env"))
        if (name := read_name(variable)) in outdated
        and added[name] == SIDECAR_VARIABLES[name]
        and is_addition(variable, name, added[name])
    )


def _choose_sidecar_variables(mode: str, config: Config) -> tuple[str, ...]:
    """Return the variables for this mode. Never both URIs: Go prefers the full one, other SDKs the relative one."""
    if mode == Mode.ENV:
        return FULL_URI, METADATA_ENDPOINT
    return (FULL_URI,) if config.ipv6_only else (RELATIVE_URI,)


def _find_missing(
    container: Object, present: Mapping[str, Object], wanted: tuple[str, ...], config: Config
) -> dict[str, str]:
    has_uri = _has_uri(present)
    uid = present.get(contract.ENV_POD_UID)
    cannot_add_uri = has_uri or (uid is not None and not is_pod_uid(uid))
    missing = {
        name: SIDECAR_VARIABLES[name]
        for name in wanted
        if not (cannot_add_uri if name in URI_VARIABLES else is_set(name, present))
    }
    if uid is None and any(name in missing or _is_ours(name, present) for name in URI_VARIABLES):
        missing = {contract.ENV_POD_UID: POD_UID_FIELD, **missing}
    missing |= find_regions(container, present, config.region)
    if config.aws_endpoint_url and ENDPOINT_URL not in present and not can_set(container, ENDPOINT_PREFIXES):
        missing[ENDPOINT_URL] = config.aws_endpoint_url
    return missing


def _find_no_proxy(container: Object, present: Mapping[str, Object]) -> Mapping[str, str]:
    with_env_from = can_set(container, PROXY_PREFIXES)
    return extend_no_proxy(present, with_env_from=with_env_from) if with_env_from or uses_proxy(present) else {}


def measure_no_proxy(change: EnvironmentChange) -> int:
    """How many characters the new values of NO_PROXY and no_proxy have."""
    added = (value for name, value in change.additions.items() if name in NO_PROXIES)
    return sum(map(len, added)) + sum(map(len, (change.replacements or {}).values()))


def _has_uri(present: Mapping[str, Object]) -> bool:
    return any(name.endswith(URI_SUFFIX) and is_set(name, present) for name in present if name.startswith(URI_PREFIX))


def _is_ours(name: str, present: Mapping[str, Object]) -> bool:
    return name in present and present[name].get("value") == SIDECAR_VARIABLES.get(name)


def _warn_pod_uid(
    container: Object, present: Mapping[str, Object], variables: Sequence[Object]
) -> Iterator[Explanation]:
    """Warn if the kubelet would not expand the path of the container credentials to the sidecar's."""
    uid = present.get(contract.ENV_POD_UID)
    uris = [present[name] for name in URI_VARIABLES if _is_ours(name, present)]
    if uid is None or (_has_uri(present) and not uris):
        return
    values = {"container": read_name(container)}
    if not is_pod_uid(uid):
        yield Reason.POD_UID_OVERRIDDEN.explain(problem="with a value of its own", **values)
    elif any(_comes_before(uri, uid, variables) for uri in uris):
        yield Reason.POD_UID_OVERRIDDEN.explain(problem="after the variable that refers to it", **values)


def _comes_before(one: Object, other: Object, variables: Sequence[Object]) -> bool:
    return next(variable is one for variable in variables if variable is one or variable is other)


def _find_warnings(container: Object, present: Mapping[str, Object], ours: Sequence[str]) -> Iterator[Explanation]:
    container_name = read_name(container)
    if may_lack_region(container, present):
        yield Reason.REGION_NOT_SET.explain(container=container_name)
    yield from warn_other_credentials(container_name, present, ours)
    with_env_from = can_set(container, PROXY_PREFIXES)
    if with_env_from or uses_proxy(present):
        yield from warn_unknown_hosts(container, present, with_env_from=with_env_from)
