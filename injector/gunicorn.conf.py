"""How gunicorn serves the webhook: `gunicorn -c injector/gunicorn.conf.py`. PODROLE_* variables say everything else.

https://docs.gunicorn.org/en/stable/settings.html
"""

import os
import socket
import ssl
from collections.abc import Callable

import contract
from injector.main import load_config

_config = load_config(os.environ)
_host = _config.webhook_host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - a webhook is called from outside its pod

wsgi_app = "injector.main:load_app()"
proc_name = "podrole-injector"
bind = f"[{_host}]:{_config.webhook_port}" if ":" in _host else f"{_host}:{_config.webhook_port}"
certfile = str(_config.tls_cert)
keyfile = str(_config.tls_key)

workers = 1
worker_class = "gthread"
threads = 2  # one may wait for a live read while the other answers; more only take turns
preload_app = True  # a wrong template or no cluster ends the whole process instead of restarting a worker for ever
keepalive = 75  # seconds; the API server keeps its connections, and a TLS handshake costs more than an answer
worker_tmp_dir = contract.SHARED_MEMORY  # the root file system is read-only
control_socket_disable = True  # it would write into a home directory that is not there

accesslog = None  # the admission log has a line for each review
errorlog = "-"


def ssl_context(_config: object, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Called for each connection, so a renewed certificate is served without a restart."""
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
