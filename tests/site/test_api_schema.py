"""The API keeps its own word: whatever is thrown at it, answers are as the OpenAPI schema says.

The mapping's part is in tests/mapping/api/test_entries.py: a network may not use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from rest_framework.authtoken.models import Token

from mapping.files.catalogue import load_catalogue
from trainer.registry.starter import install_starters

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("starter")]


@pytest.mark.usefixtures("starter")
def test_responses_match_the_openapi_schema(live_server: LiveServer, user_for: Callable[..., User]) -> None:
    import schemathesis  # all that it brings along takes a second: no other test waits for it
    from hypothesis import HealthCheck, given, settings
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    load_catalogue()
    install_starters()
    token = Token.objects.create(user=user_for("network")).key
    schema = schemathesis.openapi.from_url(f"{live_server.url}/api/schema/?format=json")
    results = schema.include(path_regex="^/api/v1/suggest").get_all_operations()
    operations = [operation.ok() for operation in results if isinstance(operation, Ok)]
    assert operations
    for operation in operations:

        @settings(max_examples=15, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def keeps_its_word(case: Any) -> None:
            # A schema can ask for bytes but not for a photo: that bytes of no photo are refused is right.
            case.call_and_validate(
                headers={"Authorization": f"Token {token}"}, excluded_checks=[positive_data_acceptance]
            )

        keeps_its_word()
