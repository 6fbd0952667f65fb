"""Voting: the pages, which work without script, and the JSON that the page's script talks to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, IntegerField, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import set_language

from formats.numbers import read_number
from people.request import Request
from validation.agreement import lists
from validation.forms.vote import MoreForm, UndoForm, VoteForm
from validation.models import Answer, Campaign, Guest, Photo
from validation.models.answers import MEANINGS
from validation.people import crowd
from validation.people.guests import GuestVotes
from validation.prepared import Prepared, given
from validation.voting import assignment, votes

AHEAD = 3  # questions the page holds ready
MOST_AHEAD = 20


View = Callable[..., HttpResponse]


def may_vote(user: Any, campaign: Campaign | None) -> bool:
    """Members with the permission, and guests in the campaign whose link they came by. Nobody in the made-up
    one.
    """
    if campaign is not None and campaign.is_made_up:
        return False
    if is_member(user):
        return True
    if campaign is None or campaign.audience != Campaign.Audience.LINK:
        return False
    return GUEST.exists(user=user.pk, campaign=campaign.pk, version=campaign.link_version)


def is_member(user: Any) -> bool:
    """Whether they have the permission `validation.add_vote`, as Django's `has_perm` says, but by one query
    instead of two for all their permissions. Asked once for each user object.
    """
    if not user.is_active or user.is_superuser:
        return bool(user.is_active)
    if not hasattr(user, "_may_add_vote"):
        user._may_add_vote = MAY_ADD_VOTE.exists(user=user.pk)
    return bool(user._may_add_vote)


USER = given("user")
MAY_ADD_VOTE = Prepared(
    lambda: (
        Permission.objects.filter(
            Exists(User.user_permissions.through.objects.filter(permission=OuterRef("pk"), user_id=USER))
            | Exists(
                Group.permissions.through.objects.filter(
                    Q(group_id__in=User.groups.through.objects.filter(user_id=USER).values("group_id"))
                    | Q(group__teams__members=USER),
                    permission=OuterRef("pk"),
                )
            ),
            content_type__app_label="validation",
            codename="add_vote",
        )
        .order_by()
        .values_list("pk")
    )
)
GUEST = Prepared(
    lambda: (
        Guest.objects.filter(
            user_id=USER, campaign_id=given("campaign"), link_version=given("version", IntegerField())
        )
        .order_by()
        .values_list("pk")
    )
)
CAMPAIGN = Prepared(lambda: Campaign.objects.filter(pk=given("campaign")).order_by())


def language_for(request: HttpRequest, campaign: Campaign | None = None) -> str:
    """The campaign's language if it has one, otherwise what the voter chose or the browser asks for."""
    own = campaign.language if campaign else ""
    is_supported = own and translation.check_for_language(own)
    return own if is_supported else translation.get_language_from_request(request)


def _page(view: View) -> View:
    """Find the campaign, refuse people who may not vote in it, and switch to the voter's language."""

    @wraps(view)
    def guarded(request: Request, pk: int) -> HttpResponse:
        campaign = Campaign.objects.select_related("job").filter(pk=pk).first()
        if not may_vote(request.user, campaign):
            if _is_guest(request):
                with translation.override(language_for(request)):
                    return render(request, "validation/join.html", {"gone": True}, status=403)
            raise PermissionDenied
        if campaign is None:
            raise Http404(_("There is no such campaign."))
        with translation.override(language_for(request, campaign)):
            return view(request, campaign)

    return guarded


def _json(view: View) -> View:
    """The same for the script: a refusal is a sentence in JSON, never a redirect."""

    @wraps(view)
    def guarded(request: Request, pk: int) -> HttpResponse:
        campaign = CAMPAIGN.first(campaign=pk)
        with translation.override(language_for(request, campaign)):
            if not request.user.is_authenticated:
                return _refuse(
                    _("You have been signed out. Your answers are kept here: sign in again to send them."),
                    401,
                )
            if not may_vote(request.user, campaign):
                return _refuse(_("You are not allowed to vote in this campaign."), 403)
            if campaign is None:
                return _refuse(_("This campaign no longer exists."), 404)
            return view(request, campaign)

    return login_not_required(never_cache(guarded))


def _refuse(words: str, status: int, **more: object) -> JsonResponse:
    return JsonResponse({"error": words, **more}, status=status)


def _words(error: votes.VoteRefused, campaign: Campaign) -> str:
    if isinstance(error, votes.CampaignClosed):
        return _("“%(campaign)s” has been closed, so your last answer was not kept.") % {"campaign": campaign}
    return _(str(error))  # marked for translation in votes.py


def _paused() -> str:
    return _(votes.PAUSED)


def _votes_stand(campaign: Campaign) -> str:
    return _("“%(campaign)s” has been closed. Its votes are kept.") % {"campaign": campaign}


# --- pages ------------------------------------------------------------------------------------


