"""Intakes, the state of each of their files, and the page of one photo."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.files import SYSTEM_NAMES
from formats.storage import StorageFailure
from formats.texts import text_of
from mapping.models import OTHER, SceneClass
from notices.words import shown
from people.request import Request, read_form
from trainer.photosets.registration import NameTaken
from validation.forms.intake import CorrectionForm, IntakeForm, PhotoFilter
from validation.models import Correction, Intake, IntakeFile, Photo
from validation.names import name_some
from validation.photos import corrections, uploads
from validation.photos import intake as intake_acts
from validation.photos.notes import words_of
from validation.photos.store import WORDS, pixels_left, withdraw_everywhere
from validation.views.made_up import only_real_photo

PAGE = 100  # files
State = IntakeFile.State


@require_safe
@permission_required("validation.add_campaign", raise_exception=True)
def intakes(request: Request) -> HttpResponse:
    rows = Intake.objects.select_related("job", "campaign", "created_by").annotate(count=Count("files"))
    page = Paginator(rows.order_by("-pk"), 25).get_page(request.GET.get("page"))
    return render(request, "validation/intakes.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache  # going back in the browser must not bring up a form that was sent already
@permission_required("validation.add_campaign", raise_exception=True)
def new(request: Request) -> HttpResponse:
    form = IntakeForm(*read_form(request), owner=request.user, initial=request.GET.dict())
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            return redirect(intake_acts.start(by=request.user, **data))
        except intake_acts.SentAlready as error:
            return _sent_already(request, error.intake)
        except intake_acts.TableError as error:
            form.add_error("table" if data["table"] else "dropped", str(error))
        except intake_acts.UploadsGone as error:
            form.add_error("dropped", str(error))
        except StorageFailure as error:
            form.add_error(
                None,
                _("The files cannot be stored: %(error)s. Nothing was kept; try again later.")
                % {"error": shown(text_of(error))},
            )
            status = error.status
    elif earlier := intake_acts.sent_before(form.cleaned_data.get("request_id") if form.is_bound else None):
        return _sent_already(request, earlier)  # which took the dropped files
    context = {"form": form, **drop_context(request)}
    return render(request, "validation/new_intake.html", context, status=status)


def _sent_already(request: Request, intake: Intake) -> HttpResponse:
    messages.warning(
        request,
        _("This form was sent before. Here is the intake it started; for other photos open a new form."),
    )
    return redirect(intake)


# What the script of the drop zone says: drop.js, drop_send.js, drop_state.js.
DROP_WORDS = (
    gettext_noop("1 file"),
    gettext_noop("{n} files"),
    gettext_noop("{n} bytes"),
    gettext_noop("{n} KB"),
    gettext_noop("{n} MB"),
    gettext_noop("{n} GB"),
    gettext_noop("It is empty."),
    gettext_noop("It is larger than {size}."),
    gettext_noop("{n} more files cannot be taken."),
    gettext_noop("Remove"),
    gettext_noop("Remove {name}"),
    gettext_noop("goes on at {percent} % of {size}"),
    gettext_noop("{percent} % of {size}"),
    gettext_noop("uploaded, {size}"),
    gettext_noop("stopped at {percent} %. {why}"),
    gettext_noop("{n} of {files} stopped. What is uploaded is kept: go on, or remove them."),
    gettext_noop("{n} of {files} uploaded, {percent} % of {size}"),
    gettext_noop("It was interrupted."),
    gettext_noop("It does not go on."),
    gettext_noop("It was thrown away meanwhile."),
    gettext_noop("It cannot be begun."),
    gettext_noop("The file was changed or moved. Choose it again."),
    gettext_noop("You are signed out. Sign in in another tab, then go on."),
    gettext_noop("The line is cut."),
)


def drop_context(request: Request, *, kinds: Collection[str] = tuple(uploads.ENDINGS)) -> dict[str, Any]:
    """What a page with a drop zone needs: the rules for its script, and the person's uploads so far."""
    rows = [one for one in uploads.waiting_of(request.user) if uploads.kind_of(one.name) in kinds]
    sent = request.POST.getlist("dropped")
    rules = {
        "begin": reverse("validation:uploads"),
        "endings": {kind: uploads.ENDINGS[kind] for kind in kinds},
        "limits": uploads.limits(),
        "systemNames": sorted(SYSTEM_NAMES),
        "words": {text: _(text) for text in DROP_WORDS},
        "taken": str(uploads.TAKEN)
        if "archive" in kinds
        else _("Only photos (%(words)s) can be taken here.") % {"words": WORDS},
    }
    return {
        "drop_rules": rules,
        "complete": [
            (one, request.method != "POST" or str(one.pk) in sent) for one in rows if one.is_complete
        ],
        "unfinished": [one for one in rows if not one.is_complete],
        "upload_kept": settings.UPLOAD_KEPT,
    }


@require_safe
@permission_required("validation.add_campaign", raise_exception=True)
def intake(request: Request, pk: int) -> HttpResponse:
    intake = get_object_or_404(Intake.objects.select_related("job", "campaign", "created_by"), pk=pk)
    counts = dict(intake.files.order_by().values_list("state").annotate(n=Count("pk")))
    only = request.GET.get("show", State.REFUSED)
    files = intake.files.select_related("photo", "photo__near_duplicate_of").order_by("pk")
    if only in State.values:
        files = files.filter(state=only)
    context = {
        "intake": intake,
        "can_be_given_up": intake_acts.can_be_given_up(intake),
        "notes": [words_of(note) for note in intake.notes],
        "states": [(state.value, state.label, counts.get(state.value, 0)) for state in State],
        "total": sum(counts.values()),
        "page": Paginator(files, PAGE).get_page(request.GET.get("page")),
        "only": only,
        "query": f"show={only}",
        "usable": Photo.objects.shown().found(intake=pk).count(),
    }
    return render(request, "validation/intake.html", context)


