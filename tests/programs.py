"""Programs as processes of their own, which end with the test that started them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers import REPOSITORY
from tests.waiting import heed_interrupts

Program = subprocess.Popen[str]
StartProgram = Callable[..., Program]


@contextmanager
def programs(module: str) -> Iterator[StartProgram]:
    """Start ``python -m module …``, any number of times; what runs at the end is killed."""
    started: list[Program] = []

    def start(*arguments: str) -> Program:
        program = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=heed_interrupts,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()
