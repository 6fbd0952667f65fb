"""What speaks for a class's hashtags: the suggester's reasons, and photos beside those of similar classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from mapping import downstream
from mapping.models import MappingEntry
from mapping.suggester import learner
from mapping.suggester.learner import Lookalike
from people.request import Request

if TYPE_CHECKING:
    from mapping.downstream import User

PHOTOS = 4


@require_safe
@permission_required("mapping.change_mappingentry", raise_exception=True)  # only curators see suggestions
def evidence(request: Request, pk: int) -> HttpResponse:
    """A part of the page of a class, loaded after it is displayed because the suggester may have to learn."""
    entry = get_object_or_404(MappingEntry.objects.select_related("scene_class"), pk=pk)
    suggestions = learner.suggest(entry, None)
    photos = photos_beside(entry.scene_class.key, suggestions.lookalikes, user=request.user)
    return render(request, "mapping/_entry_evidence.html", {"suggestions": suggestions} | photos)


def photos_beside(key: str, lookalikes: Sequence[Lookalike], *, user: User) -> dict[str, Any]:
    """photos: of the class. beside: the classes that look alike, with their photos. Only those that this user
    may see; one query.
    """
    keys = [key, *(one.key for one in lookalikes)]
    photos = downstream.get().example_photos(keys, user=user, per_class=PHOTOS)
    return {
        "photos": photos.get(key, []),
        "beside": [{"scene": one, "photos": photos.get(one.key, [])} for one in lookalikes],
    }
