"""What every revision runs: the SQL that ships, as it stands."""

from pathlib import Path

from alembic import op

from colbert_pg.alembic import run_script

SQL = Path(__file__).resolve().parent.parent / "sql"


def install(release: str | None = None) -> None:
    """Install colbert_pg, or bring what is installed to a released version or this checkout's."""
    _run(SQL / ("dist" if release is None else f"released/{release}") / "install.sql")


def uninstall() -> None:
    """Remove colbert_pg; an error while it still has indexes, or other objects need it."""
    _run(SQL / "uninstall.sql")


def _run(path: Path) -> None:
    run_script(op.get_context(), path.read_text(encoding="utf-8"))
