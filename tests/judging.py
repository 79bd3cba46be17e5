"""The test that judges all others: it runs once all of them are done, in whatever process.

With pytest-xdist every worker has a server of its own. So each process leaves its server's log in
one directory, and the process that started the workers runs the test on all of them together.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import REPOSITORY
from tests.sql.test_raises import DIRECTORIES, test_every_raise_is_reached

NAME = test_every_raise_is_reached.__name__
FILE = "tests/sql/test_raises.py"


class Judge:
    """A plugin of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        given: dict[str, str] | None = getattr(config, "workerinput", None)
        self.config = config
        self.is_worker = given is not None
        self.logs = Path(given["logs"] if given else tempfile.mkdtemp(prefix="colbert_pg-logs-"))
        self.ran: set[str] = set()

    def keep(self, log: Path) -> None:
        """Keep the log of a server that is about to go."""
        shutil.copy(log, tempfile.mkstemp(suffix=".log", dir=self.logs)[1])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["logs"] = str(self.logs)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.name != NAME]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.add(report.nodeid.partition("::")[0])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        ended = yield
        if not self.is_worker and FILE in self.ran:
            report = self.judged(session)
            session.config.hook.pytest_runtest_logstart(
                nodeid=report.nodeid, location=report.location
            )
            session.config.hook.pytest_runtest_logreport(report=report)
        return ended

    def pytest_unconfigure(self) -> None:
        if not self.is_worker:
            shutil.rmtree(self.logs)

    def judged(self, session: pytest.Session) -> pytest.TestReport:
        """Run the test, or skip it where what it judges did not run."""
        started = time.time()
        line = test_every_raise_is_reached.__code__.co_firstlineno
        longrepr: tuple[str, int, str] | str | None = None
        if reason := self.why_not(session):
            outcome, longrepr = "skipped", (FILE, line, reason)
        else:
            logs = [path.read_text("utf-8", "replace") for path in sorted(self.logs.iterdir())]
            try:
                test_every_raise_is_reached(logs)
                outcome = "passed"
            except AssertionError as error:
                outcome, longrepr = "failed", str(error)
        return pytest.TestReport(
            nodeid=f"{FILE}::{NAME}",
            location=(FILE, line, NAME),
            keywords={},
            outcome=outcome,  # type: ignore[arg-type]
            longrepr=longrepr,
            when="call",
            duration=time.time() - started,
            start=started,
            stop=time.time(),
        )

    def why_not(self, session: pytest.Session) -> str | None:
        """Why there is nothing to judge, or None."""
        option = self.config.option
        if option.keyword or option.markexpr or option.deselect or getattr(option, "lf", False):
            return "judges all tests, and some were deselected"
        if any("::" in argument for argument in self.config.args):
            return "judges all tests, and only some were named"
        if session.shouldstop or session.shouldfail:
            return "judges all tests, and the run was stopped"
        needed = {
            path.relative_to(REPOSITORY).as_posix()
            for directory in DIRECTORIES
            for path in (REPOSITORY / "tests" / directory).glob("test_*.py")
        }
        if missing := needed - self.ran:
            return f"judges all tests, and {len(missing)} files took no part"
        if not any(self.logs.iterdir()):
            return "takes the log of a server of our own"
        return None
