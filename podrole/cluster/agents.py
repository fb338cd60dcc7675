"""The requests about kube2iam and Kiam that `preflight` makes to the API server."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from injector.errors import ClusterError, ObjectError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from injector.metadata_keys import ROLE
from podrole.cluster.queries import fetch_list, fetch_object
from podrole.diagnosis.agents.census import PodCounter, index_metadata
from podrole.diagnosis.agents.check import list_agents
from podrole.diagnosis.agents.flags import DEFAULT_ROLE, DISCOVERED_DEFAULT_ROLE, KIAM
from podrole.diagnosis.agents.recognition import Agent, recognise
from podrole.diagnosis.cluster.checks import build_check_context
from podrole.diagnosis.cluster.nodes import list_fargate
from podrole.diagnosis.state import installed_config
from podrole.diagnosis.state.cluster import ClusterState, Objects, ReadResult
from podrole.diagnosis.state.versions import read_server_version
from podrole.progress import progress_message

MAX_NAMESPACES = 10
MAX_CONFIG_MAPS = 50


def add_agents(client: ApiClient, cluster: ClusterState) -> ClusterState:
    """Read what kube2iam and Kiam consist of besides their DaemonSets; nothing where there are none."""
    servers = _fetch_servers(client, cluster.daemon_sets.value)
    config_maps = _fetch_config_maps(client, (*cluster.daemon_sets.value, *servers.value))
    return replace(cluster, agent_servers=servers, agent_config_maps=config_maps)


def add_agent_pods(client: ApiClient, cluster: ClusterState, environ: Mapping[str, str]) -> ClusterState:
    """Count the pods that depend on kube2iam or Kiam, page by page; nothing where there are none."""
    agents = list_agents(cluster)
    if not agents:
        return cluster
    counter = _build_counter(cluster, agents, environ)
    names = cluster.requested_namespaces
    paths = [f"/api/v1/namespaces/{name}/pods" for name in names] or ["/api/v1/pods"]
    try:
        with progress_message("counting the pods that kube2iam or Kiam serves"):
            for path in paths:
                for pod in client.iterate(path):
                    counter.add(pod)
    except (ClusterError, ObjectError) as error:
        return replace(cluster, agent_pods=ReadResult(None, str(error)))
    return replace(cluster, agent_pods=ReadResult(counter.census))


def _build_counter(cluster: ClusterState, agents: Sequence[Agent], environ: Mapping[str, str]) -> PodCounter:
    effective = build_check_context(cluster, environ, 0).effective_config
    return PodCounter(
        {name: metadata for (_, name), metadata in index_metadata(cluster.namespaces.value).items()},
        index_metadata(cluster.service_accounts.value),
        effective.config if effective else None,
        read_server_version(cluster.installation.version.value),
        {ROLE, *(agent.flags["iam-role-key"] for agent in agents if agent.flags.get("iam-role-key"))},
        has_default_role=any(
            agent.may_have(flag) for agent in agents for flag in (DEFAULT_ROLE, DISCOVERED_DEFAULT_ROLE)
        ),
        fargate_nodes=frozenset(list_fargate(cluster.nodes.value)),
    )


def _fetch_servers(client: ApiClient, daemon_sets: Sequence[Object]) -> Objects:
    kiam = [one for one in daemon_sets if recognise(one) == KIAM]
    namespaces = sorted({str(read_mapping(one, "metadata").get("namespace")) for one in kiam})
    paths = [f"/apis/apps/v1/namespaces/{namespace}/deployments" for namespace in namespaces[:MAX_NAMESPACES]]
    return fetch_list(client, "Kiam's server", *paths) if paths else ReadResult(())


def _fetch_config_maps(client: ApiClient, workloads: Sequence[Object]) -> Objects:
    """Read one by one, as the user may have permission for these only. What cannot be read is a finding later."""
    paths = {
        f"/api/v1/namespaces/{read_mapping(one, 'metadata').get('namespace')}/configmaps/{name}": None
        for one in workloads
        if recognise(one)
        for name in installed_config.list_config_maps(one)
    }
    found = [fetch_object(client, "the agents' ConfigMaps", path) for path in [*paths][:MAX_CONFIG_MAPS]]
    return ReadResult(tuple(one.value for one in found if one.value is not None))
