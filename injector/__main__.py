"""The entry point of the webhook: `python -m injector`. Exits with code 2 if a setting is invalid."""

from contract.termination import block_unsupported_signals, exit_on_signals, truncate_termination_message

if __name__ == "__main__":
    exit_on_signals(0)  # nothing is served yet
    block_unsupported_signals()

import logging
import os
import sys

from contract.modes import CredentialSource
from injector.arbiter import Application, end_new_workers_on_signals
from injector.config import Config
from injector.errors import ConfigError
from injector.log import set_up_standard_error
from server.descriptors import TooFewFilesError, raise_limit

LOG = logging.getLogger("podrole")


def main() -> None:
    """Serve until SIGTERM."""
    set_up_standard_error()
    try:
        raise_limit()
        config = Config.from_environ(os.environ, with_tls=True)
        application = Application(config)
    except (ConfigError, TooFewFilesError) as error:
        sys.stderr.write(truncate_termination_message(f"podrole-injector: {error}\n"))
        sys.exit(ConfigError.exit_code)
    if config.credential_source == CredentialSource.NODE:
        LOG.warning(
            "PODROLE_CREDENTIAL_SOURCE=node is unsafe: every sidecar uses the node's role, and so can any container "
            "that runs as the sidecar's user. Use web identities."
        )
    end_new_workers_on_signals()
    application.run()


if __name__ == "__main__":
    main()
