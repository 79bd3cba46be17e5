"""``python -m colbert_pg.cli`` is ``colbert-pg``."""

from colbert_pg.cli import main

main()
