"""All texts of the voters' pages are translated with their placeholders, and compiled."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils import translation

from scripts.messages import LOCALE, collect_messages
from tests.validation.conftest import hashtags, make_campaign, model  # noqa: F401
from validation.models import Campaign

LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
HOLES = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+[^>]*>")


def files(language: str) -> tuple[Path, Path]:
    folder = LOCALE / language / "LC_MESSAGES"
    return folder / "django.po", folder / "django.mo"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_has_a_translation_with_the_same_holes(language: str) -> None:
    with files(language)[0].open("rb") as file:
        translations = {message.id: message.string for message in read_po(file, locale=language)}
    for message in collect_messages():
        if not message.id:
            continue
        translated = translations.get(message.id)
        assert translated, f"{message.id}: run `make messages`, then translate it"
        texts = translated if isinstance(translated, tuple) else (translated,)
        source = str(message.id if isinstance(message.id, str) else message.id[-1])
        for text in texts:
            assert isinstance(text, str)
            assert text, message.id
            assert sorted(HOLES.findall(text)) == sorted(HOLES.findall(source)), message.id


def test_messages_of_python_files_in_folders_are_collected() -> None:
    sources = {name for message in collect_messages() for name, _ in message.locations}
    assert {"validation/voting/votes.py", "validation/views/vote.py"} <= sources


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_messages_match_their_source(language: str) -> None:
    source, compiled = files(language)
    again = io.BytesIO()
    with source.open("rb") as file:
        write_mo(again, read_po(file, locale=language))
    assert compiled.read_bytes() == again.getvalue(), "run `make messages`"


@pytest.mark.parametrize(
    ("count", "words"), [(1, "осталась 1 ф"), (3, "остались 3 ф"), (11, "осталось 11 ф")]
)
def test_russian_plurals_are_correct(count: int, words: str) -> None:
    with translation.override("ru"):
        text = translation.ngettext("%(n)s photo left for you", "%(n)s photos left for you", count)
    assert words in text % {"n": count}


def test_voters_read_their_own_language_and_others_read_english(
    make_campaign: Callable[..., Campaign],  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    campaign = make_campaign("cafe")
    client = client_for("validator")
    path = f"/validation/vote/{campaign.pk}/"
    page = client.get(path, headers={"Accept-Language": "ru"}).content.decode()
    assert '<html lang="ru">' in page
    assert "Не подходит" in page
    assert "Выйти" in page
    assert "Does not fit" in client.get(path, headers={"Accept-Language": "de"}).content.decode()
    client.post("/validation/vote/language/", {"language": "ru", "next": path})
    assert "Не подходит" in client.get(path, headers={"Accept-Language": "en"}).content.decode()
    Campaign.objects.update(language="en")
    assert "Does not fit" in client.get(path).content.decode()
    other = client_for("admin").get("/validation/campaigns/", headers={"Accept-Language": "ru"})
    assert '<html lang="en">' in other.content.decode()
