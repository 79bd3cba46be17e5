"""The Django project of the tests on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def migrated(module_database: str) -> str:
    """Connection string of the project's database after its migration."""
    from django.core.management import call_command

    from tests.frameworks.library import site

    site.connect(module_database)
    call_command("migrate", verbosity=0)
    return module_database


@pytest.fixture
def project(migrated: str) -> Iterator[None]:
    """The project on that database; what a test writes is rolled back."""
    from django.db import connection, transaction

    from tests.frameworks.library import site

    site.connect(migrated)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    connection.close()


@pytest.fixture
def committing(bare_database: str) -> Iterator[str]:
    """The project on a database of the test's own, to commit in."""
    from django.core.management import call_command
    from django.db import connection

    from tests.frameworks.library import site

    site.connect(bare_database)
    call_command("migrate", verbosity=0)
    yield bare_database
    connection.close()
