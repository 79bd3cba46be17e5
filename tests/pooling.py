"""A pooler before a database."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.servers import private_directory, server_user
from tests.waiting import wait_for

PGBOUNCER = """
[databases]
{dbname} = host={host} port={port} user={user} {login} dbname={dbname}
[pgbouncer]
pool_mode = transaction
default_pool_size = 2
server_round_robin = 1
auth_type = any
listen_port = {port}
unix_socket_dir = {directory}
logfile = {directory}/log
"""
"""Each transaction runs on the server's connection that has waited longest."""


@contextmanager
def pgbouncer(database: str) -> Iterator[str]:
    """PgBouncer before the database, as Debian ships it; where clients connect."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if not (program := shutil.which("pgbouncer", path=path)):
        pytest.skip("PgBouncer is not installed")
    target = conninfo_to_dict(database)
    login = f"password={target['password']}" if "password" in target else ""
    with private_directory() as directory:
        settings = directory / "pgbouncer.ini"
        settings.write_text(PGBOUNCER.format(directory=directory, login=login, **target))
        process = subprocess.Popen([program, "--quiet", settings], user=server_user())
        conninfo = make_conninfo(database, host=str(directory))
        try:
            socket = directory / f".s.PGSQL.{target['port']}"
            wait_for(socket.is_socket, "PgBouncer")
            yield conninfo
        finally:
            process.terminate()
            process.wait()
