"""The findings about what a pod waits for besides podrole: level, sentence, remedy."""

from podrole.findings import FindingTemplate, Level

DESCRIBE = "kubectl -n {namespace} describe pod {name}"


class Progress(FindingTemplate):
    """Why a pod does not run or is not ready. `{done}` says that podrole's containers are not the reason."""

    TERMINATING = (Level.NOTE, "The pod is being deleted: it has until {due} to end.")
    TERMINATION_OVERDUE = (
        Level.WARNING,
        "The pod should have been deleted by {due}. Its node {node} has not confirmed the end of its containers.",
        "kubectl get node {node}",
    )
    FINALIZERS = (
        Level.WARNING,
        "The pod should have been deleted by {due}. It waits for its finalizers, none of which is podrole's: {names}.",
        "Find out which controller must remove them, and whether it runs.",
    )
    FAILED = (Level.WARNING, "The pod failed ({reason}): {message}", DESCRIBE)
    FAILED_AND_REPLACED = (
        Level.NOTE,
        "The pod failed, and its {owner} replaced it ({reason}): {message}",
        "kubectl -n {namespace} delete pod {name}",
    )
    EVICTED_BECAUSE_OF_PODROLE = (
        Level.PROBLEM,
        "The kubelet evicted the pod because of podrole's container ({reason}): {message}",
        "Raise the sidecar's requests: podrole.io/sidecar-resources (docs/annotations.md).",
    )
    REJECTED_BY_KUBELET = (
        Level.PROBLEM,
        "The kubelet rejected the pod because of podrole's container ({reason}): {message}",
        "podrole preflight",
    )
    SIDECAR_DELAYS_END = (
        Level.PROBLEM,
        "The pod should have been deleted by {due}: its own containers have ended, and podrole-sidecar still runs.",
        "kubectl -n {namespace} logs {name} -c podrole-sidecar",
    )
    UNSCHEDULABLE_WITH_PODROLE = (
        Level.PROBLEM,
        "The pod cannot be scheduled: {message} Without what podrole adds to its requests it may fit: {added}.",
        "Set podrole.io/sidecar-resources on the namespace or in the pod template (docs/annotations.md), or add nodes.",
    )
    UNSCHEDULABLE = (
        Level.WARNING,
        "The pod cannot be scheduled, which is not because of podrole: {message}",
        DESCRIBE,
    )
    SCHEDULING_GATED = (Level.NOTE, "The pod is not scheduled yet: its scheduling gates are {names}.")
    INIT_RUNNING = (Level.NOTE, "{done}The pod waits for its own init container {container}, which runs since {since}.")
    CONTAINER_FAILING = (
        Level.WARNING,
        (
            "{done}The pod's own container {container} keeps exiting ({restarts:# restart|# restarts}): exit code "
            "{code}, {reason}."
        ),
        "kubectl -n {namespace} logs {name} -c {container} --previous",
    )
    CONTAINER_ENDED = (
        Level.WARNING,
        "{done}The pod's own container {container} exited with code {code}, {reason}.",
        "kubectl -n {namespace} logs {name} -c {container}",
    )
    IMAGE_PULL_FAILED = (
        Level.WARNING,
        "{done}The image of the pod's own container {container} cannot be pulled: {reason} {message}",
        DESCRIBE,
    )
    CONTAINER_NOT_STARTED = (
        Level.WARNING,
        "{done}The pod's own container {container} cannot be started: {reason} {message}",
        DESCRIBE,
    )
    NOT_READY = (
        Level.NOTE,
        "{done}The pod's own container {container} runs, but its readiness or startup probe has not succeeded.",
        DESCRIBE,
    )
    PODROLE_VOLUME_NOT_MOUNTED = (
        Level.PROBLEM,
        "The kubelet cannot mount podrole's volume (last at {last}): {message}",
        DESCRIBE,
    )
    VOLUME_NOT_MOUNTED = (Level.WARNING, "The kubelet cannot mount a volume (last at {last}): {message}", DESCRIBE)
    SANDBOX_NOT_CREATED = (
        Level.WARNING,
        "The node cannot set up the pod's sandbox or network, before any container (last at {last}): {message}",
        DESCRIBE,
    )
