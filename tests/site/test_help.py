"""The question mark: every page has one, and its words are the glossary's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from hashtags_site.help import HOME, PAGES, RUNS, glossary, help_for
from tests.site.access import ACCESS, LOOK
from tests.site.addresses import all_addresses


def test_each_word_of_the_help_is_in_the_glossary() -> None:
    words = {word for page in (HOME, *PAGES.values()) for word in page.words}
    assert not words - glossary().keys()
    assert "`" not in "".join(glossary().values())


def test_each_page_for_who_may_look_has_help() -> None:
    for address in all_addresses():
        if ACCESS[address.name].get("GET", set()) == LOOK and not address.is_api:
            assert help_for("/" + address.route), address.name


@pytest.mark.django_db
def test_help_of_a_page_is_on_it_and_not_on_the_voters(client_for: Callable[..., Client]) -> None:
    page = client_for("viewer").get("/trainer/runs/").content.decode()
    assert RUNS.sentences in page
    assert glossary()["run"] in page
    assert "Help on this page" not in client_for("validator").get("/validation/vote/").content.decode()
