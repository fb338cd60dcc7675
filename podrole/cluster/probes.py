"""Creates the probe pods of `podrole preflight --probe`, waits for their results, and deletes them."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from injector.errors import ClusterError, NotFoundError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from podrole.cluster.probe_plan import NAMESPACES, ProbePlan
from podrole.deadlines import ACCOUNT_SECONDS, POLL_SECONDS, PROBES_SECONDS, REPORT_SECONDS
from podrole.diagnosis.probes import (
    SELECTOR,
    ProbePod,
    build_namespace,
    has_ended,
    read_result,
)
from podrole.diagnosis.state.cluster import ProbeResult, ProbeRun, ReadResult
from podrole.diagnosis.state.workload import read_time
from podrole.progress import progress_message
from podrole.terminal import write


class Timing(NamedTuple):
    """The clock, in seconds, and what waits."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


SYSTEM = Timing()


def run_probes(client: ApiClient, plan: ProbePlan, timing: Timing = SYSTEM) -> ReadResult[ProbeRun]:
    """Create the pods, wait for their results, and delete everything, also after an error or Ctrl-C."""
    run, error = ProbeRun(omitted=plan.omitted), ""
    with _interrupt_on_sigterm():
        try:
            if plan.is_temporary:
                _create_namespace(client, plan.namespace, timing)
            path = f"{NAMESPACES}/{plan.namespace}"
            run = run._replace(results=tuple(_run_pods(client, path, plan.pods, timing)))
        except ClusterError as failure:
            error = str(failure)
        except BaseException:
            for leftover in _clean_up(client, plan):
                write(f"podrole: {leftover}", is_error=True)
            raise
        with progress_message("deleting the probe pods"):
            leftover = "; ".join(_clean_up(client, plan))
    # A failed run is one finding, so it has to name what is left as well.
    return ReadResult(run._replace(leftover=leftover), "; ".join(filter(None, (error, error and leftover))))


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM, with which a CI system cancels a job, as Ctrl-C, so that the pods are deleted."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _create_namespace(client: ApiClient, name: str, timing: Timing) -> None:
    client.create(NAMESPACES, build_namespace(name))
    with progress_message(f"waiting for the ServiceAccount of namespace {name}"):
        ends_at = timing.now() + ACCOUNT_SECONDS
        while timing.now() < ends_at:
            if client.get_or_none(f"{NAMESPACES}/{name}/serviceaccounts/default") is not None:
                return
            timing.sleep(POLL_SECONDS)
    raise ClusterError(f"namespace {name} got no ServiceAccount within {ACCOUNT_SECONDS} s")


def _run_pods(client: ApiClient, path: str, pods: Sequence[ProbePod], timing: Timing) -> Iterator[ProbeResult]:
    rejected: dict[str, str] = {}
    for pod in pods:
        try:
            client.create(f"{path}/pods", pod.manifest)
        except ClusterError as error:
            rejected[pod.name] = str(error)
    created = [pod for pod in pods if pod.name not in rejected]
    found = _await_end(client, path, [pod.name for pod in created], timing) if created else {}
    for pod in pods:
        if pod.name in rejected:
            yield ProbeResult(pod.mode, pod.runtime_class, None, problem=rejected[pod.name])
        else:
            status = found.get(pod.name, {})
            yield read_result(pod, status, "" if has_ended(status) else _find_warning(client, path, status))


def _await_end(client: ApiClient, path: str, names: Sequence[str], timing: Timing) -> dict[str, Object]:
    """Poll the pods until all have ended or the time is over; return them by name."""
    found: dict[str, Object] = {}
    ends_at = timing.now() + PROBES_SECONDS
    while (seconds := ends_at - timing.now()) > 0:
        left = len(names) - sum(map(has_ended, found.values()))
        with progress_message(f"waiting for {left} of {len(names)} probe pods, {seconds:.0f} s at most"):
            report_at = min(ends_at, timing.now() + REPORT_SECONDS)
            while timing.now() < report_at:
                items = client.list(f"{path}/pods", query={"labelSelector": SELECTOR})
                by_name = {str(read_mapping(pod, "metadata").get("name")): pod for pod in items}
                found = {name: by_name[name] for name in names if name in by_name}
                if len(found) == len(names) and all(map(has_ended, found.values())):
                    return found
                timing.sleep(POLL_SECONDS)
    return found


def _find_warning(client: ApiClient, path: str, pod: Object) -> str:
    """The newest warning about a pod, such as a failed pull of its image."""
    uid = read_mapping(pod, "metadata").get("uid")
    try:
        events = client.list(f"{path}/events", query={"fieldSelector": f"involvedObject.uid={uid}"})
    except ClusterError:
        return ""
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings, key=read_time, default={})
    return " ".join(f"{newest['reason']}: {newest.get('message')}".split()) if newest.get("reason") else ""


def _clean_up(client: ApiClient, plan: ProbePlan) -> Iterator[str]:
    """Delete everything; yield what could not be deleted."""
    path = f"{NAMESPACES}/{plan.namespace}"
    paths = [path] if plan.is_temporary else [f"{path}/pods/{pod.name}" for pod in plan.pods]
    everything = f"namespace {plan.namespace}"
    if not plan.is_temporary:
        everything = f"pods --namespace {plan.namespace} --selector {SELECTOR}"
    for one in paths:
        try:
            client.delete(one)
        except NotFoundError:
            continue
        except ClusterError as error:
            yield f"{error}. Run: kubectl delete {everything}"
            return
