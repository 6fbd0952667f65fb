"""What leaves the site: votes without identities, a figure, a page for everybody with its link."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.test import Client

from tests.validation.conftest import MakeVote
from validation.agreement import exports
from validation.campaigns import acts
from validation.models import Campaign

ClientFor = Callable[..., Client]


def rows_of(client: Client, campaign: Campaign) -> list[dict[str, str]]:
    response = client.get(f"/validation/campaigns/{campaign.pk}/votes.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_votes_are_exported_without_identities(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    first = vote_as(campaign, 0, "fits", "ann", 1.5)
    vote_as(campaign, 1, "does_not_fit", "ann")
    vote_as(campaign, 1, "skip", "bob")
    client = client_for("viewer")
    rows = rows_of(client, campaign)
    assert [row["answer"] for row in rows if row["photo"] == first.photo.sha256] == ["fits"]
    assert (len(rows), len({row["person"] for row in rows})) == (3, 2)
    assert (rows[0]["kind"], rows[0]["confidence"], rows[0]["set_aside"]) == ("suggestion", "0.77", "False")
    assert len(rows[0]["day"]) == 10  # the day, not the hour
    response = client.get(f"/validation/campaigns/{campaign.pk}/votes.json")
    export = json.loads(b"".join(response.streaming_content))  # type: ignore[attr-defined]
    assert (export["campaign"], len(export["votes"])) == ("Test", 3)
    everything = json.dumps(export) + str(rows)
    assert "ann" not in everything
    assert str(first.request_id) not in everything


def test_a_person_has_another_number_in_another_campaign() -> None:
    assert exports.person_number(1, 7) == exports.person_number(1, 7) != exports.person_number(2, 7)
    assert exports.person_number(1, 7) < 2**53


def test_an_empty_export_has_its_header(campaign: Campaign, client_for: ClientFor) -> None:
    response = client_for("viewer").get(f"/validation/campaigns/{campaign.pk}/votes.csv")
    assert b"".join(response.streaming_content).startswith(b"person,photo,hashtag")  # type: ignore[attr-defined]
    assert list(exports.as_json(campaign))


def test_anybody_with_the_public_link_sees_the_public_page(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    vote_as(campaign, 0, "fits", "ann")
    anybody, admin = Client(), client_for("admin")
    address = f"/validation/public/{exports.public_token(campaign)}/"
    assert anybody.get(address).status_code == 404
    share = f"/validation/campaigns/{campaign.pk}"
    assert b"is public" in admin.post(f"{share}/publish/", follow=True).content
    assert b"was public" in admin.post(f"{share}/publish/", follow=True).content
    page = anybody.get(address)
    assert page.status_code == 200
    assert b"100\xc2\xa0%" in page.content
    assert (page["X-Robots-Tag"], page["Referrer-Policy"]) == ("noindex, nofollow", "no-referrer")
    assert b"ann" not in page.content
    assert b"/validation/photos/" not in page.content
    assert anybody.get(address[:-3] + "xx/").status_code == 404
    acts.revoke_link(campaign=campaign, version=1)
    assert anybody.get(address).status_code == 404
    campaign.refresh_from_db()
    again = f"/validation/public/{exports.public_token(campaign)}/"
    assert anybody.get(again).status_code == 200
    assert b"is private" in admin.post(f"{share}/unpublish/", follow=True).content
    assert anybody.get(again).status_code == 404


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("stranger", 302, 302),
        ("nobody", 403, 403),
        ("validator", 403, 403),
        ("viewer", 200, 403),
        ("curator", 200, 403),
    ],
)
def test_viewers_read_a_result_and_only_admins_publish_it(
    campaign: Campaign, client_for: ClientFor, role: str, reads: int, writes: int
) -> None:
    client, base = client_for(role), f"/validation/campaigns/{campaign.pk}"
    for name in ("share/", "votes.csv", "votes.json", "agreement.svg"):
        assert client.get(f"{base}/{name}").status_code == reads, name
    assert client.post(f"{base}/publish/").status_code == writes
    campaign.refresh_from_db()
    assert not campaign.is_public


def test_the_figure_is_a_picture_of_the_result(
    campaign: Campaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    client, address = client_for("viewer"), f"/validation/campaigns/{campaign.pk}/agreement.svg"
    assert b"Nobody has answered yet" in client.get(address).content
    vote_as(campaign, 0, "fits")
    Campaign.objects.update(name="<script>")
    response = client.get(address)
    assert response["Content-Type"] == "image/svg+xml"
    assert b"#cafe</text>" in response.content
    assert b"<script>" not in response.content
