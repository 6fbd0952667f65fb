"""Classes with the same suggestion on one page: untick the wrong ones and confirm the rest together."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mapping import downstream, queue
from mapping.acts import newest_change
from mapping.groups import UNSURE, Groups, enough, find_groups
from mapping.lexicon import wordnet
from mapping.opinions.opinions import opinion_of
from mapping.suggester.learner import senses_of
from people.request import Request

PER_PAGE = 60
REFUSED = "refused"  # session key: id of a scene class → answers that this curator unticked


@require_safe
@permission_required("mapping.change_mappingentry", raise_exception=True)
def groups(request: Request) -> HttpResponse:
    which = request.GET.get("opinion", "")
    opinion = opinion_of(request.user, which) if which else None
    progress = queue.progress(opinion)
    context: dict[str, Any] = {"opinion": opinion, "unsure": UNSURE, "progress": progress}
    try:
        refused_answers = {int(pk): labels for pk, labels in request.session.get(REFUSED, {}).items()}
        page = find_groups(
            opinion, label=request.GET.get("label", ""), size=PER_PAGE, refused_answers=refused_answers
        )
    except wordnet.WordNetMissing as missing:
        return render(request, "mapping/groups.html", context | {"wordnet_missing": str(missing)})
    if page is not None:
        keys = [member.entry.scene_class.key for member in page.members]
        photos = downstream.get().example_photos(keys, user=request.user, per_class=1)
        context |= {"page": page, "cards": _cards(page, photos), "enough": enough(progress.total)}
        context["is_ticked"] = page.selection != UNSURE and progress.confirmed >= enough(progress.total)
    user = request.user
    context["newest"] = newest_change(by=user, opinion=opinion) if user.is_authenticated else None
    return render(request, "mapping/groups.html", context)


def _cards(page: Groups, photos: dict[str, list[downstream.Example]]) -> list[dict[str, Any]]:
    cards = []
    for member in page.members:
        scene = member.entry.scene_class
        sense = wordnet.sense(member.entry.sense) if member.entry.sense else None
        if sense is None and member.entry.label is None:
            sense = next(iter(senses_of(scene)), None)
        cards.append(
            {
                "entry": member.entry,
                "gloss": sense.gloss if sense else "",
                "photo": next(iter(photos.get(scene.key, ())), None),
            }
        )
    return cards
