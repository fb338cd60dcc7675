"""How gunicorn runs the sidecar. `sidecar.main` adds what depends on the pod: the sockets and the hooks.

https://docs.gunicorn.org/en/stable/settings.html
"""

import contract

proc_name = "podrole-sidecar"
workers = 1
worker_class = "gthread"
threads = 2  # more make the slowest answers slower: the interpreter lets one thread run at a time
preload_app = True  # Flask is imported once, before the fork, and its memory shared
worker_tmp_dir = contract.SHARED_MEMORY  # the root file system is read-only
control_socket_disable = True  # it would write into a home directory that is not there

keepalive = 2
timeout = 30
graceful_timeout = 5
limit_request_fields = 50

accesslog = None  # paths hold a role's name, headers hold tokens
errorlog = "-"
loglevel = "warning"
