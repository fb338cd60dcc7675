"""Whether the ResourceQuotas of a namespace have room for podrole's containers.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from injector.k8s.objects import Object, read_mapping, read_name
from podrole.estate.objects import Estate
from podrole.findings import Finding
from podrole.planning.findings import NamespaceFinding, PlanFinding
from podrole.planning.quota_scopes import ANY, PodScope, counts
from podrole.planning.resources import NAMES, NONE, Resources, Totals, complete, format_amount, read_amount

ALIASES = {"cpu": "requests.cpu", "memory": "requests.memory"}


class Demand(NamedTuple):
    """What the pods of a workload take from a quota."""

    name: str
    used: Totals
    """Of all pods, before."""

    added: Totals
    surge: Totals
    """Of the additional pods in a rollout, with podrole's containers."""

    scope: PodScope = ANY


class Quotas:
    """Those of one namespace."""

    def __init__(self, estate: Estate, namespace: str) -> None:
        self._namespace = namespace
        self._quotas = estate.quotas.get(namespace, ())

    def check_required(self, containers: Sequence[Object], defaults: Resources, scope: PodScope) -> Iterator[Finding]:
        """Check that podrole's containers have what a quota requires of every container of the pods it counts."""
        for quota in (one for one in self._quotas if counts(one, scope)):
            for key, _ in _list_hard(quota):
                field, _, name = key.partition(".")
                missing = [str(one["name"]) for one in containers if name not in complete(one, defaults)[field]]
                if missing:
                    yield PlanFinding.REJECTED_BY_QUOTA.format(
                        name=_read_name(quota), key=key, containers=" and ".join(missing)
                    )

    def check(self, demands: Sequence[Demand]) -> Iterator[Finding]:
        """Check that there is room for what the workloads of the namespace add, also while one of them is restarted."""
        for quota in self._quotas:
            counted = [one for one in demands if counts(quota, one.scope)]
            for key, hard in _list_hard(quota):
                used = _read_used(quota, key)
                if used is None:
                    used = sum((one.used[key] for one in counted), NONE)
                yield from self._check_one((_read_name(quota), key, hard), used, counted)

    def _check_one(
        self, limit: tuple[str, str, Fraction], used: Fraction, demands: Iterable[Demand]
    ) -> Iterator[Finding]:
        name, key, hard = limit
        added = sum((one.added[key] for one in demands), NONE)
        values = {"name": name, "key": key, "namespace": self._namespace, "hard": format_amount(key, hard)}
        if not added:
            return
        if used + added > hard:
            amounts = {"used": used, "added": added, "needed": used + added}
            shown = {what: format_amount(key, amount) for what, amount in amounts.items()}
            yield NamespaceFinding.QUOTA_TOO_SMALL.format(**values, **shown)
            return
        largest = max((one for one in demands if one.added[key]), key=lambda one: one.surge[key])
        if used + added + largest.surge[key] > hard:
            needed = format_amount(key, used + added + largest.surge[key])
            yield NamespaceFinding.QUOTA_TOO_SMALL_FOR_ROLLOUT.format(**values, workload=largest.name, needed=needed)


def _read_name(quota: Object) -> str:
    return read_name(read_mapping(quota, "metadata"))


def _list_hard(quota: Object) -> Iterator[tuple[str, Fraction]]:
    hard = read_mapping(read_mapping(quota, "spec"), "hard")
    for key in hard:
        name = ALIASES.get(key, key)
        if name in NAMES:
            yield name, read_amount(hard, key)


def _read_used(quota: Object, name: str) -> Fraction | None:
    used = read_mapping(read_mapping(quota, "status"), "used")
    return next((read_amount(used, key) for key in used if ALIASES.get(key, key) == name), None)
