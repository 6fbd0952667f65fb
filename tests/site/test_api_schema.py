"""The API keeps its word: whatever is sent to it, by whomever, the answer is as the OpenAPI schema says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import Client
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from rest_framework.throttling import SimpleRateThrottle

from hashtags_site.wsgi import application
from mapping.api.base import WriteThrottle
from tests.conftest import api_key
from tests.serving.conftest import checking_model  # noqa: F401
from tests.site.conftest import NUMBER
from tests.trainer.conftest import active_model, model_for, tiny_model  # noqa: F401

ROLES = ("nobody", "validator", "viewer", "curator", "admin", "network")
EXAMPLES = 12  # of each operation


@pytest.mark.django_db
def test_schema_says_what_is_sent(client: Client) -> None:
    schemas = client.get("/api/schema/?format=json").json()["components"]["schemas"]
    assert schemas["PhotosRequest"]["properties"]["photo"]["items"]["format"] == "binary"
    assert schemas["PublishRequest"]["properties"]["note"]["minLength"] == 1
    assert "minLength" not in schemas["Entry"]["properties"]["note"]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests leave the connection of the test's transaction open, as those of Django's own client do."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("world", "checking_model", "one_connection")
def test_answers_match_the_schema_for_every_role(
    user_for: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    import schemathesis  # all that it brings along takes a second: no other test waits for it
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

    monkeypatch.setattr(WriteThrottle, "rate", "9999999/minute")
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "suggest", "9999999/minute")
    tokens = {role: api_key(user_for(role)) for role in ROLES}
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "feedback", "9999999/minute")
    senders: dict[str, dict[str, str]] = {"stranger": {}}
    senders |= {role: {"Authorization": f"Token {token}"} for role, token in tokens.items()}
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    parts = {operation.path.split("/")[3] for operation in operations}
    assert parts == {
        "suggest",
        "check",
        "feedback",
        "model",
        "mapping",
        "runs",
        "models",
        "campaigns",
        "posts",
    }
    enforced: set[str] = (
        set()
    )  # operations that refuse the same request without a token, and with a wrong one
    for operation in operations:
        names = [parameter.name for parameter in operation.path_parameters]
        here = operation.as_strategy(path_parameters=dict.fromkeys(names, NUMBER) if names else None)
        anywhere = operation.as_strategy()
        broken = operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)

        @settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=st.one_of(here, anywhere, broken))
        def keeps_its_word(case: Any) -> None:
            for role, headers in senders.items():
                note(role)
                # A schema knows neither photos nor our hashtags: refusing others is right.
                excluded = [positive_data_acceptance]
                if (
                    headers and case.operation.label in enforced
                ):  # once is enough: nothing of it is the role's
                    excluded.append(ignored_auth)
                with transaction.atomic():
                    response = case.call_and_validate(headers=headers, excluded_checks=excluded)
                    transaction.set_rollback(True)
                if headers and 200 <= response.status_code < 300:
                    enforced.add(case.operation.label)

        keeps_its_word()
