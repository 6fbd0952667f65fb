"""Decide about many classes at once, from the table, a group page or a cluster, as a single act."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from formats.names import normalize_hashtag
from formats.numbers import read_number
from mapping import queue
from mapping.acts import Decision, NotYours, StaleEntries, change_many, undo_change
from mapping.lexicon import wordnet
from mapping.models import OTHER, Change, Hashtag, MappingEntry, Opinion
from mapping.opinions.opinions import opinion_of
from mapping.suggester import learner
from mapping.suggester.learner import senses_of
from mapping.views.groups import REFUSED
from people.request import Request

ACTIONS = {Change.Action.TABLE, Change.Action.GROUP, Change.Action.CLUSTER}
KEEP = "keep"  # instead of a hashtag: confirm the present answer of each class


class BadPick(ValueError):
    """The form has values that none of our pages would send."""


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def decide(request: Request) -> HttpResponse:
    """Parameters: pick ("entry:version", repeated), hashtag (a name, "other" or "keep"), action, next."""
    user = request.user
    assert isinstance(user, AbstractBaseUser)
    opinion = _opinion(request, user)
    back = _next(request)
    action = request.POST.get("action", "")
    try:
        versions = _read_picks(request.POST.getlist("pick"))
    except BadPick as problem:
        return HttpResponseBadRequest(str(problem))
    if action not in ACTIONS:
        return HttpResponseBadRequest(
            _("“%(action)s” is not an action on many classes.") % {"action": action}
        )
    if not versions:
        messages.warning(request, _("No class is ticked, so nothing was changed."))
        return redirect(back)
    hashtag = normalize_hashtag(request.POST.get("hashtag", ""))
    entries = queue.entries_of(opinion).in_bulk(list(versions))
    try:
        decisions = _decisions(entries.values(), hashtag)
        if len(entries) < len(versions):
            raise MappingEntry.DoesNotExist
        change = change_many(by=user, action=action, decisions=decisions, versions=versions)
    except Hashtag.DoesNotExist as error:  # unknown or blocked
        messages.error(request, f"{error}. {_('Nothing was changed.')}")
        return redirect(back)
    except MappingEntry.DoesNotExist:
        messages.error(request, _("Some of these classes no longer exist. Nothing was changed."))
        return redirect(back)
    except BadPick as problem:
        messages.error(request, str(problem))
        return redirect(back)
    except StaleEntries as stale:
        rows = queue.entries_of(opinion).filter(pk__in=[row.pk for row in stale.current])
        context = {"stale": rows.select_related("changed_by"), "picked": len(versions), "next": back}
        return render(request, "mapping/stale.html", context | {"hashtag": hashtag}, status=409)
    if action == Change.Action.GROUP:
        _refuse(request, set(entries), hashtag, opinion)
    _tell(request, change, hashtag)
    return redirect(back)


@require_POST
@permission_required("mapping.change_mappingentry", raise_exception=True)
def undo(request: Request) -> HttpResponse:
    """Undo an act of this user, from a page that lists many classes."""
    user = request.user
    assert isinstance(user, AbstractBaseUser)
    change = get_object_or_404(Change, pk=read_number(request.POST.get("change")))
    try:
        result = undo_change(change_id=change.pk, by=user)
    except NotYours:
        return HttpResponse(_("Only the person who decided can undo it."), status=403)
    restored, kept = len(result.restored_entries), len(result.kept_entries)
    words = ngettext("Undone: %(n)s class restored.", "Undone: %(n)s classes restored.", restored) % {
        "n": restored
    }
    if kept:
        words += " " + _("A later act changed %(n)s of them; these were kept.") % {"n": kept}
    messages.success(request, words)
    return redirect(_next(request))


def _refuse(request: Request, confirmed: set[int], hashtag: str, opinion: Opinion | None) -> None:
    """Remember the unticked classes of a group page, so that this answer is not suggested for them again."""
    shown = map(read_number, request.POST.getlist("shown")[: settings.MAX_BULK_CLASSES])
    rows = queue.entries_of(opinion).filter(pk__in={pk for pk in shown if pk is not None} - confirmed)
    refused_answers = request.session.get(REFUSED, {})
    for scene_class in rows.values_list("scene_class_id", flat=True):
        refused_answers[str(scene_class)] = sorted({*refused_answers.get(str(scene_class), []), hashtag})
    request.session[REFUSED] = refused_answers


def _opinion(request: Request, user: AbstractBaseUser) -> Opinion | None:
    which = request.POST.get("opinion", "")
    return opinion_of(user, which) if which else None


def _next(request: Request) -> str:
    address = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if address.startswith("/") and safe else reverse("mapping:entries")


def _read_picks(picks: list[str]) -> dict[int, int]:
    """Entry id → the version that was on the page."""
    if len(picks) > settings.MAX_BULK_CLASSES:
        raise BadPick(
            _("At most %(n)s classes can be changed at once.") % {"n": intcomma(settings.MAX_BULK_CLASSES)}
        )
    versions = {}
    for pick in picks:
        entry, version = map(read_number, pick.partition(":")[::2])
        if entry is None or version is None:
            raise BadPick(_("A pick has the form entry:version."))
        versions[entry] = version
    return versions


def _decisions(entries: Iterable[MappingEntry], hashtag: str) -> dict[int, Decision]:
    if hashtag != KEEP:
        if not hashtag:
            raise BadPick(_("Choose a hashtag, or other. Nothing was changed."))
        return {entry.pk: _decision(entry, hashtag) for entry in entries}
    open_keys = [entry.scene_class.key for entry in entries if entry.label is None]
    if open_keys:
        raise BadPick(_("%(key)s has no answer yet to confirm. Nothing was changed.") % {"key": open_keys[0]})
    return {entry.pk: Decision(entry.label or OTHER) for entry in entries}


def _decision(entry: MappingEntry, hashtag: str) -> Decision:
    """An undecided class without a sense gets its most likely one. Otherwise the sense is kept."""
    if entry.sense or entry.label is not None:
        return Decision(hashtag)
    try:
        sense = next(iter(senses_of(entry.scene_class)), None)
    except wordnet.WordNetMissing:
        sense = None
    if sense is None:
        return Decision(hashtag)
    hypernym_key = learner.hypernym(sense.key, hashtag)
    hypernym = wordnet.sense(hypernym_key) if hypernym_key else None
    return Decision(hashtag, sense.key, sense.word, hypernym_key, hypernym.word if hypernym else "")


def _tell(request: Request, change: Change | None, hashtag: str) -> None:
    if change is None:
        messages.info(request, _("These classes already have this answer. Nothing was changed."))
        return
    answer = _("confirmed") if hashtag == KEEP else ("other" if hashtag == OTHER else f"#{hashtag}")
    messages.success(request, f"{_classes(len(change.before))}: {answer}. {_('Saved.')}")


def _classes(number: int) -> str:
    return ngettext("%(n)s class", "%(n)s classes", number) % {"n": number}