@require_safe
@permission_required("validation.add_campaign", raise_exception=True)
def photos(request: Request) -> HttpResponse:
    """Photos found by author, file name, source, intake or day: for a campaign, or to withdraw one."""
    form = PhotoFilter(request.GET)
    found = form.photos() if form.is_valid() else Photo.objects.none()
    query = request.GET.copy()
    query.pop("page", None)
    page = Paginator(found.order_by("-pk"), PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "usable": found.shown().count() if form.has_changed() else 0,
        "query": query.urlencode(),
    }
    return render(request, "validation/photos.html", context, status=200 if form.is_valid() else 422)


@require_POST
@permission_required("validation.add_campaign", raise_exception=True)
def give_up(request: Request, pk: int) -> HttpResponse:
    intake = get_object_or_404(Intake, pk=pk)
    if intake_acts.give_up(intake=intake):
        messages.success(request, _("The files that were not taken in are deleted."))
    else:
        messages.success(request, _("There was nothing to delete, or the job is still working."))
    return redirect(intake)


@require_safe
@permission_required("validation.view_vote", raise_exception=True)
def photo(request: Request, pk: int) -> HttpResponse:
    """Everything about one photo: its terms, the campaigns that ask about it, its votes."""
    photo = get_object_or_404(Photo.objects.select_related("near_duplicate_of", "withdrawn_by"), pk=pk)
    newest = Correction.history.filter(photo=photo).order_by("-history_id").first()
    correction = Correction.objects.filter(photo=photo).select_related("hashtag", "scene_class").first()
    questions = photo.questions.select_related("campaign", "hashtag").order_by("pk")
    votes = photo.votes.select_related("hashtag", "person").order_by("hashtag__name", "pk")
    context = {
        "photo": photo,
        "questions": questions,
        "author_hashtags": photo.author_hashtags.all(),
        "near": photo.near_duplicates.shown().real()[:12],
        "made_up": photo.campaigns.made_up().first(),
        "votes": votes.count(),
        "page": Paginator(votes, PAGE).get_page(request.GET.get("page")),
        "correction": correction,
        "seen": newest.history_id if newest else "",
        "scenes": SceneClass.objects.values_list("key", flat=True),
        "hashtags": CorrectionForm.hashtags(correction).values_list("name", flat=True),
        "pixels_left": bool(photo.withdrawn_at) and pixels_left(photo),
        "archives": intake_acts.archives_with(photo) if photo.withdrawn_at else [],
    }
    return render(request, "validation/photo.html", context)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real_photo
def withdraw(request: Request, pk: int) -> HttpResponse:
    photo = get_object_or_404(Photo, pk=pk)
    why = request.POST.get("why", "")
    is_new = withdraw_everywhere(photo=photo, by=request.user, why=why)
    if pixels_left(photo):
        words = (
            _("%(photo)s is withdrawn everywhere, but some of its pixels could not be deleted: see below.")
            if is_new
            else _("%(photo)s was withdrawn already, but some of its pixels could not be deleted: see below.")
        )
        messages.warning(request, words % {"photo": photo})
    else:
        words = (
            _("%(photo)s is withdrawn everywhere, and its pixels are deleted.")
            if is_new
            else _("%(photo)s was withdrawn already, and its pixels are deleted.")
        )
        messages.success(request, words % {"photo": photo})
    return redirect("validation:photo_page", pk)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
@only_real_photo
def correct(request: Request, pk: int) -> HttpResponse:
    """Save what the photo shows."""
    photo = get_object_or_404(Photo.objects.shown(), pk=pk)
    form = CorrectionForm(request.POST, correction=Correction.objects.filter(photo=photo).first())
    if not form.is_valid():
        wrong = form.cleaned_data.get("scene") is None and request.POST.get("scene")
        messages.warning(
            request,
            _("There is no scene class “%(wrong)s”.") % {"wrong": wrong}
            if wrong
            else _("Choose from the lists."),
        )
        return redirect("validation:photo_page", pk)
    try:
        row = corrections.correct(photo=photo, by=request.user, **form.cleaned_data)
        messages.success(request, _("Saved: %(hashtag)s.") % {"hashtag": row.hashtag or OTHER})
    except corrections.StaleCorrection as error:
        messages.warning(request, str(error))
    return redirect("validation:photo_page", pk)


@require_POST
@permission_required("trainer.add_photoset", raise_exception=True)
def train_on_corrections(request: Request) -> HttpResponse:
    """A photo set of all corrected photos."""
    name = request.POST.get("name", "").strip()[:100]
    try:
        photo_set, missing = corrections.make_photo_set(name=name or _("Corrected photos"), by=request.user)
    except (NameTaken, ValueError) as error:
        messages.warning(request, str(error))
        return redirect("validation:campaigns")
    if missing:
        names = name_some([str(one) for one in missing], most=5)
        messages.warning(request, _("Left out, because their files are gone: %(names)s.") % {"names": names})
    return redirect(photo_set)
