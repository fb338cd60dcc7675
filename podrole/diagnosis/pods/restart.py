"""Fits the command that restarts a workload to what its spec lets a rollout do."""

import re

from injector.k8s.objects import Object, read_mapping

ROLLOUT_RESTART = re.compile(r"kubectl -n (\S+) rollout restart (\S+)")


def fit_restart(remedy: str, workload: Object, pod: str) -> str:
    """Replace a restart that kubectl refuses (a paused Deployment) or that leaves a pod as it is (OnDelete, partition).

    `pod` is quoted for a shell.
    """
    found = ROLLOUT_RESTART.search(remedy)
    if found is None:
        return remedy
    spec = read_mapping(workload, "spec")
    strategy = read_mapping(spec, "updateStrategy")
    kubectl = f"kubectl -n {found[1]}"
    if spec.get("paused") is True:
        return remedy.replace(found[0], f"{kubectl} rollout resume {found[2]} && {found[0]}")
    if strategy.get("type") == "OnDelete" or read_mapping(strategy, "rollingUpdate").get("partition"):
        return remedy.replace(found[0], f"{kubectl} delete pod {pod}   # its updateStrategy keeps it from a rollout")
    return remedy
