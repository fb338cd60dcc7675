"""The composition root, which gunicorn loads: config, template, cluster, app. A wrong setting ends it with code 2."""

import logging
import os
import ssl
import sys
from collections.abc import Mapping
from typing import NoReturn
from wsgiref.types import WSGIApplication

from injector.admission import Admission
from injector.app import create_app
from injector.cluster import Cluster
from injector.cluster.manifests import ManifestCluster
from injector.config import Config
from injector.errors import ClusterError, ConfigError
from injector.template import load_template

LOG = logging.getLogger("podrole")


def load_config(environ: Mapping[str, str]) -> Config:
    """Read the webhook's configuration; end the process with a sentence where it is wrong."""
    try:
        return Config.from_environ(environ, with_tls=True)
    except ConfigError as error:
        _stop(error)


def load_app() -> WSGIApplication:
    """Build the webhook out of this process's environment."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = load_config(os.environ)
    try:
        check_certificate(config)
        return create_app(Admission(config, load_cluster(config), load_template(config)))
    except (ConfigError, ClusterError) as error:
        _stop(error)


def check_certificate(config: Config) -> None:
    """Try certificate and key once: gunicorn would find out at the first connection, and say it to nobody."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(config.tls_cert), str(config.tls_key))
    except OSError as error:
        files = f"{config.tls_cert} and {config.tls_key}"
        raise ConfigError(f"PODROLE_TLS_CERT and PODROLE_TLS_KEY: {files} cannot be used: {error}") from error


def load_cluster(config: Config) -> Cluster:
    """The cluster that this configuration names."""
    if config.manifests is not None:
        return ManifestCluster(config.manifests)
    from injector.cluster import live  # noqa: PLC0415 - over a second and 50 MiB, which manifests do not need

    configuration = live.load_configuration()
    # With a client of its own: the worker is forked from this process and must not share a TLS connection with it.
    LOG.info("Kubernetes %s.%s", *live.LiveCluster(configuration).version() or ("?", "?"))
    return live.LiveCluster(configuration)


def _stop(error: ConfigError | ClusterError) -> NoReturn:
    sys.stderr.write(f"podrole-injector: {error}\n")
    sys.exit(ConfigError.exit_code)
