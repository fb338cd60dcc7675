"""The pod that a workload's controller would create next, for a dry run."""

from injector.k8s.objects import Object, read_mapping, read_objects, read_spec


def build_new_pod(template: Object, obj: Object, kind: str) -> Object:
    """Build a pod of a template. A StatefulSet's has the volumes of its claims."""
    metadata = read_mapping(template, "metadata")
    name = str(read_mapping(obj, "metadata").get("name"))
    kept = {key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{name[:MAX_PREFIX]}-", **kept},
        "spec": _add_claims(read_spec(template), obj, name) if kind == "statefulset" else read_spec(template),
    }


def build_copy(original: Object) -> Object:
    """Build a pod that is created as this one was: without its name, node and what only the API server writes."""
    metadata, spec = read_mapping(original, "metadata"), read_spec(original)
    kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    prefix = str(metadata.get("name"))[:MAX_PREFIX]
    dropped = {"nodeName", "ephemeralContainers", "hostname"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{prefix}-", **kept},
        "spec": {key: value for key, value in spec.items() if key not in dropped},
    }


MAX_PREFIX = 57
"""Characters before the hyphen and the five that the API server adds: a pod's name has 63 in its hostname."""


def _add_claims(spec: Object, obj: Object, name: str) -> Object:
    claims = read_objects(read_mapping(obj, "spec"), "volumeClaimTemplates")
    names = [str(read_mapping(claim, "metadata").get("name")) for claim in claims]
    volumes = [one for one in read_objects(spec, "volumes") if one.get("name") not in names]
    added = [{"name": one, "persistentVolumeClaim": {"claimName": f"{one}-{name}-0"}} for one in names]
    return {**spec, "volumes": [*volumes, *added]} if added else spec
