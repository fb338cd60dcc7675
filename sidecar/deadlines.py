"""Every wait of the sidecar and its child process, in seconds: who waits for what, and what follows.

docs/deadlines.md has them as a table. Constants only: the postStart hook imports it.
"""

START_HOOK_SECONDS = 30
"""The postStart hook, for the started file: it fails, and the kubelet restarts the sidecar.

Without a limit it would block the pod's deletion and its logs.
"""

START_HOOK_POLL_SECONDS = 0.02
"""The postStart hook, between two looks for the started file: it looks again."""

FIRST_RESULT_SECONDS = 10
"""The start, for the first answer of STS: it publishes the started file without it.

A mesh proxy that starts after the sidecar may be the only way to STS.
"""

STARTED_FILE_RETRY_SECONDS = 1
"""The start, after the started file could not be renamed: it tries again, and serves credentials meanwhile.

Without end: the postStart hook has its own deadline.
"""

SELF_CHECK_SECONDS = 2
"""The start, for its own answer at one metadata address: it exits, as the redirect is not in effect."""

REJECTION_CHECK_SECONDS = 1.0
"""The init container of a pod without a role, for all metadata addresses to refuse: it fails."""

MEASUREMENT_SECONDS = 1.0
"""The measurement of env mode, for all answers of the node's metadata service: it reports `timed out`.

All requests are sent at once. SDKs wait as long for each.
"""

MEASUREMENT_INTERVAL_SECONDS = 3600
"""The refresher's thread, between two measurements of env mode: it measures again."""

STATUS_SECONDS = 5
"""The command `sidecar.status`, for the sidecar's answer: it exits with 1 and the reason."""

PROBE_GRACEFUL_SECONDS = 1
"""The probe of `podrole preflight --probe`, for its own server to end: unfinished requests are cut off."""

STS_CHILD_SECONDS = 30
"""The refresher, for the child process that calls STS: it kills the child, and the attempt has failed."""

STS_REQUEST_SECONDS = 8
"""The child process, for the whole answer to a call: it repeats the call, or starts the chain again."""

STS_CONNECT_SECONDS = 3
"""The child process, for a connection to any address of STS or the proxy: the call has failed."""

NODE_KEYS_SECONDS = 2
"""The child process, for each answer about the node's access keys: the attempt has failed."""

STS_FIRST_RETRY_SECONDS = 0.2
"""The child process, after its first request that failed, and a random part of a second more: it sends the next one.

Doubled after each request.
"""

STS_LONGEST_RETRY_SECONDS = 2
"""The child process, after a request that failed, at most: it sends the next one."""

MAX_SLEEP_SECONDS = 30
"""The refresher, for the time of the next refresh, at most: it looks at both clocks, and waits again.

So it notices a clock jump, or a node that was suspended. It is half of EXPIRY_MARGIN_SECONDS, so that even after the
clock was set back no expired credentials are served. If the clocks of a whole fleet are set at once, its calls to STS
are spread over this time.
"""

MIN_REFRESH_SECONDS = 60
"""The refresher, after a success, at least: it refreshes, even if the new credentials had already expired."""

RETRY_MIN_SECONDS = 2
"""The refresher, after the first transient failure: it refreshes again.

Doubled with each failure. The second half of the wait is random.
"""

RETRY_MAX_SECONDS = 60
"""The refresher, after a transient failure, at most: it refreshes again."""

PERMANENT_RETRY_SECONDS = 60
"""The refresher, after a permanent failure: it refreshes again.

An operator fixes the cause (trust policy, role); IAM takes seconds to minutes to apply the change.
"""

NODE_METADATA_SECONDS = 2
"""The metadata pass-through, for both answers of the node's metadata service together: the client gets 404.

With a hop limit of 1 the response that carries the token never arrives.
"""

NODE_METADATA_CONNECT_SECONDS = 1
"""The metadata pass-through, for a connection to the node's metadata service: the client gets 404."""

NODE_METADATA_BACKOFF_SECONDS = 30
"""The metadata pass-through, after a request to the node that failed: it asks the node again."""

IPTABLES_LOCK_SECONDS = 5
"""iptables, for the lock of another run: it fails, and the kubelet restarts the init container."""

IPTABLES_SECONDS = 30
"""The init container, for a program of iptables to end: it kills the program and fails.

More than the wait for the lock: a program that hangs must not hold up the pod for ever.
"""

REDIRECT_LOCK_SECONDS = 20.0
"""The init container, for another one of its pod that loads rules: it loads them without the lock.

Any process of the pod can hold it, and a second jump does no harm.
"""

REDIRECT_LOCK_POLL_SECONDS = 0.02
"""The init container, between two tries to get that lock: it tries again."""

REFRESH_RESTART_SECONDS = 30
"""The refresher's thread, after an error that nothing expected: it starts again, and may call STS."""
