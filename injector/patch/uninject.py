"""Takes out of a pod what an injection put in, as a JSON Patch. Nothing is decided here.

Variables bear no mark of ours. What is taken out of a container's `env` is therefore what would come back: its longest
tail, and the longest ends of lists of hosts, that another injection would add again exactly. A container whose author
wrote just that cannot be told from an injected one, and is read as one: without a sidecar it would lead nowhere.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from jsonpatch import JsonPatch

import contract
from injector.config import Config
from injector.decision.annotations import STATUS_ANNOTATION
from injector.k8s.objects import CONTAINER_FIELDS, JsonPath, Object, is_reserved, read_mapping, read_objects, read_spec
from injector.patch.app_env import NO_PROXIES, NO_PROXY_VALUE, plan_environment
from injector.patch.json_patch import PatchBuilder


def build_uninject_patch(pod: Object, config: Config) -> JsonPatch:
    """Build the patch that undoes an injection made with this configuration; empty where there is nothing of ours.

    Whatever bears a reserved name goes, whoever wrote it: an injection takes it away too.
    """
    operations = PatchBuilder()
    spec, mode = read_spec(pod), _find_mode(pod)
    for field in CONTAINER_FIELDS:
        containers = read_objects(spec, field)
        operations.remove_all(("spec", field), _find_reserved(containers))
        kept = [container for container in containers if not is_reserved(container)]
        for index, container in enumerate(kept):
            path = ("spec", field, index)
            operations.remove_all((*path, "volumeMounts"), _find_reserved(read_objects(container, "volumeMounts")))
            if mode is not None:
                _restore_environment(operations, (*path, "env"), container, mode, config)
    operations.remove_all(("spec", "volumes"), _find_reserved(read_objects(spec, "volumes")))
    if STATUS_ANNOTATION in read_mapping(read_mapping(pod, "metadata"), "annotations"):
        operations.remove(("metadata", "annotations", STATUS_ANNOTATION))
    return JsonPatch(operations.built)


def _find_mode(pod: Object) -> str | None:
    """In which mode the pod was injected, as its containers tell; None where apps were given no variables."""
    names = [container.get("name") for container in read_objects(read_spec(pod), "initContainers")]
    if contract.SIDECAR_CONTAINER not in names:
        return None
    return contract.MODE_REDIRECT if contract.REDIRECT_CONTAINER in names else contract.MODE_ENV


def _find_reserved(things: Sequence[Object]) -> list[int]:
    return [index for index, thing in enumerate(things) if is_reserved(thing)]


def _restore_environment(
    operations: PatchBuilder, path: JsonPath, container: Object, mode: str, config: Config
) -> None:
    env = [*read_objects(container, "env")]
    guesses = _guess_origins(env)
    # None fits what another configuration added, or a container that came later: it stays as it is.
    origin = next((guess for guess in guesses if _add_again({**container, "env": guess}, mode, config) == env), env)
    operations.remove_all(path, range(len(origin), len(env)))
    for index, variable in enumerate(origin):
        if variable is not env[index]:
            operations.replace((*path, index, "value"), variable["value"])


def _guess_origins(env: list[Object]) -> Iterator[list[Object]]:
    """What `env` may have been: first with every list of hosts shortened that can be, and the least of those first."""
    for spared in range(len(NO_PROXIES) + 1):
        for length in range(len(env) + 1):
            kept = env[:length]
            shortened = _shorten_lists(kept)
            for chosen in combinations(shortened, max(0, len(shortened) - spared)):
                yield [shortened[i] if i in chosen else variable for i, variable in enumerate(kept)]


def _shorten_lists(env: list[Object]) -> dict[int, Object]:
    """The variables that may have been extended, as they were before. Of two with one name the later one counts."""
    counting = {str(variable.get("name")): index for index, variable in enumerate(env)}
    lists = {counting[name]: str(env[counting[name]].get("value")) for name in NO_PROXIES if name in counting}
    return {
        index: {**env[index], "value": hosts.removesuffix(f",{NO_PROXY_VALUE}")}
        for index, hosts in lists.items()
        if hosts.endswith(f",{NO_PROXY_VALUE}")
    }


def _add_again(container: Object, mode: str, config: Config) -> list[Object]:
    change = plan_environment(container, mode, config)
    replacements = change.replacements or {}
    env = [
        {**variable, "value": replacements[index]} if index in replacements else variable
        for index, variable in enumerate(container["env"])
    ]
    return [*env, *change.additions]
