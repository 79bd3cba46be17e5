"""colbert_pg 0.3.0

The downgrade removes 0.3.0 and installs 0.2.0 anew: an error while colbert_pg still has indexes,
since their derived tables are those of 0.3.0. Drop them, downgrade, and create them again.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

import shipped_sql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    shipped_sql.install()


def downgrade() -> None:
    shipped_sql.uninstall()
    shipped_sql.install("0.2.0")
