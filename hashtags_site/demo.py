"""What `make demo` adds to an empty installation: accounts, sample photos, a campaign to vote in."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.utils.translation import gettext_noop

from jobs import work
from trainer.models import PhotoSet
from trainer.photosets.registration import register_folder
from validation.sample import load_sample_campaign

ACCOUNTS = (  # name (also the password), group, what the person does
    (
        "administrator",
        "administrator",
        gettext_noop("invites people, gives roles and tokens, sees what was done"),
    ),
    ("curator", "curator", gettext_noop("maps scene classes to hashtags, publishes releases")),
    ("admin", "trainer admin", gettext_noop("registers photos, trains, promotes models, opens campaigns")),
    ("validator", "validator", gettext_noop("says whether a hashtag fits a photo")),
    ("viewer", "viewer", gettext_noop("looks at everything, changes nothing")),
)
SAMPLE_SET = "Sample photos"


def prepare_demo() -> Iterator[str]:
    """Create what is missing; yields a line for each thing that exists now. Safe to repeat."""
    admin = _accounts()["admin"]
    yield f"Photo set “{SAMPLE_SET}”: {_sample_photo_set(admin).photos.count()} photos"
    campaign = load_sample_campaign(by=admin)
    yield f"Campaign “{campaign.name}”: {campaign.photos.count()} new photos"


def _accounts() -> dict[str, User]:
    users = {}
    for name, group, _ in ACCOUNTS:
        user, new = User.objects.get_or_create(username=name)
        if new:
            user.set_password(name)
            user.save()
            user.groups.set([Group.objects.get(name=group)])
        users[name] = user
    return users


def _sample_photo_set(admin: User) -> PhotoSet:
    photo_set = PhotoSet.objects.filter(name=SAMPLE_SET).first()
    if photo_set is None:
        folder = settings.BASE_DIR / "samples/photoset"
        photo_set = register_folder(name=SAMPLE_SET, folder=folder, by=admin)
    if photo_set.job and photo_set.job.is_live:
        work.do_here(job=photo_set.job)  # so that the first page has photos to show
    return photo_set
