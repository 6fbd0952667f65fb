"""Campaigns, for admins: list, page, rules, link for guests, people, gold answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import F, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.numbers import read_number
from formats.storage import StorageFailure
from formats.texts import text_of
from notices.words import shown
from people.request import Request, read_form
from trainer.models import PhotoSet, TrainedModel
from trainer.registry import serving
from validation.agreement import authors, lists, results, silence
from validation.campaigns import acts, effort, rules
from validation.forms.campaign import AuthorsRulesForm, CampaignForm, RulesForm, rules_of
from validation.forms.intake import PhotoFilter
from validation.forms.vote import GoldForm, GoldPhotoForm
from validation.models import Campaign, Guest, Photo, Prediction, Question, Standing
from validation.models.answers import MEANINGS
from validation.models.photos import PhotoQuerySet
from validation.people import crowd, gold, gold_photos, guests
from validation.photos import uploads
from validation.photos.store import PhotoRefused, take_in
from validation.views import authors as authors_views
from validation.views.intake import drop_context
from validation.views.made_up import only_real

PAGE = 48  # photos


# --- campaigns --------------------------------------------------------------------------------


@require_safe
@permission_required("validation.view_campaign", raise_exception=True)
def campaigns(request: Request) -> HttpResponse:
    archived = bool(request.GET.get("archived"))
    every_campaign = Campaign.objects.select_related("model", "job").with_photo_counts()
    every_campaign = every_campaign.filter(is_archived=archived)
    page = Paginator(every_campaign, 25).get_page(request.GET.get("page"))
    counts = lists.progress_of(page.object_list)
    rows = [(campaign, counts.get(campaign.pk, lists.NO_PROGRESS)) for campaign in page]
    context = {"page": page, "rows": rows, "archived": archived, "query": "archived=on" if archived else ""}
    context["made_up"] = next((campaign for campaign in page if campaign.is_made_up), None)
    context["has_archived"] = Campaign.objects.filter(is_archived=True).exists()
    return render(request, "validation/campaigns.html", context)


@require_safe
@permission_required("validation.view_campaign", raise_exception=True)
def campaign(request: Request, pk: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign.objects.select_related("model", "job", "created_by"), pk=pk)
    if campaign.is_authors:
        return authors_views.page(request, campaign)
    predictions = Prediction.objects.of(campaign).select_related("hashtag").prefetch_related("photo")
    predictions = predictions.order_by(F("hashtag__name").asc(nulls_last=True), "pk")
    only = request.GET.get("show", "")
    if only == "silent":
        predictions = predictions.silent()
    elif only == "suggested":
        predictions = predictions.suggested()
    elif only:
        predictions = predictions.suggested().filter(hashtag__name=only)
    summary = results.brief(campaign)
    page = Paginator(predictions, PAGE)
    counts = {"": summary.photos, "suggested": summary.suggestions, **dict(summary.hashtags)}
    counts["silent"] = summary.photos - summary.suggestions
    page.count = counts.get(only, 0)  # known already; counting again would take as long as listing
    link = guests.link(request, campaign) if request.user.has_perm("validation.change_campaign") else ""
    context = {
        "campaign": campaign,
        "page": page.get_page(request.GET.get("page")),
        "only": only,
        "query": urlencode({"show": only}) if only else "",
        "summary": summary,
        "silent_total": summary.photos - summary.suggestions,
        "tags": summary.hashtags,
        "authors": authors.compare_with_authors(campaign),
        "silent": silence.silent_by_reason(campaign=campaign),
        "photos": Campaign.photos.through.objects.filter(campaign_id=pk).count(),
        "link": link,
        "qr_code": guests.qr_code(link) if link else "",
    }
    return render(request, "validation/campaign.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("validation.add_campaign", raise_exception=True)
def new_campaign(request: Request) -> HttpResponse:
    chosen = PhotoFilter(request.GET)
    if request.GET and not chosen.is_valid():
        return redirect(f"{reverse('validation:photos')}?{request.GET.urlencode()}")
    found = chosen.photos().shown() if chosen.has_changed() else None
    form = CampaignForm(*read_form(request), owner=request.user, found=found)
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        try:
            if new := _create(request, form):
                return redirect(new)
        except StorageFailure as error:
            form.add_error(
                "uploads",
                _("Photos cannot be stored: %(error)s. There is no campaign yet; try again later.")
                % {"error": shown(text_of(error))},
            )
            status = error.status
    has_models = TrainedModel.objects.exclude(manifest={}).exists()
    context = {"form": form, "has_models": has_models, "found": found.count() if found is not None else None}
    context["query"] = request.GET.urlencode()
    context |= _effort_of(form, found=found) | drop_context(request, kinds=["photo"])
    return render(request, "validation/new_campaign.html", context, status=status)


def _effort_of(form: RulesForm, *, found: PhotoQuerySet | None = None) -> dict[str, Any]:
    """What the template shows of the votes that the rules in the form cost."""
    if form.is_bound:
        form.is_valid()
    costing = rules_of(form)
    if costing is None:
        return {"effort": "", "costs": dict.fromkeys(effort.DESCRIBED, "")}
    data = form.cleaned_data if form.is_bound else form.initial
    model: TrainedModel | None
    if form.instance.pk:
        photos, model = form.instance.photos.all(), form.instance.model
    else:
        photos = found if found is not None else Photo.objects.none()
        if other := data.get("photos_of"):
            either = Q(pk__in=photos.values("pk")) | Q(pk__in=other.photos.values("pk"))
            photos = Photo.objects.filter(either)
        model = data.get("model") or serving.active_model()
    basis = effort.basis_of(photos=photos, model=model, rules=costing)
    figure = effort.count_votes(basis=basis, has_known_answers=effort.has_known_answers(), rules=costing)
    return {"effort": effort.describe_total(figure), "costs": effort.describe_rules(figure)}


@require_safe
@permission_required("validation.add_campaign", raise_exception=True)
def votes_needed(request: Request) -> HttpResponse:
    """What the rules in a form that is being filled in cost in votes; of a new campaign or a running one."""
    pk = read_number(request.GET.get("campaign"))
    if pk is not None:
        form = RulesForm(request.GET, instance=get_object_or_404(Campaign, pk=pk))
        return render(request, "validation/_effort.html", {**_effort_of(form), "is_answer": True})
    chosen = PhotoFilter(request.GET)
    found = chosen.photos().shown() if chosen.is_valid() and chosen.has_changed() else None
    context = _effort_of(CampaignForm(request.GET, owner=request.user, found=found), found=found)
    return render(request, "validation/_effort.html", {**context, "is_answer": True})


def _create(request: Request, form: CampaignForm) -> Campaign | None:
    """Take in the photos that can be read and name the others; without any, None and an error on the form.

    Raises StorageFailure.
    """
    data = form.cleaned_data
    photos, reasons = _take_in_all(request, data)
    if data["photos_of"]:
        photos += data["photos_of"].photos.all()
    if form.found is not None:
        photos += form.found
    if not photos:
        form.add_error("uploads", reasons or [_("That campaign has no photos.")])
        return None
    try:
        new = acts.create_campaign(
            name=data["name"], model=data["model"], photos=photos, by=request.user, **form.rules()
        )
    except IntegrityError:  # the same form was sent twice at once, and the other request created it
        return Campaign.objects.filter(name=data["name"]).first()
    for upload in data["dropped"]:
        uploads.throw_away(upload)
    for reason in reasons:
        messages.warning(request, _("Not taken in: %(reason)s") % {"reason": reason})
    return new


def _take_in_all(request: Request, data: dict[str, Any]) -> tuple[list[Photo], list[str]]:
    terms = {field: data[field] for field in ("licence", "licence_url", "source_url")}
    photos, reasons = [], []
    for file in data["uploads"]:
        try:
            photos.append(take_in(file=file, name=file.name or "photo", by=request.user, **terms))
        except PhotoRefused as error:
            reasons.append(str(error))
    for upload in data["dropped"]:
        try:
            with uploads.open_upload(upload) as opened:
                photos.append(take_in(file=opened, name=upload.name, by=request.user, **terms))
        except PhotoRefused as error:
            reasons.append(str(error))
        except FileNotFoundError:
            reasons.append(_("%(upload)s: what was uploaded of it is gone") % {"upload": upload})
    return photos, reasons


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def set_open(request: Request, pk: int, is_open: bool) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=pk)
    has_changed = acts.set_open(campaign=campaign, is_open=is_open)
    if is_open:
        words = _("“%(campaign)s” is open now.") if has_changed else _("“%(campaign)s” was open already.")
    else:
        words = _("“%(campaign)s” is closed now.") if has_changed else _("“%(campaign)s” was closed already.")
    messages.success(request, words % {"campaign": campaign})
    return redirect(campaign)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def set_archived(request: Request, pk: int, is_archived: bool) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=pk)
    acts.set_archived(campaign=campaign, is_archived=is_archived)
    words = (
        _("“%(campaign)s” is archived: nothing was deleted.")
        if is_archived
        else _("“%(campaign)s” is in the list again, and closed.")
    )
    messages.success(request, words % {"campaign": campaign})
    return redirect(campaign)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("validation.delete_campaign", raise_exception=True)
@only_real
def delete(request: Request, pk: int) -> HttpResponse:
    """What would go and what would stay; POST deletes it."""
    campaign = Campaign.objects.filter(pk=pk).first()
    if campaign is None and request.method == "POST":
        messages.info(request, _("This campaign is deleted already."))
        return redirect("validation:campaigns")
    if campaign is None:
        raise Http404(_("There is no such campaign."))
    refusal = ""
    if request.method == "POST":
        try:
            acts.delete_campaign(campaign=campaign, seen=request.POST.get("seen", ""), by=request.user)
        except acts.CannotDelete as error:
            refusal = str(error)
        else:
            messages.success(
                request,
                _("“%(campaign)s” is deleted. Its votes and photos are kept.") % {"campaign": campaign},
            )
            return redirect("validation:campaigns")
    context = {"campaign": campaign, "belongings": acts.belongings(campaign), "refusal": refusal}
    return render(request, "validation/delete_campaign.html", context, status=409 if refusal else 200)


@require_safe
@permission_required("validation.view_campaign", raise_exception=True)
def preview(request: Request, pk: int) -> HttpResponse:
    """The ballot as a voter sees it, without a vote."""
    campaign = get_object_or_404(Campaign, pk=pk)
    questions = Question.objects.of_campaign(campaign).main().offered()
    context = {
        "campaign": campaign,
        "question": questions.select_related("photo", "hashtag").order_by("rank").first(),
        "buttons": [(answer, answer.button, _(answer.button.label)) for answer in MEANINGS],
    }
    return render(request, "validation/preview.html", context)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def withdraw(request: Request, pk: int, photo_pk: int) -> HttpResponse:
    campaign, photo = get_object_or_404(Campaign, pk=pk), get_object_or_404(Photo, pk=photo_pk)
    was_removed = acts.withdraw_photo(campaign=campaign, photo=photo, by=request.user)
    words = (
        _("%(photo)s is withdrawn: nobody will be asked about it here.")
        if was_removed
        else _("%(photo)s was withdrawn already.")
    )
    messages.success(request, words % {"photo": photo})
    return redirect(campaign)


# --- rules and link ---------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def edit(request: Request, pk: int) -> HttpResponse:
    """Change the rules of a running campaign. A page that showed older rules is refused."""
    campaign = get_object_or_404(Campaign, pk=pk)
    version = rules.rules_seen(campaign)
    kind = AuthorsRulesForm if campaign.is_authors else RulesForm
    form = kind(*read_form(request), instance=campaign)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        page_version = request.POST.get("seen", "")
        try:
            changes = rules.change_rules(
                campaign=campaign, seen=page_version, by=request.user, name=name, **form.rules()
            )
        except rules.StaleRules as error:
            form.add_error(None, str(error))
        except IntegrityError:
            form.add_error("name", _("Campaign with this Name already exists."))
        else:
            messages.success(request, _("The rules were changed.") if changes else _("Nothing was changed."))
            return redirect(campaign)
    context = {"form": form, "campaign": Campaign.objects.get(pk=pk), "seen": version, **_effort_of(form)}
    return render(request, "validation/edit_campaign.html", context, status=422 if form.errors else 200)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def revoke(request: Request, pk: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=pk)
    version = read_number(request.POST.get("version"))
    was_revoked = version is not None and acts.revoke_link(campaign=campaign, version=version)
    words = (
        _("The old link no longer works. Here is a new one.")
        if was_revoked
        else _("The link was renewed already.")
    )
    messages.success(request, words)
    return redirect(campaign)


# --- people -----------------------------------------------------------------------------------


@require_safe
@permission_required("validation.change_campaign", raise_exception=True)
def people(request: Request, pk: int) -> HttpResponse:
    """How each person answered, for the admin who decides whose votes count."""
    campaign = get_object_or_404(Campaign, pk=pk)
    page = Paginator(crowd.people(campaign), 100).get_page(request.GET.get("page"))
    story = Standing.history.filter(person__in=[row.person_id for row in page]).select_related("history_user")
    context = {
        "campaign": campaign,
        "page": page,
        "guests": Guest.objects.filter(campaign=campaign).count(),
        "story": story.order_by("-history_date")[:50],
        "enough_gold": crowd.ENOUGH_GOLD,
        "least_right": crowd.LEAST_RIGHT,
    }
    return render(request, "validation/people.html", context)


DECISIONS = {
    "pause": (
        crowd.pause,
        gettext_noop("%(person)s is paused and gets no more questions."),
        gettext_noop("%(person)s was paused already."),
    ),
    "unpause": (
        crowd.unpause,
        gettext_noop("%(person)s may vote again, and is trusted."),
        gettext_noop("%(person)s is not paused, or has votes set aside: bring them back first."),
    ),
    "set-aside": (
        crowd.set_aside,
        gettext_noop("%(person)s is paused, and none of their votes count."),
        gettext_noop("%(person)s was set aside already."),
    ),
    "bring-back": (
        crowd.bring_back,
        gettext_noop("%(person)s stays paused; their votes count again."),
        gettext_noop("%(person)s had no votes set aside."),
    ),
}


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def decide(request: Request, pk: int, person_pk: int, decision: str) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=pk)
    person = get_object_or_404(User, pk=person_pk, participations__campaign=campaign)
    act, outcome, was = DECISIONS[decision]
    words = outcome if act(person=person, by=request.user) else was
    messages.success(request, _(words) % {"person": person})
    return redirect("validation:people", campaign.pk)


# --- known answers ----------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("validation.change_campaign", raise_exception=True)
@only_real
def known(request: Request, pk: int) -> HttpResponse:
    """Candidates for gold answers: which people agree on, nobody has answered yet, or a photo set has. And
    the gold answers.
    """
    campaign = get_object_or_404(Campaign, pk=pk)
    if request.method == "POST" and "scene_photo" in request.POST:
        _mark_photo(request)
        return redirect(request.get_full_path())
    if request.method == "POST":
        form = GoldForm(request.POST)
        if form.is_valid() and gold.decide(campaign=campaign, by=request.user, **form.cleaned_data):
            messages.success(request, _("Saved."))
        else:
            messages.warning(request, _("This page was out of date, so nothing was changed."))
        return redirect(request.get_full_path())
    shown = request.GET.get("show", "")
    without_answers = shown == "unanswered"
    photo_sets = list(PhotoSet.objects.with_photos())
    photo_set = None
    if shown == "mapping":
        chosen = request.GET.get("photo_set")
        photo_set = next((one for one in photo_sets if str(one.pk) == chosen), next(iter(photo_sets), None))
    candidates = gold.unanswered(campaign) if without_answers else gold.clear(campaign)
    context = {
        "campaign": campaign,
        "unanswered": without_answers,
        "query": "show=unanswered" if without_answers else "",
        "page": Paginator(candidates, PAGE).get_page(request.GET.get("page")),
        "marked": gold.marked(),
        "photo_sets": photo_sets,
        "photo_set": photo_set,
        "proposals": gold_photos.propose(photo_set) if photo_set else [],
    }
    return render(request, "validation/known.html", context)


def _mark_photo(request: Request) -> None:
    form = GoldPhotoForm(request.POST)
    if not form.is_valid():
        messages.warning(request, _("This page was out of date, so nothing was changed."))
        return
    data = form.cleaned_data
    try:
        gold_photos.mark_photo(
            photo=data["scene_photo"], hashtag=data["hashtag"], fits=data["answer"], by=request.user
        )
    except PhotoRefused as error:
        messages.error(request, str(error))
    except FileNotFoundError:
        messages.error(request, _("The file is gone from its folder."))
    else:
        messages.success(request, _("Saved."))
