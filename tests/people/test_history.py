"""The history: each deed has its line, written with it or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from mapping.releases import NothingToPublish, publish_release
from people import tokens
from people.deeds import record
from people.models import Deed, Token
from tests.trainer.conftest import model_for  # noqa: F401
from tests.validation.conftest import hashtags, model, taken_in  # noqa: F401
from trainer.models import TrainedModel
from validation.models import Campaign

pytestmark = pytest.mark.django_db
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]


def lines() -> list[str]:
    return [str(deed) for deed in Deed.objects.order_by("pk")]


def test_what_admins_do_is_recorded_once(
    client_for: ClientFor,
    user_for: UserFor,
    model: TrainedModel,  # noqa: F811
) -> None:
    client, voter = client_for("admin"), user_for("validator")
    campaign = Campaign.objects.create(name="Cafés", model=model)
    campaign.photos.add(photo := taken_in(1))
    campaign.participations.create(person=voter)
    here = f"/validation/campaigns/{campaign.pk}"
    for _ in range(2):  # a repeated click
        client.post(f"{here}/publish/")
        client.post(f"{here}/people/{voter.pk}/set-aside/")
        client.post(f"{here}/photos/{photo.pk}/withdraw/")
        client.post(f"/validation/photos/{photo.pk}/withdraw/", {"why": "her wish"})
    assert lines() == [
        "admin published the result of “Cafés”",
        "admin set aside the votes of validator",
        f"admin withdrew from a campaign {photo}, “Cafés”",
        f"admin withdrew everywhere {photo}: her wish",
    ]
    assert set(Deed.objects.values_list("address", flat=True)) == {"127.0.0.1"}


def test_promoting_and_rolling_back(
    client_for: ClientFor,
    model_for: Callable[..., TrainedModel],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "MODELS_DIR", tmp_path)
    client = client_for("admin")
    for name in ("One", "Two"):
        new = model_for(name)
        new.folder.mkdir(parents=True)
        (new.folder / "model.onnx").write_bytes(b"x")
        client.post(f"/trainer/models/{new.pk}/promote/")
    client.post("/trainer/models/roll-back/")
    assert lines() == [
        "admin made the active model One",
        "admin made the active model Two",
        "admin rolled back to the model One",
    ]


def test_what_did_not_happen_has_no_line(user_for: UserFor, client_for: ClientFor) -> None:
    with pytest.raises(NothingToPublish):
        publish_release(by=user_for("curator"), note="Nothing")
    with transaction.atomic():
        tokens.make(name="X", owner=user_for("viewer"), scopes=["suggest"], by=None)
        transaction.set_rollback(True)
    assert not Token.objects.exists()
    assert not Deed.objects.exists()
    with pytest.raises(KeyError):
        record(by=None, what="promte", about="")


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_address_is_what_reaches_the_outermost_proxy(
    client_for: ClientFor, monkeypatch: pytest.MonkeyPatch, proxies: int, address: str
) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setattr(api_settings, "NUM_PROXIES", proxies)
    client = client_for("administrator")
    client.post("/people/invite/", invitation(), headers={"x-forwarded-for": "198.51.100.1, 203.0.113.9"})
    assert Deed.objects.get().address == address
    record(by=None, what="invite", about="X")
    assert Deed.objects.first().where == "on the server"  # type: ignore[union-attr]


def invitation() -> dict[str, object]:
    return {"note": "=1+1", "days": 1, "request_id": "0b51a3a8-0c5c-4f5c-9d5f-7d1a4f6f2a10"}


def test_filter_and_csv(client_for: ClientFor, user_for: UserFor) -> None:
    client = client_for("administrator")
    client.post("/people/invite/", invitation())
    record(by=user_for("admin"), what="promote", about="Fast")
    record(by=None, what="promote", about="Starter")
    Deed.objects.filter(about="Fast").update(at=Deed.objects.latest("at").at - timedelta(days=10))

    def rows(query: str) -> list[str]:
        page = client.get(f"/people/history/?{query}").content.decode()
        answer = client.get(f"/people/history.csv?{query}")
        table = list(csv.DictReader(answer.getvalue().decode().splitlines()))
        assert all(row["about"].lstrip("'").partition(":")[0] in page for row in table)
        return [row["about"] for row in table]

    assert rows("") == ["Starter", "Fast", "'=1+1: no role"]  # no spreadsheet executes it
    assert rows("by=admin") == ["Fast"]
    assert rows("by=+&what=promote") == ["Starter"]
    assert rows("what=invite") == ["'=1+1: no role"]
    day = (Deed.objects.latest("at").at - timedelta(days=5)).date()
    assert rows(f"until={day}") == ["Fast"]
    assert len(rows(f"since={day}")) == 2
    assert client.get("/people/history.csv?since=yesterday").status_code == 400
    assert "Enter a valid date" in client.get("/people/history/?since=yesterday").content.decode()


def test_only_administrators_read_it(client_for: ClientFor) -> None:
    for role, code in (("admin", 403), ("curator", 403), ("stranger", 302)):
        for path in ("/people/history/", "/people/history.csv"):
            assert client_for(role).get(path).status_code == code
