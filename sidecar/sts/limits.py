"""Resource limits of the child process: whatever it reads, it ends before the container's memory does.

With cgroup v2 the kubelet has the kernel kill all processes of a container if one of them exceeds the memory limit.
https://man7.org/linux/man-pages/man2/getrlimit.2.html
"""

import resource

MAX_MEMORY_BYTES = 64 * 1024 * 1024
"""Of private writable memory. The container's limit is 96 MiB; the resident process takes about a tenth of it."""

MAX_FILE_BYTES = 1024 * 1024
"""It writes no file; standard error may be one."""

LIMITS = {
    resource.RLIMIT_DATA: MAX_MEMORY_BYTES,
    resource.RLIMIT_CPU: 30,  # seconds; its parent waits as long
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_FSIZE: MAX_FILE_BYTES,
    resource.RLIMIT_CORE: 0,  # a core file would contain the credentials
}


def limit_resources() -> None:
    """Lower this process's limits. Nothing raises them again."""
    for kind, limit in LIMITS.items():
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, lowest))
