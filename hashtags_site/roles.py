"""What each role may do. Roles are Django groups; apps only ever ask for a permission.

`manage.py setup_roles` (part of every start) gives the groups the permissions of this table.
"""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction

LOOK = (
    "mapping.view_sceneclass",
    "mapping.view_release",
    "trainer.view_photoset",
    "trainer.view_trainingrun",
    "trainer.view_trainedmodel",
    "validation.view_campaign",
    "validation.view_photo",
    "validation.view_vote",
    "serving.view_feedback",
    "serving.view_trial",
    "jobs.view_job",
    "notices.view_notice",
)
CURATE = ("mapping.change_mappingentry", "mapping.change_hashtag", "mapping.publish_release")
# Authors' posts are for those who act on them.
MODERATE = ("serving.view_checkedpost", "serving.change_checkedpost", "serving.delete_checkedpost")
TRAIN = (
    "trainer.add_photoset",
    "trainer.add_trainingrun",
    "trainer.change_trainingrun",
    "trainer.delete_trainingrun",
    "trainer.add_trainedmodel",
    "trainer.change_trainedmodel",
    "trainer.delete_trainedmodel",
    "trainer.add_promotion",
    "trainer.suggest",
    "serving.add_trial",
    "serving.change_trial",
    "validation.add_campaign",
    "validation.change_campaign",
    "validation.delete_campaign",
    "jobs.change_job",
)
ROLES: dict[str, tuple[str, ...]] = {
    "viewer": LOOK,
    "curator": (*LOOK, *CURATE, *MODERATE),
    "trainer admin": (*LOOK, *TRAIN, *MODERATE),
    # Everything but voting: see below.
    "administrator": (
        *LOOK,
        *CURATE,
        *TRAIN,
        *MODERATE,
        "people.add_token",
        "people.change_token",
        "people.change_profile",
        "people.view_deed",
        "notices.change_hook",
    ),
    # Without LOOK: a person who has seen the model's confidence no longer judges independently.
    "validator": ("validation.add_vote", "validation.view_photo"),
    "network": ("trainer.suggest",),  # a social network's program, by API token
}


@transaction.atomic
def setup_roles() -> None:
    """Give the groups exactly these permissions. Raises KeyError for a permission that does not exist."""
    permissions = {
        f"{p.content_type.app_label}.{p.codename}": p
        for p in Permission.objects.select_related("content_type")
    }
    for role, names in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([permissions[name] for name in names])
