"""Every wait of the injector and of the client that the command shares with it, in seconds.

Each says who waits for what, and what follows. docs/deadlines.md has them as a table.
"""

KEEPALIVE_SECONDS = 75
"""The webhook's server, for the next request of a connection: it closes the connection.

The API server reuses connections, and a TLS handshake costs more than a review.
"""

LINGER_SECONDS = 3
"""The webhook's server, for requests on idle connections after SIGTERM: it closes them.

The API server does not retry a review that is cut off.
"""

GRACEFUL_SECONDS = 10
"""The webhook's server, for unfinished requests after SIGTERM: it closes their connections and ends."""

WORKER_SECONDS = 30
"""The arbiter, for a sign of life from its worker: it kills the worker and starts another one."""

WORKER_GRACEFUL_SECONDS = 12
"""The arbiter, for its worker to end after SIGTERM: it kills the worker."""

RESTART_DELAYS_SECONDS = (0, 0, 1, 2, 4, 8)
"""A new worker, after none, one, two and more early deaths in a row: it starts.

The last delay repeats.
"""

RETRY_AFTER_SECONDS = 1
"""The API server, after a 429: it sends the review again, within the webhook's timeout."""

QUEUE_SECONDS = 0.5
"""A review, for a thread that reads the API server: the API server gets 429.

A review that starts later could not be answered in time, and would delay those that can.
"""

LIVE_READ_SECONDS = 2
"""A review, for the live read of one object: the pod is denied.

Two reads must fit into the time that the API server gives the webhook.
"""

REVIEW_READS_SECONDS = 4.5
"""A review, for all of its live reads, from its arrival: the pod is denied.

Once an hour there are three: of the namespace, the ServiceAccount and the API server's version.
"""

WORKLOAD_READS_SECONDS = 1
"""A review of a workload, for all of its live reads, from its arrival: it is answered without warnings.

Whoever applies the workload waits for them, and the API server gives the webhook 2 seconds.
"""

WATCH_SECONDS = 60
"""The API server, before it ends a watch: the next watch starts at once.

It proves that the connection still works: a quiet cluster and a lost connection look the same.
"""

WATCH_READ_SECONDS = 70
"""A watch, for its end: the connection is taken for lost, and the watch resumes.

Longer than WATCH_SECONDS, when the server ends it. A server that sends one byte a second ends the wait for no event.
"""

WATCH_CONNECT_SECONDS = 5
"""A list or watch, for a connection to the API server (its name, all addresses, TLS): it is tried again."""

LIST_READ_SECONDS = 30
"""A list, for a whole page: the list starts again, with a smaller limit."""

FULL_LIST_SECONDS = 60
"""A list whose continue token has expired, for all objects in one page: the list starts again.

The API server's own limit: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/,
--request-timeout.
"""

LIST_SECONDS = 600
"""A list, for all of its pages: it starts again.

A continue token is valid for five to fifteen minutes, after which the rest comes in one page.
"""

MIN_BACKOFF_SECONDS = 1
"""A list or watch, after its first failure: it is tried again.

Doubled with each failure in a row. The second half of the wait is random.
"""

MAX_BACKOFF_SECONDS = 30
"""A list or watch, after a failure, at most: it is tried again."""

RELIST_SECONDS = 120
"""A cache, for the API server to send it anything: its objects are listed again, at most once in this time.

Watches that are always cut before their first bookmark, which comes after about a minute, show no changes, and no lack
of them.
"""

MAX_STALENESS_SECONDS = 300
"""Reviews, for the API server to send the cache anything: every read is live."""

STOP_POLL_SECONDS = 0.1
"""Whoever stops a watch, for its thread to end: it closes the watch's connection once more."""

CERT_CONNECT_SECONDS = 2
"""The certificates' thread, for a connection to the API server: the reconciliation has failed, and is repeated."""

CERT_READ_SECONDS = 5
"""The certificates' thread, for a whole answer of the API server: the reconciliation has failed, and is repeated."""

CERT_POLL_SECONDS = 10
"""The certificates' thread, for a change of the webhook configuration: it reconciles."""

CERT_MIN_INTERVAL_SECONDS = 1
"""The certificates' thread, between two reconciliations, at least: it reconciles.

Another client may revert the configuration each time.
"""

CERT_RELOAD_SECONDS = 1
"""A TLS handshake, after certificate files that could not be loaded: it loads them again.

A file can be half-written, memory or descriptors can be scarce. Until then the previous certificate is served.
"""

API_CONNECT_SECONDS = 5
"""The command, for a connection to the API server: it exits with the error."""

API_READ_SECONDS = 15
"""The command, for a whole answer of the API server: it exits with the error."""

API_PAGE_SECONDS = 60
"""The command, for a whole page of a list: it exits with the error.

The API server needs some seconds for a page of a large cluster's nodes, and a page of large pods has many megabytes.
"""

API_LIST_SECONDS = 600
"""The command, for all pages of a list: it exits with the error."""

EXEC_SECONDS = 15
"""The command, for a program in a container to end: it reports the container as unknown."""
