"""All findings about one pod, out of what was read."""

from collections.abc import Callable, Iterator, Mapping

import contract
from injector.decision.context import ClusterContext
from injector.decision.rules import find_unsupported
from injector.errors import ConfigError
from injector.k8s.objects import Object, parse_metadata
from podrole.diagnosis.expected_state import RunningPod, compare_with_expected_state
from podrole.diagnosis.injection import PodCreation, find_injection, is_injected, read_mode
from podrole.diagnosis.installed_config import DeployedEnv, build_effective_config, find_deployment, read_deployed_env
from podrole.diagnosis.pod_findings import ExpectedState
from podrole.diagnosis.sidecar import find_container_states, find_events, find_status, is_sidecar_running, tell_unread
from podrole.diagnosis.snapshot import Snapshot
from podrole.diagnosis.versions import read_server_version
from podrole.diagnosis.webhooks import find_ours
from podrole.findings import Finding, Section


def diagnose_pod(pod: Object, snapshot: Snapshot, environ: Mapping[str, str]) -> list[Section]:
    """Find everything about a pod; `environ` is the caller's."""
    topics: dict[str, Callable[[], Iterator[Finding]]] = {
        "Was it injected?": lambda: _read_creation(pod, snapshot),
        "What would it get now?": lambda: _compare_with_expected_state(pod, snapshot, environ),
        "What do its injected containers say?": lambda: _find_state(pod, snapshot),
    }
    return [Section(title, tuple(find())) for title, find in topics.items()]


def _read_creation(pod: Object, snapshot: Snapshot) -> Iterator[Finding]:
    webhooks = tuple(find_ours(snapshot.all("webhooks"))) if "webhooks" in snapshot.objects else None
    creation = PodCreation(pod, snapshot.one("namespace"), webhooks, snapshot.unread, find_unsupported(pod))
    yield from find_injection(creation)


def _compare_with_expected_state(pod: Object, snapshot: Snapshot, environ: Mapping[str, str]) -> Iterator[Finding]:
    settings = _read_settings(snapshot)
    if settings and settings.gaps:
        yield ExpectedState.GAPS.format(gaps=", ".join(settings.gaps))
    missing = [snapshot.unread[name] for name in ("namespace", "service-account", "version") if name in snapshot.unread]
    if missing:
        yield ExpectedState.SURROUNDINGS_UNREAD.format(problem="; ".join(missing))
        return
    try:
        effective_config = build_effective_config(settings, environ)
    except ConfigError as error:
        unread = [snapshot.unread[name] for name in ("deployment", "config-maps") if name in snapshot.unread]
        place = find_deployment(snapshot.all("webhooks"))
        if settings is None and not unread:
            unread = ["there is no Deployment {}/{} to read the webhook's configuration from".format(*place)]
        yield ExpectedState.SETTINGS_UNKNOWN.format(problem=_join([*unread, str(error)]))
        return
    yield from compare_with_expected_state(RunningPod(pod, _read_surroundings(snapshot), effective_config))


def _read_settings(snapshot: Snapshot) -> DeployedEnv | None:
    deployment = snapshot.one("deployment")
    return None if deployment is None else read_deployed_env(deployment, snapshot.all("config-maps"))


def _read_surroundings(snapshot: Snapshot) -> ClusterContext:
    namespace, account = snapshot.one("namespace"), snapshot.one("service-account")
    return ClusterContext(
        None if namespace is None else parse_metadata(namespace),
        None if account is None else parse_metadata(account),
        read_server_version(snapshot),
    )


def _join(problems: list[str]) -> str:
    return "; ".join(" ".join(problem.split()) for problem in problems)


def _find_state(pod: Object, snapshot: Snapshot) -> Iterator[Finding]:
    if not is_injected(pod):
        return
    yield from find_container_states(pod)
    if read_mode(pod) != contract.MODE_BLOCK and is_sidecar_running(pod):
        status = snapshot.one("status")
        if status is None:
            yield tell_unread(pod, snapshot.unread.get("status", "it was not asked."))
        else:
            yield from find_status(pod, str(status["stdout"]))
    yield from find_events(snapshot.all("events"))
