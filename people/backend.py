"""What a person may do: by their own roles, and by those of their teams."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet


def roles_held(person: object) -> QuerySet[Group]:
    """The groups that are this person's roles (a user, a key, or a reference in a subquery)."""
    return Group.objects.filter(Q(user=person) | Q(teams__members=person))


class TeamBackend(ModelBackend):
    """Django's, where the roles of a person's teams count like their own."""

    def _get_group_permissions(self, user_obj: User) -> QuerySet[Permission]:
        return Permission.objects.filter(group__in=roles_held(user_obj))
