"""Opinions: mappings of their own beside the mapping, made blind; compared, settled, taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import Http404

from mapping.models import Opinion

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def opinion_of(user: AbstractBaseUser | AnonymousUser, opinion_id: int | str) -> Opinion:
    """This person's own opinion, to work on. Raises Http404 when there is none, PermissionDenied for another's.

    opinion_id may come from an address as it is.
    """
    opinion = Opinion.objects.filter(pk=opinion_id).first() if str(opinion_id).isdecimal() else None
    if opinion is None:
        raise Http404("There is no such opinion.")
    if opinion.owner_id is None or opinion.owner_id != user.pk:
        raise PermissionDenied("Only its owner works on an opinion.")
    return opinion
