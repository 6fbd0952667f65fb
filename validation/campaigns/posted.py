"""Authors' hashtags in a campaign: how they are understood, what the check says, which are asked about.

A photo's hashtags are looked at once, when it joins. So verdicts are those of that time, and the chances with
which hashtags were drawn stay known.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from formats.texts import Text, text_of
from jobs.lease import JobError, Lease
from mapping.models import OTHER, Hashtag
from trainer.engine.errors import ModelError
from trainer.registry.serving import NoActiveModel
from validation.campaigns.checker import Said, checker
from validation.campaigns.counts import in_parts
from validation.models import AuthorHashtag, Campaign, Photo, PostedHashtag
from validation.stored import read_stored

if TYPE_CHECKING:
    from trainer.models import TrainedModel

CHANCE = random.SystemRandom()
BATCH = 16  # photos between two heartbeats
SOURCE = "hashtags of authors"  # of words that are not in the vocabulary
LONGEST = 50  # letters of a word that people are asked about
Wanted = list[tuple[Photo, dict[Hashtag, str]]]  # hashtag → as it was written


def chance_of(campaign: Campaign, verdict: str) -> float:
    """How likely it is that people are asked about a hashtag with this verdict."""
    if campaign.asks == Campaign.Asks.ALL:
        return 1.0
    if campaign.asks == Campaign.Asks.DOUBTED and verdict in PostedHashtag.DOUBTED:
        return 1.0
    return campaign.asked_share


def read_hashtags(lease: Lease, campaign: Campaign, is_current: Callable[[], bool]) -> bool:
    """Understand, check and draw the hashtags of photos that have joined. False if a newer job took over."""
    photos = list(
        Photo.objects.shown()
        .filter(campaigns=campaign, author_hashtags__isnull=False)
        .distinct()
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    done = 0
    lease.beat(done, len(photos), Text("Reading the authors' hashtags"))
    for some in in_parts(photos, BATCH):
        if not is_current():
            return False
        wanted = _wanted(campaign, some)
        with lease.long_step():
            said = _check(wanted, campaign.model) if campaign.model and wanted else [{} for _ in wanted]
        rows = list(_rows(campaign, wanted, said))
        with lease.fenced():
            PostedHashtag.objects.bulk_create(rows, ignore_conflicts=True)
        done += len(some)
        lease.beat(done, len(photos), Text("Checking the authors' hashtags"))
    return True


def _wanted(campaign: Campaign, photos: Collection[int]) -> Wanted:
    """What is new of these photos. A blocked hashtag is left out until it is unblocked."""
    names: dict[int, list[str]] = defaultdict(list)
    for photo_id, name in AuthorHashtag.objects.filter(photo__in=photos).values_list("photo_id", "name"):
        names[photo_id].append(name)
    hashtags = _understand({name for some in names.values() for name in some}, words=campaign.asks_words)
    earlier = set(
        PostedHashtag.objects.of_campaign(campaign)
        .filter(photo__in=photos)
        .values_list("photo_id", "hashtag_id")
    )
    wanted: Wanted = []
    for photo in Photo.objects.filter(pk__in=photos).order_by("pk"):
        written: dict[Hashtag, str] = {}
        for name in names[photo.pk]:
            hashtag = hashtags.get(name)
            if hashtag and (photo.pk, hashtag.pk) not in earlier:
                written.setdefault(hashtag, name)
        if written:
            wanted.append((photo, written))
    return wanted


def _understand(names: Collection[str], *, words: bool) -> dict[str, Hashtag]:
    """Name → our hashtag; with `words`, also those that are not in the vocabulary."""
    ours = {row.name: row for row in Hashtag.objects.unblocked()}
    found = {name: ours[meaning] for name, meaning in checker().understand(names, sorted(ours)).items()}
    if not words:
        return found
    blocked = [row.name for row in Hashtag.objects.blocked()]
    taboo = checker().understand(names, sorted(blocked)) if blocked else {}
    new = {name for name in names if name not in found and name not in taboo and _is_word(name)}
    for name in sorted(new):
        row, _ = Hashtag.with_words.get_or_create(
            name=name, defaults={"posts": 0, "source": SOURCE, "counted_on": "", "in_vocabulary": False}
        )
        found[name] = row
    return found


def _is_word(name: str) -> bool:
    return len(name) <= LONGEST and name != OTHER and any(map(str.isalpha, name))


def _check(wanted: Wanted, model: TrainedModel) -> list[dict[str, Said]]:
    """Raises JobError."""
    photos = [(_bytes(photo), [hashtag.name for hashtag in written]) for photo, written in wanted]
    try:
        return checker().check(photos, model)
    except NoActiveModel as error:
        raise JobError(
            Text("“%(model)s” has not been exported yet.", model=model),
            Text("Try again once its export has ended."),
        ) from error
    except ModelError as error:
        raise JobError(
            Text("“%(model)s” cannot check: %(error)s", model=model, error=text_of(error)),
            Text("Export it again, then try again, or make a campaign without a check."),
        ) from error


def _bytes(photo: Photo) -> bytes:
    try:
        return read_stored(str(photo.file.name))
    except FileNotFoundError:
        return b""  # missing from the storage: not checked, and the other photos continue


def _rows(campaign: Campaign, wanted: Wanted, said: Sequence[Mapping[str, Said]]) -> Iterator[PostedHashtag]:
    for (photo, written), verdicts in zip(wanted, said, strict=True):
        for hashtag, name in written.items():
            one = verdicts.get(hashtag.name, Said("", None))
            chance = chance_of(campaign, one.verdict)
            yield PostedHashtag(
                campaign=campaign,
                photo=photo,
                hashtag=hashtag,
                written=name,
                verdict=one.verdict,
                probability=one.probability,
                chance=chance,
                is_drawn=CHANCE.random() < chance,
            )
