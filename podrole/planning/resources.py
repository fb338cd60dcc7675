"""What a pod requests, and what podrole's containers add to it.

https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from injector.k8s.objects import Object, is_reserved, read_mapping, read_objects, read_spec
from injector.patch.plan import InjectionPlan
from injector.quantity import parse_quantity

NONE = Fraction(0)
COMPUTE = ("cpu", "memory")
NAMES = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
"""As a ResourceQuota names them."""

Totals = Mapping[str, Fraction]
"""By these names. CPU in cores, memory in bytes."""

Resources = Mapping[str, Mapping[str, object]]
"""`requests` and `limits` of a container, each with quantities by `cpu` and `memory`."""

NOTHING: Totals = dict.fromkeys(NAMES, NONE)
CACHED_QUANTITIES = 4096
UNITS = (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
MILLI = 1000


class Cost(NamedTuple):
    """What one pod requests and is limited to, without podrole and with it."""

    before: Totals = NOTHING
    after: Totals = NOTHING

    @property
    def added(self) -> Totals:
        """The difference."""
        return {name: self.after[name] - self.before[name] for name in NAMES}


@lru_cache(CACHED_QUANTITIES)
def _parse(text: str) -> Fraction:
    return parse_quantity(text) or NONE


def read_amount(quantities: Mapping[str, object], key: str) -> Fraction:
    """The value of a quantity; 0 where it is missing or not valid."""
    return _parse(str(quantities[key])) if key in quantities else NONE


def complete(container: Object, defaults: Resources) -> Resources:
    """The resources of a container as the API server stores them: with its defaults and those of LimitRanges."""
    resources = read_mapping(container, "resources")
    limits, requests = read_mapping(resources, "limits"), read_mapping(resources, "requests")
    requests = {**limits, **requests}  # a missing request is set to the limit
    return {
        "requests": {**defaults.get("requests", {}), **requests},
        "limits": {**defaults.get("limits", {}), **limits},
    }


def measure(pod: Object, plan: InjectionPlan | None, defaults: Resources) -> Cost:
    """What a pod requests, without podrole's containers and with those of a plan."""
    spec = read_spec(pod)
    own = [one for one in read_objects(spec, "initContainers") if not is_reserved(one)]
    apps = [one for one in read_objects(spec, "containers") if not is_reserved(one)]
    before = _sum_all(spec, own, apps, defaults)
    if plan is None:
        return Cost(before, before)
    return Cost(before, _sum_all(spec, [*plan.init_containers, *own], apps, defaults))


def measure_as_it_is(pod: Object) -> Totals:
    """What a stored pod requests, with all of its containers."""
    spec = read_spec(pod)
    return _sum_all(spec, read_objects(spec, "initContainers"), read_objects(spec, "containers"), {})


def _sum_all(spec: Object, init: Sequence[Object], apps: Sequence[Object], defaults: Resources) -> Totals:
    whole, overhead = read_mapping(spec, "resources"), read_mapping(spec, "overhead")
    stored = [(one.get("restartPolicy") == "Always", complete(one, defaults)) for one in init]
    stored_apps = [complete(one, defaults) for one in apps]
    totals = {}
    for name in NAMES:
        field, _, key = name.partition(".")
        of_pod = read_mapping(whole, field)
        total = _sum_one(stored, stored_apps, field, key)
        totals[name] = (read_amount(of_pod, key) if key in of_pod else total) + read_amount(overhead, key)
    return totals


def _sum_one(init: Iterable[tuple[bool, Resources]], apps: Iterable[Resources], field: str, key: str) -> Fraction:
    beside, highest = NONE, NONE
    for is_sidecar, resources in init:
        amount = read_amount(resources[field], key)
        highest = max(highest, beside + amount)
        if is_sidecar:
            beside += amount
    return max(highest, beside + sum((read_amount(one[field], key) for one in apps), NONE))


def add_totals(totals: Iterable[Totals]) -> Totals:
    """The sum of several."""
    summed = dict(NOTHING)
    for one in totals:
        for name in NAMES:
            summed[name] += one[name]
    return summed


def multiply(totals: Totals, count: int) -> Totals:
    """What several pods have together."""
    return {name: amount * count for name, amount in totals.items()}


def format_amount(name: str, amount: Fraction) -> str:
    """A quantity for people: `250m` or `1.5` of CPU, `48Mi` of memory."""
    if name.endswith("cpu"):
        milli = round(amount * MILLI)
        return f"{milli}m" if abs(milli) < MILLI else f"{milli / MILLI:g}"
    for unit, size in UNITS:
        if abs(amount) >= size:
            return f"{round(float(amount / size), 1):g}{unit}"
    return str(round(amount))
