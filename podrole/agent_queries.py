"""The requests about kube2iam and Kiam that `preflight` makes to the API server."""

from collections.abc import Sequence
from dataclasses import replace

from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis import installed_config
from podrole.diagnosis.agents.flags import KIAM
from podrole.diagnosis.agents.recognition import recognise
from podrole.diagnosis.cluster_state import ClusterState, Objects, ReadResult
from podrole.queries import fetch_list, fetch_object

MAX_NAMESPACES = 10
MAX_CONFIG_MAPS = 50


def add_agents(client: ApiClient, cluster: ClusterState) -> ClusterState:
    """Read what kube2iam and Kiam consist of besides their DaemonSets; nothing where there are none."""
    servers = _fetch_servers(client, cluster.daemon_sets.value)
    config_maps = _fetch_config_maps(client, (*cluster.daemon_sets.value, *servers.value))
    return replace(cluster, agent_servers=servers, agent_config_maps=config_maps)


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
