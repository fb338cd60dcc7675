"""How an injected pod differs from a new injection of the same pod, part by part."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import contract
from injector.k8s.objects import CONTAINER_FIELDS, Object, is_reserved, read_mapping, read_objects, read_spec
from injector.patch.api_defaults import CONTAINER_DEFAULTS, VOLUME_DEFAULTS, equals_ignoring_defaults
from injector.patch.plan import InjectionPlan
from podrole.diagnosis.pods.differences import describe_difference

REPORTED_SEPARATELY = {contract.ENV_ROLE_ARN, contract.ENV_MODE}
"""A changed role or mode is a separate finding."""


def find_drift(pod: Object, plan: InjectionPlan) -> Iterator[str]:
    """Find the differences, one clause each. `plan` must have been built for this pod."""
    present = read_objects(read_spec(pod), "initContainers")
    yield from _compare_order(present, plan)
    wanted = {container["name"]: container for container in plan.init_containers}
    found = {container["name"]: container for container in present if is_reserved(container)}
    for name, container in wanted.items():
        if name not in found:
            yield f"container {name} is missing"
        else:
            yield from (f"container {name}: {clause}" for clause in _compare(container, found[name]))
    yield from (f"container {name} is unexpected" for name in found if name not in wanted)
    yield from _compare_volumes(pod, plan)
    yield from (f"imagePullSecrets lacks {name}" for name in plan.pull_secrets.missing)
    yield from (f"imagePullSecrets has {name}, of an earlier setting" for name in plan.pull_secrets.former)
    yield from _compare_app_containers(pod, plan)


def _compare_order(present: Sequence[Object], plan: InjectionPlan) -> Iterator[str]:
    injected = [index for index, container in enumerate(present) if is_reserved(container)]
    if injected and injected[0] > 0:
        before = ", ".join(str(container.get("name")) for container in present[: injected[0]])
        yield f"{before} in spec.initContainers runs before the redirect rules are loaded"
    wanted = [container["name"] for container in plan.init_containers]
    order = [present[index]["name"] for index in injected if present[index]["name"] in wanted]
    if order != [name for name in wanted if name in order]:
        yield f"podrole's containers are in the order {', '.join(order)}"


def _compare(wanted: Object, found: Object) -> Iterator[str]:
    for key in sorted((wanted.keys() | found.keys()) - {"env"}):
        if not equals_ignoring_defaults(_pick(wanted, key), _pick(found, key), CONTAINER_DEFAULTS):
            yield describe_difference(key, found.get(key), wanted.get(key), CONTAINER_DEFAULTS.get(key))
    present, expected = _index(found), _index(wanted)
    for name in sorted((present.keys() | expected.keys()) - REPORTED_SEPARATELY):
        if not equals_ignoring_defaults(_pick(expected, name), _pick(present, name), {name: CONTAINER_DEFAULTS["env"]}):
            have, get = (_read_value(one.get(name)) for one in (present, expected))
            yield describe_difference(name, have, get, CONTAINER_DEFAULTS["env"])


def _pick(parts: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: parts[key]} if key in parts else {}


def _index(container: Object) -> Mapping[str, Object]:
    return {str(variable.get("name")): variable for variable in read_objects(container, "env")}


def _read_value(variable: Object | None) -> Any:
    return None if variable is None else variable.get("valueFrom") or variable.get("value", "")


def _compare_volumes(pod: Object, plan: InjectionPlan) -> Iterator[str]:
    present = {volume["name"]: volume for volume in read_objects(read_spec(pod), "volumes") if is_reserved(volume)}
    for volume in plan.volumes:
        if volume["name"] not in present:
            yield f"volume {volume['name']} is missing"
        elif not equals_ignoring_defaults(volume, present[volume["name"]], VOLUME_DEFAULTS):
            name, found = volume["name"], present[volume["name"]]
            has, gets = _find_audience(found), _find_audience(volume)
            if has != gets:
                how = describe_difference("the audience", has, gets, None)
            else:
                how = describe_difference(name, found, volume, VOLUME_DEFAULTS)
            yield f"volume {name} is different: {how}"


def _find_audience(volume: Object) -> str | None:
    """Return the audience of the token in a projected volume."""
    sources = read_objects(read_mapping(volume, "projected"), "sources")
    tokens = (read_mapping(source, "serviceAccountToken") for source in sources)
    return next((str(token["audience"]) for token in tokens if token.get("audience")), None)


def _compare_app_containers(pod: Object, plan: InjectionPlan) -> Iterator[str]:
    for field in CONTAINER_FIELDS:
        for index, container in enumerate(read_objects(read_spec(pod), field)):
            if is_reserved(container):
                continue
            mounts = [str(mount["name"]) for mount in read_objects(container, "volumeMounts") if is_reserved(mount)]
            yield from (f"container {container.get('name')} mounts podrole's volume {mount}" for mount in mounts)
            change = plan.environment.get((field, index))
            if change is None:
                continue
            env = read_objects(container, "env")
            names = [*change.additions]
            names += [str(env[place].get("name")) for place in change.replacements or {}]
            if names:
                yield f"container {container.get('name')}: {', '.join(names)} would be set"