@require_safe
@never_cache
def vote_index(request: Request) -> HttpResponse:
    campaigns = [campaign for campaign in Campaign.objects.taking_votes() if may_vote(request.user, campaign)]
    if not campaigns and not is_member(request.user):
        raise PermissionDenied
    counts = lists.progress_of(campaigns, person=request.user)
    rows = [(campaign, counts.get(campaign.pk, lists.NO_PROGRESS)) for campaign in campaigns]
    rows.sort(key=lambda row: row[1].left == 0)
    with translation.override(language_for(request)):
        return render(
            request,
            "validation/vote_index.html",
            {"rows": rows, "can_switch": True, "is_guest": _is_guest(request)},
        )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_page
def vote(request: Request, campaign: Campaign) -> HttpResponse:
    if crowd.is_paused(request.user):
        return render(request, "validation/paused.html", {"is_guest": _is_guest(request)}, status=403)
    if request.method == "POST":
        return _answer(request, campaign)
    photo = read_number(request.GET.get("photo"))
    batch = assignment.assign(campaign=campaign, person=request.user, photo=photo, most=AHEAD)
    state = _state(request, campaign, batch)
    last = state["last"]
    context = {
        "campaign": campaign,
        "assignment": batch,
        "last": last,
        "request_id": uuid4(),
        "state": state | {"answers": _answers()},
        "reasons": [(key, words) for key, words in _reasons().items()],
        "buttons": [(answer, answer.button, _(answer.button.label)) for answer in MEANINGS],
        "undo_words": _(Answer(last["answer"]).words) if last else "",
        "can_switch": not campaign.language,
        "is_guest": _is_guest(request),
    }
    return render(request, "validation/vote.html", context)


def _is_guest(request: Request) -> bool:
    """Guests have a generated name, which the page does not show."""
    return not request.user.has_usable_password()


def _answer(request: Request, campaign: Campaign) -> HttpResponse:
    if _too_fast(request) is not None:
        return _slow_down(request, campaign)
    form = VoteForm(request.POST)
    if not form.is_valid():
        messages.warning(request, _("Choose one of the answers."))
        return redirect("validation:vote", campaign.pk)
    try:
        votes.record_vote(campaign=campaign, person=request.user, **form.arguments())
    except votes.VoteRefused as error:
        messages.warning(request, _words(error, campaign))
    return redirect("validation:vote", campaign.pk)


def _slow_down(request: Request, campaign: Campaign) -> HttpResponse:
    messages.warning(
        request,
        _("Too many answers at once, so the last one changed nothing. Wait a moment, then try again."),
    )
    return redirect("validation:vote", campaign.pk)


@require_POST
@_page
def undo(request: Request, campaign: Campaign) -> HttpResponse:
    if _too_fast(request) is not None:
        return _slow_down(request, campaign)
    back = reverse("validation:vote", args=[campaign.pk])
    form = UndoForm(request.POST)
    if not form.is_valid():
        return redirect(back)
    try:
        undone = votes.undo_vote(campaign=campaign, person=request.user, **form.cleaned_data)
    except votes.CampaignClosed:
        messages.warning(request, _votes_stand(campaign))
        return redirect(back)
    except votes.PersonPaused:
        return redirect(back)
    # The same photo again; after a repeated click, which had nothing to undo, the next one.
    return redirect(f"{back}?photo={undone.photo_id}" if undone else back)


language = login_not_required(require_POST(set_language))  # stores the choice in a cookie and redirects back


# --- JSON for the script ----------------------------------------------------------------------


@require_safe
@_json
def next_questions(request: Request, campaign: Campaign) -> HttpResponse:
    """What this person is asked next, and how far they are. ?n= how many, up to MOST_AHEAD."""
    count = _count_asked_for(request.GET) or AHEAD
    batch = assignment.assign(campaign=campaign, person=request.user, most=count)
    return JsonResponse(_state(request, campaign, batch))


def _limit(view: View) -> View:
    """Refuse requests of guests that come faster than they may vote."""

    @wraps(view)
    def guarded(request: Request, campaign: Campaign) -> HttpResponse:
        if (wait := _too_fast(request)) is None:
            return view(request, campaign)
        response = _refuse(_("Too many answers at once. They are sent again in a moment."), 429)
        response["Retry-After"] = str(wait)
        return response

    return guarded


@require_POST
@_json
@_limit
def give_vote(request: Request, campaign: Campaign) -> HttpResponse:
    """Keep an answer. With n= the reply also brings up to so many questions, as `next_questions` does."""
    form = VoteForm(request.POST)
    if not form.is_valid():
        return _refuse(_("This answer could not be read, so it was not kept."), 400)
    fields = form.arguments()
    try:
        vote_kept = votes.record_vote(campaign=campaign, person=request.user, **fields)
    except votes.PersonPaused:
        return _refuse(_paused(), 403)
    except votes.VoteRefused as error:
        return _refuse(_words(error, campaign), 409, closed=isinstance(error, votes.CampaignClosed))
    is_repeat = vote_kept.is_repeat
    reply = {"kept": not is_repeat, "repeated": is_repeat, "answer": vote_kept.answer}
    if count := _count_asked_for(request.POST):
        batch = assignment.assign(campaign=campaign, person=request.user, most=count)
        reply["next"] = _fresh(request, campaign, batch)
    return JsonResponse(reply)


