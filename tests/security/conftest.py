"""The table documents of the SQL tests, for tests of security, too."""

from tests.sql.conftest import documents, own_documents

__all__ = ["documents", "own_documents"]
