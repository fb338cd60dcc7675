"""Objects of a cluster, for plans."""

from typing import Any

from injector.patch.template import load_template
from podrole.planning.estate import PlanEstate
from podrole.planning.namespaces import Scope
from podrole.planning.plan import Plan, build_plan
from podrole.planning.pod_plans import Settings
from podrole.planning.roles_now import Systems
from podrole.planning.rows import Row
from testing.cases import CONFIG

Manifest = dict[str, Any]

ROLE = "iam.amazonaws.com/role"
TEMPLATE = load_template(CONFIG)
SETTINGS = Settings(CONFIG, TEMPLATE)


def namespace(name: str = "shop", *, is_labelled: bool = True, annotations: Manifest | None = None) -> Manifest:
    labels = {"podrole.io/injection": "enabled"} if is_labelled else {}
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels, "annotations": annotations or {}}}


def account(name: str = "default", **annotations: str) -> Manifest:
    return {"kind": "ServiceAccount", "metadata": {"name": name, "namespace": "shop", "annotations": annotations}}


def template(role: str | None = "reader", annotations: Manifest | None = None, **spec: Any) -> Manifest:
    given = {**({ROLE: role} if role else {}), **(annotations or {})}
    container = {"name": "app", **spec.pop("container", {})}
    return {"metadata": {"labels": {"app": "web"}, "annotations": given}, "spec": {"containers": [container], **spec}}


def workload(kind: str = "Deployment", pod: Manifest | None = None, name: str = "web", **spec: Any) -> Manifest:
    version = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}}
    found = pod or template()
    if kind == "CronJob":
        return {**head, "spec": {"jobTemplate": {"spec": {"template": found}}, **spec}}
    labels = {"app": "web"}
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    return {**head, "spec": {"selector": selector, "template": found, **spec}}


def pod(
    name: str, content: Manifest | None = None, owner: tuple[str, str, str] | None = None, node: str = ""
) -> Manifest:
    """A running pod; `owner`: API version, kind and name of its controller."""
    content = content or template()
    metadata = {**content["metadata"], "name": name, "namespace": "shop"}
    if owner:
        metadata["ownerReferences"] = [own(*owner)]
    spec = {**content["spec"], **({"nodeName": node} if node else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def own(version: str, kind: str, name: str) -> Manifest:
    return {"apiVersion": version, "kind": kind, "name": name, "controller": True}


def owned(thing: Manifest, *owner: str) -> Manifest:
    """A workload that another one controls."""
    return {**thing, "metadata": {**thing["metadata"], "ownerReferences": [own(*owner)]}}


def node(name: str, cpu: str = "1", memory: str = "1Gi", **spec: Any) -> Manifest:
    allocatable = {"cpu": cpu, "memory": memory}
    return {"kind": "Node", "metadata": {"name": name}, "spec": spec, "status": {"allocatable": allocatable}}


def make_plan(
    *objects: Manifest, is_cluster: bool = True, systems: Systems | None = None, scope: Scope | None = None
) -> Plan:
    """Plan a cluster, or manifests, with these objects."""
    estate = PlanEstate(is_complete=is_cluster)
    for one in objects:
        estate.add(one)
    settings = Settings(CONFIG, TEMPLATE, systems=systems or Systems())
    return build_plan(estate, settings, scope or Scope())


def make_row(*objects: Manifest, is_cluster: bool = True, systems: Systems | None = None) -> Row:
    """The only row of such a plan."""
    (row,) = make_plan(*objects, is_cluster=is_cluster, systems=systems).rows
    return row


def list_codes(plan: Plan) -> list[str]:
    return [finding.code for section in plan.sections for finding in section.findings]
