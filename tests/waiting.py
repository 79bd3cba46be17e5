"""Waiting for what another process does: a test goes on once it has happened.

No test may depend on an idle machine. PATIENCE is only there so that one that waits in vain ends.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

PATIENCE = 600  # seconds


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Until something is so; an error when it never is."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)


def heed_interrupts() -> None:
    """For a new process, before its program starts: Ctrl-C ends it.

    What is started in the background, as by ``make test &``, and all that it starts ignore Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
