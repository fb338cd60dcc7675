"""Every wait of the command for probe pods, in seconds. Its requests have those of `injector.deadlines`.

Each says who waits for what, and what follows. docs/deadlines.md has them as a table.
"""

PROBES_SECONDS = 150
"""`podrole preflight --probe`, for the end of all probe pods together: it reports those that have not ended.

An image may have to be pulled.
"""

PROBE_POD_SECONDS = 180
"""The kubelet, for the end of a probe pod: it ends the pod, whatever happened to the command."""

ACCOUNT_SECONDS = 30
"""`podrole preflight --probe`, for the ServiceAccount of its namespace: it deletes the namespace and reports that.

A controller creates the account.
"""

POLL_SECONDS = 1.0
"""`podrole preflight --probe`, between two looks at its pods or account: it looks again."""

REPORT_SECONDS = 15.0
"""`podrole preflight --probe`, between two messages that tell what it waits for: it prints the next one."""

PROGRESS_SECONDS = 2.0
"""The command, for something that takes long: it prints what it is doing."""
