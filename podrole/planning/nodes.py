"""Whether the nodes have room for podrole's containers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from podrole.diagnosis.state.check_context import join_names
from podrole.findings import Finding
from podrole.planning.estate import Key, PlanEstate, RunningPod
from podrole.planning.findings import ClusterFinding
from podrole.planning.resources import NONE, Totals, add_totals, format_amount, multiply
from podrole.planning.restarts import How
from podrole.planning.rows import Row

Amounts = tuple[Fraction, Fraction]
"""CPU and memory."""


def check_nodes(estate: PlanEstate, rows: Sequence[Row], tops: Sequence[Key]) -> Iterator[Finding]:
    """Compare what is free with what podrole adds. `tops`: the workload of each pod of the estate."""
    if not estate.nodes:
        return
    added = _pick(add_totals(row.added for row in rows))
    if not any(added):
        return
    free = {name: (node.cpu, node.memory) for name, node in estate.nodes.items()}
    for pod in estate.pods:
        if pod.node in free:
            cpu, memory = free[pod.node]
            free[pod.node] = cpu - pod.cpu, memory - pod.memory
    total = [sum((max(NONE, one[index]) for one in free.values()), NONE) for index in (0, 1)]
    template = ClusterFinding.NODES_HAVE_ROOM if _fits(added, total) else ClusterFinding.NODES_FULL
    values = zip(("cpu", "memory", "added_cpu", "added_memory"), (*total, *added), strict=True)
    shown = {name: format_amount(name, amount) for name, amount in values}
    yield template.format(**shown)
    if _fits(added, total):
        yield from _check_rollouts(rows, total, shown)
    yield from _check_each(estate, {row.key: row for row in reversed(rows)}, tops, free)


def _check_rollouts(rows: Iterable[Row], total: Sequence[Fraction], shown: Mapping[str, str]) -> Iterator[Finding]:
    """Find a workload whose rollout first starts additional pods, for which there is no room."""
    for row in rows:
        if row.restart.how == How.ROLLOUT and not _fits(_pick(multiply(row.cost.after, row.surge)), total):
            workload = f"{row.key.namespace}/{row.key.name}"
            yield ClusterFinding.NODES_FULL_FOR_ROLLOUT.format(**shown, workload=workload)
            return


def _fits(needed: Sequence[Fraction], free: Sequence[Fraction]) -> bool:
    return all(need <= has for need, has in zip(needed, free, strict=True))


def _check_each(
    estate: PlanEstate, rows: Mapping[Key, Row], tops: Sequence[Key], free: Mapping[str, Amounts]
) -> Iterator[Finding]:
    """Find nodes whose own pods would no longer fit."""
    pods: dict[str, list[tuple[RunningPod, Row]]] = {}
    for pod, top in zip(estate.pods, tops, strict=True):
        if pod.injection is None and pod.node in free and top in rows:
            pods.setdefault(pod.node, []).append((pod, rows[top]))
    full = {node: [row for _, row in those] for node, those in pods.items() if _exceeds(those, free[node])}
    if full:
        yield ClusterFinding.NODES_WITHOUT_ROOM.format(nodes=join_names(sorted(full)))
    stuck = {
        node: [row for row in those if row.key.kind == "DaemonSet" and any(_pick(row.cost.added))]
        for node, those in full.items()
    }
    if names := sorted({f"{row.key.namespace}/{row.key.name}" for those in stuck.values() for row in those}):
        nodes = sorted(node for node, those in stuck.items() if those)
        yield ClusterFinding.DAEMON_SETS_WITHOUT_ROOM.format(nodes=join_names(nodes), workloads=join_names(names))


def _exceeds(pods: Sequence[tuple[RunningPod, Row]], free: Amounts) -> bool:
    added = _pick(add_totals(row.cost.added for _, row in pods))
    return not _fits(added, [max(NONE, one) for one in free])


def _pick(totals: Totals) -> Amounts:
    return totals["requests.cpu"], totals["requests.memory"]
