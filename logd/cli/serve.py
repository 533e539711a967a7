"""`logd serve`: the daemon in the foreground, until it is told to stop."""

from __future__ import annotations

import logging
import sys

import click

from logd.cli import logs
from logd.cli.beside import page_beside
from logd.cli.options import SettingsCommand
from logd.settings.loading import InForce

logger = logging.getLogger(__name__)


@click.command(cls=SettingsCommand)
def serve(in_force: InForce) -> None:
    """Receive log records over the network and write them to files and databases.

    It runs in the foreground until Ctrl-C or SIGTERM. Then it writes what it has received, and
    ends. Senders are the package logd-client, Python's own logging.handlers.SocketHandler, and
    any program that sends MessagePack. One port serves them all.

    \b
    Examples:
      logd serve
          Listen on localhost, port 9801; write to logs/logd_0.log and so on.
      logd serve --file 'app_%d.log' --rotate-count 5 --rotate-size '100 MiB'
          Keep five files of a hundred megabytes.
      logd serve --db sqlite:///log.db --stdout
          Write to tables of an SQLite database, and show everything here.
      logd serve --host 0.0.0.0 --token-file token.txt --allow 10.0.0.0/8
          Listen on the network. Senders must know the token.
      logd serve --web 127.0.0.1:9803
          Also show the log in the browser (needs logd[web]).
      logd serve --config logd.toml
          Read settings from a file. "logd config" prints one to start with.

    Every option can also be set by an environment variable (--rotate-count: LOGD_ROTATE_COUNT) or
    in the settings file (rotate_count = 5). The command line overrides the environment, and the
    environment overrides the file. An option marked "..." takes several values if it is given
    several times. [Values in brackets] are the defaults.
    """
    logs.configure(in_force.config.log_level)
    for note in in_force.notes:
        logger.warning("%s", note)
    # Late, as it brings the event loop and the databases: `logd serve --help` needs neither.
    from logd.daemon.service import serve as run

    with page_beside(in_force):
        status = run(in_force.config)
    sys.exit(status)
