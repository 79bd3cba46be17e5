"""colbert_pg 0.1.0

Revision ID: 0001
Revises:
"""

from collections.abc import Sequence

import shipped_sql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    shipped_sql.install("0.1.0")


def downgrade() -> None:
    shipped_sql.uninstall()
