"""Pages of the translated apps have no word that stays English, and each page is in its reader's language."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone, translation

from formats.texts import Text
from hashtags_site.help import PAGES, translated_glossary
from jobs.machines import Machine, Needs, as_json
from jobs.models import Job, Worker
from mapping.models import MappingEntry
from notices.announcements import announce
from notices.models import Notice
from people.models import Deed, Profile
from scripts.messages import APPS, catalogue, collect_messages, read
from serving import checking
from serving.models import AnswerTally, FeedbackTally, Trial
from tests.mapping.conftest import few  # noqa: F401
from tests.site.conftest import World
from tests.site.untranslated import find, words_in_python, words_in_template, words_said
from tests.validation.conftest import hashtags, make_campaign, model  # noqa: F401
from trainer.models import Promotion, TrainedModel
from validation.models import Campaign

LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]
HOLES = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+[^>]*>")
CATALOGUES = [(app, code) for app, code in product(APPS, LANGUAGES) if catalogue(app, code).exists()]


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_has_a_translation_with_the_same_holes(app: str, language: str) -> None:
    translations = {(message.id, message.context): message.string for message in read(app, language)}
    for message in collect_messages(app):
        if not message.id:
            continue
        translated = translations.get((message.id, message.context))
        assert translated, f"{message.id}: run `make messages`, then translate it"
        texts = translated if isinstance(translated, tuple) else (translated,)
        source = str(message.id if isinstance(message.id, str) else message.id[-1])
        for text in texts:
            assert isinstance(text, str)
            assert text, message.id
            assert sorted(HOLES.findall(text)) == sorted(HOLES.findall(source)), message.id


def test_messages_of_python_files_in_folders_are_collected() -> None:
    sources = {name for message in collect_messages("validation") for name, _ in message.locations}
    assert {"validation/voting/votes.py", "validation/views/vote.py"} <= sources
    assert not [name for name in sources if not name.startswith("validation/")]


@pytest.mark.parametrize(("app", "language"), CATALOGUES)
def test_compiled_messages_match_their_source(app: str, language: str) -> None:
    source = catalogue(app, language)
    again = io.BytesIO()
    with source.open("rb") as file:
        write_mo(again, read_po(file, locale=language))
    assert source.with_suffix(".mo").read_bytes() == again.getvalue(), "run `make messages`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_message_is_translated_in_one_way(language: str) -> None:
    """Django joins the catalogues: of two translations, one would be shown everywhere."""
    known: dict[object, object] = {}
    for app in APPS:
        for message in read(app, language):
            if message.id:
                assert known.setdefault((message.id, message.context), message.string) == message.string, app


@pytest.mark.parametrize("app", settings.TRANSLATED)
def test_an_app_has_no_words_outside_its_translations(app: str) -> None:
    assert not find(app), "wrap these, or name them in tests/site/untranslated.py"


def test_untranslated_words_are_found() -> None:
    template = """{% load i18n %}<a href="#" title="A title">{{ n }} left</a>{% translate "Fine" %}
      {% blocktranslate %}Fine {{ n }}{% endblocktranslate %}<code>python code</code><b>#{{ tag }} · PNG</b>
      {{ n|pluralize }}{{ name|default:"nobody" }}{% include "a.html" with label="Name" %}"""
    assert [words for _, words in words_in_template(template)] == [
        "left",
        "title='A title'",
        "label='Name'",
        "n|pluralize: use blocktranslate count",
        "|default:'nobody'",
    ]
    module = '''"""A docstring."""
name = forms.CharField(label="Name", help_text=_("Fine"))
messages.success(request, "Saved.")
raise Wrong(f"There are {n} of them: {names}.")
log.warning("Not for people: %s", name)
key, query = "a_key", "SELECT name FROM table"
'''
    found = [words for _, words in words_in_python(module)]
    assert found == ["Name", "Saved.", "There are", "of them:"]


def test_what_a_job_says_without_a_translation_is_found() -> None:
    module = """
