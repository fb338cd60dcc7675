"""Volumes in app containers at the files of the shared configuration, in any home.

https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
"""

import re
from collections.abc import Iterator, Sequence

from injector.explanations import explain_each
from injector.k8s.objects import Object, read_name, read_objects, read_spec
from injector.reasons import Explanation, Reason

SHARED_FILES = re.compile(r"/(?:.*/)?(?:\.aws(?:/(?:credentials|config))?|\.boto)/*|/etc/boto\.cfg", re.DOTALL)


def warn_mounted_files(pod: Object, containers: Sequence[Object]) -> Iterator[Explanation]:
    """Warn about each volume that can have such files; an empty directory is for the cache of the AWS CLI."""
    found = [
        (read_name(container), read_name(mount), path)
        for container in containers
        for mount in read_objects(container, "volumeMounts")
        if SHARED_FILES.fullmatch(path := read_name(mount, "mountPath"))
    ]
    if not found:  # nearly every pod
        return
    volumes = read_objects(read_spec(pod), "volumes")
    empty = {read_name(volume) for volume in volumes if volume.get("emptyDir") is not None}
    yield from explain_each(
        [one for one in found if one[1] not in empty],
        lambda one: Reason.SHARED_CONFIG_MOUNTED.explain(container=one[0], volume=one[1], path=one[2]),
    )
