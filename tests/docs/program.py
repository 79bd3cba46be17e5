"""The program colbert-pg for the shell blocks of pages, without loading PyTorch at every call.

One process loads what takes the time. Each call is a fork of it, with the caller's arguments,
environment, directory, input and output.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import REPOSITORY

_CALLER = """#!{python} -SE
import json, os, socket, sys
call = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "directory": os.getcwd()}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect("{socket}")
    socket.send_fds(server, [json.dumps(call).encode()], [0, 1, 2])
    sys.exit(server.recv(1)[0])
"""


@contextmanager
def program(directory: Path) -> Iterator[Path]:
    """A directory for PATH that has colbert-pg."""
    address = directory / "socket"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.docs.program", address],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        caller = directory / "colbert-pg"
        caller.write_text(_CALLER.format(python=sys.executable, socket=address), encoding="utf-8")
        caller.chmod(0o755)
        yield directory
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _serve(address: str) -> None:
    import sentence_transformers  # noqa: F401  what takes the time

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            caller, _ = listener.accept()
            message, files, _, _ = socket.recv_fds(caller, 1 << 20, 3)
            if os.fork() == 0:
                for place, file in enumerate(files):
                    os.dup2(file, place)
                caller.send(bytes([_run(**json.loads(message))]))
                os._exit(0)
            for file in files:
                os.close(file)
            caller.close()


def _run(arguments: list[str], environment: dict[str, str], directory: str) -> int:
    """The exit code of a call."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["colbert-pg", *arguments]
    try:
        from colbert_pg.cli import main

        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
