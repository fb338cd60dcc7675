"""Keeps the images of podrole's containers that another webhook rewrote to a mirror, as the operator configured it.

Any other image is replaced by podrole's: the author of a pod must not choose what runs the redirect.
"""

from collections.abc import Sequence

from injector.k8s.objects import Object, read_objects, read_spec

Rewrites = Sequence[tuple[str, str]]
"""Prefixes of images, and what replaces each."""


def keep_rewritten_images(ours: Sequence[Object], pod: Object, rewrites: Rewrites) -> Sequence[Object]:
    """Give each of podrole's containers the image that it has in the pod, if that is a rewritten one."""
    if not rewrites:
        return ours
    present = {one.get("name"): one.get("image") for one in read_objects(read_spec(pod), "initContainers")}
    return [_keep(container, present.get(container["name"]), rewrites) for container in ours]


def _keep(container: Object, image: object, rewrites: Rewrites) -> Object:
    return {**container, "image": image} if image in _rewrite(container["image"], rewrites) else container


def _rewrite(image: str, rewrites: Rewrites) -> Sequence[str]:
    return [to + image.removeprefix(prefix) for prefix, to in rewrites if image.startswith(prefix)]
