"""What stands between clients and a database: a pooler, a port."""

import os
import select
import shutil
import socket
import socketserver
import subprocess
import threading
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
    """PgBouncer before the database, as Debian ships it; where clients connect.

    It runs as a user who may not reach the server's socket, so it is given a port.
    """
    programs = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if not (program := shutil.which("pgbouncer", path=programs)):
        pytest.skip("PgBouncer is not installed")
    with over_tcp(database) as conninfo, private_directory() as directory:
        target = conninfo_to_dict(conninfo)
        login = f"password={target['password']}" if "password" in target else ""
        settings = directory / "pgbouncer.ini"
        settings.write_text(PGBOUNCER.format(directory=directory, login=login, **target))
        process = subprocess.Popen([program, "--quiet", settings], user=server_user())
        try:
            # The file of the socket is there as soon as it is bound. It refuses until it listens.
            path = str(directory / f".s.PGSQL.{target['port']}")
            wait_for(lambda: _listens(path), "PgBouncer")
            yield make_conninfo(conninfo, host=str(directory))
        finally:
            process.terminate()
            process.wait()


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


@contextmanager
def over_tcp(database: str) -> Iterator[str]:
    """The same database by a port of this machine, where it is reached by a socket."""
    parts = conninfo_to_dict(database)
    if not str(parts["host"]).startswith("/"):
        yield database
        return
    path = f"{parts['host']}/.s.PGSQL.{parts['port']}"

    class Pipe(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(path)
                ends = {self.request: server, server: self.request}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        if not (data := end.recv(65536)):
                            return
                        ends[end].sendall(data)

    class Ports(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Ports(("127.0.0.1", 0), Pipe) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=[0.05])
        thread.start()
        try:
            yield make_conninfo(database, host="127.0.0.1", port=listening.server_address[1])
        finally:
            listening.shutdown()
            thread.join()