REASON = "It is gone."
enqueue(kind="x", title=f"Train {name}", by=None)
enqueue(kind="x", title=Text("Fine"), by=None)
lease.beat(1, 2, "Voting")
lease.beat(message=Text("Fine") if fine else "Bad")
work_off(lease, total=1, message=joined_texts(Text("Fine"), "Slow"))
Part(label, 1)
label = "files"
raise JobError(REASON, hint or "Again") from error
raise RecipeError("a_field", "wrong", hint=Text("Fine", n=n))
raise CheckpointError(f"{path}: {error}")
raise ValueError("to programs")
emit("waiting", reason="busy")
emit("skipped", reason="for a report")
Text("%(photo)s of %(set)s, %(label)s", photo=path, set=f"the set {name}", label=label or "none")
cls(f"the teacher {name}", path, "a key")
"""
    assert words_said(module) == [
        (2, "It is gone."),
        (3, "Train"),
        (5, "Voting"),
        (6, "Bad"),
        (7, "Slow"),
        (9, "files"),
        (10, "Again"),
        (11, "wrong"),
        (14, "busy"),
        (16, "none"),
        (16, "the set"),
        (17, "the teacher"),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_knows_its_words_in_each_language(language: str) -> None:
    assert {word for page in PAGES.values() for word in page.words} <= translated_glossary(language).keys()


@pytest.mark.parametrize(
    ("count", "words"), [(1, "осталась 1 ф"), (3, "остались 3 ф"), (11, "осталось 11 ф")]
)
def test_russian_plurals_are_correct(count: int, words: str) -> None:
    with translation.override("ru"):
        text = translation.ngettext("%(n)s photo left for you", "%(n)s photos left for you", count)
    assert words in text % {"n": count}


def read_page(response: object) -> str:
    assert isinstance(response, HttpResponse)
    return response.content.decode()


@pytest.mark.django_db
def test_a_page_is_in_the_language_of_the_browser_or_of_the_profile(
    client: Client, client_for: Callable[..., Client]
) -> None:
    page = client.get("/login/", headers={"Accept-Language": "ru"})
    assert '<html lang="ru">' in read_page(page)
    assert "Имя пользователя" in read_page(page)
    assert "Accept-Language" in page["Vary"]
    assert '<html lang="en">' in read_page(client.get("/login/", headers={"Accept-Language": "de"}))

    person = client_for("viewer")
    assert "Путь хештега" in read_page(person.get("/", headers={"Accept-Language": "ru"}))
    assert "The pipeline" in read_page(person.get("/"))
    person.post("/people/me/", {"what": "profile", "language": "ru", "time_zone": ""})
    assert Profile.objects.get().language == "ru"
    assert "Путь хештега" in read_page(person.get("/", headers={"Accept-Language": "en"}))


@pytest.mark.django_db
def test_curators_read_russian_and_the_history_is_kept_in_english(
    few: None,  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    curator, russian = client_for("curator"), {"Accept-Language": "ru"}
    entry = MappingEntry.objects.select_related("scene_class").order_by("pk")[0]
    pick = {"action": "table", "pick": f"{entry.pk}:{entry.version}", "hashtag": "other"}
    answer = curator.post("/mapping/decide/", pick, headers=russian, follow=True)
    assert "1 класс: other. Сохранено." in read_page(answer)
    page = read_page(curator.get(f"/mapping/{entry.pk}/", headers=russian))
    assert "изменено в таблице" in page
    assert entry.scene_class.title in page
    assert entry.history.latest().history_change_reason == "changed in the table"
    pages = (
        "",
        "queue/",
        "groups/",
        "opinions/",
        "hashtags/",
        "releases/",
        "releases/publish/",
        "settle/",
        "exchange/",
    )
    for path in pages:
        page = read_page(curator.get(f"/mapping/{path}", headers=russian, follow=True))
        assert '<html lang="ru">' in page, path
        assert "%(" not in page, path


def test_admins_read_campaigns_in_russian(
    make_campaign: Callable[..., Campaign],  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    campaign = make_campaign("cafe")
    admin, russian = client_for("admin"), {"Accept-Language": "ru"}
    answer = admin.post(f"/validation/campaigns/{campaign.pk}/close/", headers=russian, follow=True)
    assert f"Кампания «{campaign}» закрыта." in read_page(answer)
    pages = (
        *("campaigns/", "campaigns/new/", "campaigns/new/authors/", "intakes/", "intakes/new/", "photos/"),
        *("agreement/", "agreement/photos/"),
        *(
            f"campaigns/{campaign.pk}/{part}"
            for part in ("", "rules/", "people/", "known/", "preview/", "share/")
        ),
        *(f"agreement/{campaign.pk}/{part}/" for part in ("mend", "models", "thresholds")),
    )
    for path in pages:
        answer = admin.get(f"/validation/{path}", headers=russian)
        page = read_page(answer)
        assert answer.status_code == 200, path
        assert '<html lang="ru">' in page, path
        assert "%(" not in page, path


@pytest.mark.django_db
def test_administrators_read_russian_and_the_history_is_kept_in_english(
    client_for: Callable[..., Client],
) -> None:
    administrator, russian = client_for("administrator"), {"Accept-Language": "ru"}
    team = {"name": "Ночь", "roles": ["curator"]}
    answer = administrator.post("/people/teams/new/", team, headers=russian, follow=True)
    assert "Команда создана." in read_page(answer)
    deed = Deed.objects.get()
    assert (deed.what, deed.about) == ("make team", "“Ночь”: curator")
    page = read_page(administrator.get("/people/history/", headers=russian))
    assert "— создана команда" in page
    assert "made the team" not in page
    pages = ("", "me/", "invite/", "teams/", "tokens/", "tokens/new/", "history/")
    for path in pages:
        page = read_page(administrator.get(f"/people/{path}", headers=russian, follow=True))
        assert '<html lang="ru">' in page, path
        assert "%(" not in page, path


@pytest.mark.django_db
def test_admins_read_jobs_in_russian_and_their_titles_are_kept(client_for: Callable[..., Client]) -> None:
    admin, russian = client_for("admin"), {"Accept-Language": "ru"}
    needs = as_json(Needs(processes=3, only_gpus=True))
    job = Job.objects.create(kind="x", title="Predict Summer", needs=needs)
    machine = as_json(Machine(cores=2))
    Worker.objects.create(name="host", seen_at=timezone.now(), machine=machine)
    path = f"/jobs/{job.pk}/"
    page = read_page(admin.get(path, headers=russian))
    assert '<html lang="ru">' in page
    assert "Predict Summer" in page
    words = "Нужно 3 GPU; у самого большого рабочего процесса их 0."
    assert f"Ни один рабочий процесс не может взять это задание. {words}" in page
    rows = read_page(admin.get("/jobs/", headers=russian))
    assert "в очереди</span>" in rows
    assert "Работает 1 рабочий процесс." in rows
    times = {"started_at": timezone.now() - timedelta(seconds=3725), "finished_at": timezone.now()}
    Job.objects.update(state=Job.State.SUCCEEDED, **times)
    assert "Заняло 1 ч 2 мин, завершено" in read_page(admin.get(path, headers=russian))
    answer = admin.post(f"{path}cancel/", headers=russian, follow=True)
    assert "«Predict Summer» уже завершилось (выполнено)" in read_page(answer)


@pytest.mark.django_db
def test_a_notice_is_shown_in_the_language_of_its_reader_and_told_to_programs_in_english(
    client_for: Callable[..., Client],
) -> None:
    administrator, russian = client_for("administrator"), {"Accept-Language": "ru"}
    job = Text("Predict the photos of “%(campaign)s”", campaign="100 % of <Summer>")
    with translation.override("ru"):  # of whoever made it happen
        announce("job.failed", title=Text("%(job)s: failed", job=job))
    announce("run.ended", title="Of before: 100 % succeeded")
    new, old = Notice.objects.order_by("pk")
    assert new.title == "Predict the photos of “100 % of <Summer>”: failed"
    page = read_page(administrator.get("/notices/", headers=russian))
    assert '<html lang="ru">' in page
    assert "Предсказать хештеги к фото кампании «100 % of &lt;Summer&gt;»: не удалось" in page
    assert old.title in page
    assert "Задание не удалось" in page
    english = read_page(administrator.get("/notices/"))
    assert "Predict the photos of “100 % of &lt;Summer&gt;”: failed" in english
    assert "Job failed" in english
    for path in ("mail/", "hooks/", "hooks/new/"):
        page = read_page(administrator.get(f"/notices/{path}", headers=russian))
        assert '<html lang="ru">' in page, path
        assert "%(" not in page, path
    bad = {"name": "Chat", "address": "https://127.0.0.1/", "events": ["run.ended"]}
    answer = administrator.post("/notices/hooks/new/", bad, headers=russian)
    assert "находится в частной сети" in read_page(answer)


def test_what_networks_ask_is_read_in_russian(world: World, client_for: Callable[..., Client]) -> None:
    administrator, russian = client_for("administrator"), {"Accept-Language": "ru"}
    active = world.campaign.predictor
    other = TrainedModel.objects.create(name="Beside", manifest=active.manifest)
    Promotion.objects.create(model=active)
    AnswerTally.objects.create(day=timezone.localdate(), model=active, figure="answer", bin="", count=3)
    today = {"day": timezone.localdate(), "model": active, "hashtag": "beach"}
    FeedbackTally.objects.create(**today, shown=4, accepted=3)
    for kind in Trial.Kind:
        Trial.objects.create(kind=kind, champion=active, challenger=other, share=0.1)
    for path in ("in-use/", "in-use/trials/", "in-use/posts/", "in-use/posts/ask/", "check/"):
        page = read_page(administrator.get(f"/{path}", headers=russian))
        assert '<html lang="ru">' in page, path
        assert "%(" not in page, path
        assert "%%" not in page, path
    page = read_page(administrator.get("/in-use/", headers=russian))
    assert "показано: 4" in page
    with translation.override("ru"):
        assert checking.Score(3, 2, 0, 1).sentence == "Не к месту 1 из 3 популярных хештегов."
        assert checking.Score(21, 21, 0, 0).sentence == "Из 21 популярного хештега ни один не лишний."


@pytest.mark.django_db
def test_what_is_not_translated_as_a_whole_is_english(
    client: Client, client_for: Callable[..., Client]
) -> None:
    russian = {"Accept-Language": "ru"}
    apps = {"trainer": "/trainer/runs/", "jobs": "/jobs/", "serving": "/in-use/", "notices": "/notices/"}
    for app, path in apps.items():
        page = read_page(client_for("admin").get(path, headers=russian))
        assert f'<html lang="{"ru" if app in settings.TRANSLATED else "en"}">' in page
    answer = client.get("/api/nothing/", headers=russian)
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is no such address."})


def test_voters_read_the_language_of_the_campaign_or_their_own(
    make_campaign: Callable[..., Campaign],  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    campaign = make_campaign("cafe")
    client = client_for("validator")
    path = f"/validation/vote/{campaign.pk}/"
    page = read_page(client.get(path, headers={"Accept-Language": "ru"}))
    assert '<html lang="ru">' in page
    assert "Не подходит" in page
    assert "Выйти" in page
    assert "Does not fit" in read_page(client.get(path, headers={"Accept-Language": "de"}))
    client.post("/validation/vote/language/", {"language": "ru", "next": path})
    assert "Не подходит" in read_page(client.get(path, headers={"Accept-Language": "en"}))
    Campaign.objects.update(language="en")
    assert "Does not fit" in read_page(client.get(path))
