"""The first start: a link for the first administrator, who says what the site is called and begins with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.test import Client

from hashtags_site import setup
from jobs.models import Job
from mapping.models import SceneClass
from people import accounts
from people.models import Deed, Installation
from trainer.models import Promotion, TrainedModel

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
RunJobs = Callable[[], list[Job]]


def form(**fields: str) -> dict[str, str]:
    empty = {"name": "Tags of Example", "time_zone": "Europe/Riga", "language": "ru"}
    return empty | {"mapping": "empty", "starter": "none"} | fields


def test_link_from_the_server_makes_the_first_administrator_who_sets_the_site_up(
    starter: None,
    run_jobs: RunJobs,
    capsys: pytest.CaptureFixture[str],
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    call_command("administrator_link", site="http://testserver/")
    old = capsys.readouterr().out.strip()
    call_command("administrator_link", site="http://testserver")
    link = capsys.readouterr().out.strip()
    client = Client()
    assert client.get(old).status_code == 404  # a new link ends the old one
    sent = {"username": "ann", "password1": "correct horse 5", "password2": "correct horse 5"}
    page = client.post(link, sent, follow=True)
    assert [path for path, _ in page.redirect_chain] == ["/", "/setup/"]
    assert accounts.administrators().get().username == "ann"
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        answer = client.post("/setup/", form(mapping="sun397", starter="fast"))
    [job] = run_jobs()
    assert answer["Location"] == job.get_absolute_url()
    assert job.state == Job.State.SUCCEEDED, job.error
    assert SceneClass.objects.count() == 397
    active = Promotion.objects.current()
    assert active
    assert active.model.manifest["speed"] == "fast"
    home = client.get("/").content.decode()
    assert "Tags of Example" in home
    assert list(Deed.objects.filter(by_name="ann").values_list("what", flat=True)) == [
        "set up the site",
        "join",
    ]


def test_who_starts_empty_stays_empty_at_the_next_start(client_for: ClientFor, starter: None) -> None:
    client = client_for("administrator")
    assert setup.is_pending()
    assert client.post("/setup/", form()).status_code == 302
    assert not setup.is_pending()
    assert not Job.objects.exists()
    call_command("prepare")
    assert not SceneClass.objects.exists()
    assert not TrainedModel.objects.exists()
    assert client.get("/").status_code == 200


def test_repeated_click_loads_once_and_later_only_the_names_change(client_for: ClientFor) -> None:
    client = client_for("administrator")
    for _ in range(2):
        client.post("/setup/", form(mapping="sun397"))
    assert Job.objects.count() == 1
    # From a page that was open since before: what is loaded was chosen.
    client.post("/setup/", form(name="Other", mapping="empty", starter="fast"))
    row = Installation.objects.get()
    assert (row.name, row.mapping, row.starter) == ("Other", "sun397", "none")


def test_installation_from_before_is_not_asked(client_for: ClientFor) -> None:
    SceneClass.objects.create(key="a/abbey", name="abbey")
    client = client_for("administrator")
    assert client.get("/").status_code == 200
    assert "Starter model" not in client.get("/setup/").content.decode()
    client.post("/setup/", form())
    assert Installation.objects.get().mapping == "sun397"  # as it is there
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"time_zone": "Mars"}, "time_zone"), ({"mapping": ""}, "mapping"), ({"starter": "x"}, "starter")],
)
def test_wrong_field_is_named(client_for: ClientFor, wrong: dict[str, str], field: str) -> None:
    answer = client_for("administrator").post("/setup/", form(**wrong))
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert setup.is_pending()


def test_only_administrators_set_up(client_for: ClientFor) -> None:
    for role, code in (("admin", 403), ("curator", 403), ("stranger", 302)):
        assert client_for(role).post("/setup/", form()).status_code == code
    assert setup.is_pending()
    assert client_for("admin").get("/").status_code == 200  # nobody else is sent there
