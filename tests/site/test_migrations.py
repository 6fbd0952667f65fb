"""The migrations are up to date with the models. Not in `make lint`: starting Django again takes long."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    missing = StringIO()
    try:
        call_command("makemigrations", check_changes=True, dry_run=True, stdout=missing)
    except SystemExit:
        pytest.fail(f"Run manage.py makemigrations. Missing:\n{missing.getvalue()}")