def _count_asked_for(fields: QueryDict) -> int | None:
    """n: how many questions, up to MOST_AHEAD; None if it is not said."""
    n = read_number(fields.get("n"))
    return None if n is None else min(max(n, 1), MOST_AHEAD)


@require_POST
@_json
@_limit
def take_back(request: Request, campaign: Campaign) -> HttpResponse:
    form = UndoForm(request.POST)
    if not form.is_valid():
        return _refuse(_("This vote could not be found, so nothing was undone."), 400)
    try:
        undone = votes.undo_vote(campaign=campaign, person=request.user, **form.cleaned_data)
    except votes.CampaignClosed:
        return _refuse(_votes_stand(campaign), 409, closed=True)
    except votes.PersonPaused:
        return _refuse(_paused(), 403)
    return JsonResponse({"undone": undone is not None, "last": _last(campaign, request.user)})


@require_POST
@_json
@_limit
def say_more(request: Request, campaign: Campaign) -> HttpResponse:
    """Add to a vote why the hashtag does not fit, or whether the person would post it."""
    form = MoreForm(request.POST)
    if not form.is_valid():
        return _refuse(_("This answer could not be read, so it was not kept."), 400)
    reason, would_post = form.values()
    try:
        is_kept = votes.say_more(
            campaign=campaign,
            person=request.user,
            request_id=form.cleaned_data["request_id"],
            reason=reason,
            would_post=would_post,
        )
    except votes.CampaignClosed as error:
        return _refuse(_words(error, campaign), 409, closed=True)
    if not is_kept:
        return _refuse(_("That vote has been undone, so nothing could be added to it."), 409)
    return JsonResponse({"kept": True})


def _too_fast(request: Request) -> int | None:
    """Seconds a guest has to wait; None for members."""
    if is_member(request.user):
        return None
    throttle = GuestVotes()
    is_allowed = throttle.allow_request(request, None)  # type: ignore[arg-type]
    return None if is_allowed else ceil(throttle.wait() or 1)


def _state(request: Request, campaign: Campaign, batch: assignment.Assignment) -> dict[str, Any]:
    return _fresh(request, campaign, batch) | {"last": _last(campaign, request.user)}


def _fresh(request: Request, campaign: Campaign, batch: assignment.Assignment) -> dict[str, Any]:
    """The next questions, and how far the person is."""
    return {
        "questions": [_question(one.photo, one.hashtag, campaign, request.user) for one in batch.questions],
        "done": batch.done,
        "total": batch.total,
        "capped": batch.progress.is_capped,
        "closed": not campaign.takes_votes,
    }


def _last(campaign: Campaign, person: User) -> dict[str, Any] | None:
    """The vote that undo takes back, with the question it answered."""
    last = assignment.last_vote(campaign=campaign, person=person) if campaign.takes_votes else None
    if last is None:
        return None
    question = _question(last.photo, last.hashtag, campaign, person)
    return {"request_id": str(last.request_id), "answer": last.answer, "question": question}


def _question(photo: Photo, hashtag: Any, campaign: Campaign, person: User) -> dict[str, Any]:
    """Without the model's confidence or a hint that the answer is known: both would bias voters."""
    large = reverse("validation:photo", args=[photo.pk])
    return {
        "photo": photo.pk,
        "hashtag": hashtag.pk,
        "name": hashtag.name,
        "image": large,
        "small": f"{large}?size=small" if photo.small else large,
        "width": photo.width,
        "height": photo.height,
        "licence": photo.licence,
        "licence_url": photo.licence_url,
        "source_url": photo.source_url,
        "author": photo.author,
        "ask_would_post": _asks_would_post(photo.pk, hashtag.pk, campaign, person),
    }


def _asks_would_post(photo: int, hashtag: int, campaign: Campaign, person: User) -> bool:
    """Always the same for one person and question, so that a reload changes nothing."""
    digest = hashlib.sha256(f"{campaign.pk}:{person.pk}:{photo}:{hashtag}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < campaign.would_post_share


def _reasons() -> dict[str, str]:
    return {
        "wrong_scene": _("wrong scene"),
        "too_general": _("too general"),
        "too_specific": _("too specific"),
        "unclear": _("photo unclear"),
    }


def _answers() -> dict[str, dict[str, Any]]:
    """What the page's script must know about each answer."""
    return {
        answer.value: {
            "words": _(answer.words),
            "swipes": answer.button.swipes,
            "judges": answer.is_judgement,
            "takes_reason": answer.takes_reason,
        }
        for answer in Answer
    }
