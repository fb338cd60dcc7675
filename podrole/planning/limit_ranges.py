"""What LimitRanges do with pods that have podrole's containers.

https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from injector.k8s.objects import Object, read_mapping, read_name, read_objects
from podrole.estate.objects import Estate
from podrole.findings import Finding
from podrole.planning.findings import PlanFinding
from podrole.planning.resources import COMPUTE, NAMES, Resources, Totals, complete, format_amount, read_amount


class LimitRanges:
    """Those of one namespace."""

    def __init__(self, estate: Estate, namespace: str) -> None:
        self._items: list[tuple[str, Object]] = []
        for one in estate.limit_ranges.get(namespace, ()):
            name = read_name(read_mapping(one, "metadata"))
            self._items += [(name, item) for item in read_objects(read_mapping(one, "spec"), "limits")]
        self.defaults = self._find_defaults()

    def _find_defaults(self) -> Resources:
        """Find what containers get that set nothing. In manifests the API server has not completed them yet."""
        found: dict[str, dict[str, object]] = {"requests": {}, "limits": {}}
        for _, item in self._list("Container"):
            limits = {**read_mapping(item, "max"), **read_mapping(item, "default")}
            requests = {**read_mapping(item, "min"), **limits, **read_mapping(item, "defaultRequest")}
            found["limits"] = {**_pick(limits), **found["limits"]}
            found["requests"] = {**_pick(requests), **found["requests"]}
        return found

    def check(self, containers: Sequence[Object], totals: Totals) -> Iterator[Finding]:
        """Check podrole's containers of a pod, and the sums of all its containers."""
        yield from self._report_defaults(containers)
        for container in containers:
            resources = complete(container, self.defaults)
            amounts = {
                name: read_amount(resources[field], key)
                for name in NAMES
                for field, _, key in (name.partition("."),)
                if key in resources[field]
            }
            yield from self._check_defaults(container, amounts)
            for name, item in self._list("Container"):
                what = f"container {container['name']}"
                yield from _reject(name, _find_problems(item, amounts, what))
        for name, item in self._list("Pod"):
            yield from _reject(name, _find_problems(item, totals, "all containers together"))

    def _report_defaults(self, containers: Sequence[Object]) -> Iterator[Finding]:
        added: dict[str, list[str]] = {}
        for one in containers:
            own, resources = complete(one, {}), complete(one, self.defaults)
            missing = [(field, key) for field in own for key in resources[field].keys() - own[field].keys()]
            values = sorted(f"{field}.{key}={resources[field][key]}" for field, key in missing)
            added.setdefault(", ".join(values), []).append(str(one["name"]))
        for shown, names in added.items():
            if shown:
                yield PlanFinding.CHANGED_BY_LIMIT_RANGE.format(values=shown, containers=" and ".join(names))

    def _check_defaults(self, container: Object, amounts: Mapping[str, Fraction]) -> Iterator[Finding]:
        for key in COMPUTE:
            request, limit = amounts.get(f"requests.{key}"), amounts.get(f"limits.{key}")
            if request is not None and limit is not None and request > limit:
                shown = [format_amount(key, one) for one in (limit, request)]
                problem = f"its default limit of {key}, {shown[0]}, is less than the {shown[1]} that"
                yield from _reject(self._items[0][0], [f"{problem} container {container['name']} requests"])

    def _list(self, kind: str) -> Iterable[tuple[str, Object]]:
        return [(name, item) for name, item in self._items if item.get("type") == kind]


def _pick(quantities: Mapping[str, object]) -> dict[str, object]:
    return {key: quantities[key] for key in COMPUTE if key in quantities}


def _reject(name: str, problems: Iterable[str]) -> Iterator[Finding]:
    yield from (PlanFinding.REJECTED_BY_LIMIT_RANGE.format(name=name, problem=problem) for problem in problems)


def _find_problems(item: Object, amounts: Mapping[str, Fraction], what: str) -> Iterator[str]:
    for key in COMPUTE:
        request, limit = amounts.get(f"requests.{key}"), amounts.get(f"limits.{key}")
        low, high = read_mapping(item, "min"), read_mapping(item, "max")
        if key in high and (not limit or limit > read_amount(high, key)):
            has = format_amount(key, limit) if limit else "none"
            yield f"the maximum of {key} is {high[key]}, and the limit of {what} is {has}"
        if key in low and (request or 0) < read_amount(low, key):
            has = format_amount(key, request) if request else "nothing"
            yield f"the minimum of {key} is {low[key]}, and {what} requests {has}"
        ratio = read_mapping(item, "maxLimitRequestRatio")
        if key in ratio and limit and request and limit / request > read_amount(ratio, key):
            yield (
                f"the limit of {key} can be {ratio[key]} times the request, and {what} requests "
                f"{format_amount(key, request)} of {format_amount(key, limit)}"
            )
