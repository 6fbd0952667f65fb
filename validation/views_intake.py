"""Photos that come in together, what became of each file, and one photo's own page, where it is withdrawn."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from validation import intake as services
from validation.forms import IntakeForm
from validation.models import Intake, IntakeFile, Photo
from validation.photos import withdraw_everywhere

PAGE = 100  # files
State = IntakeFile.State


class SignedIn(HttpRequest):
    user: User


@require_GET
@permission_required("validation.add_campaign", raise_exception=True)
def intakes(request: SignedIn) -> HttpResponse:
    rows = Intake.objects.select_related("job", "campaign", "created_by").annotate(count=Count("files"))
    page = Paginator(rows.order_by("-pk"), 25).get_page(request.GET.get("page"))
    return render(request, "validation/intakes.html", {"page": page})


@require_http_methods(["GET", "POST"])
@permission_required("validation.add_campaign", raise_exception=True)
def new(request: SignedIn) -> HttpResponse:
    form = IntakeForm(request.POST or None, request.FILES or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        terms = {field: data.pop(field) for field in services.TERMS}
        return redirect(services.start(by=request.user, **data, **terms))
    return render(request, "validation/new_intake.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@permission_required("validation.add_campaign", raise_exception=True)
def intake(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Intake.objects.select_related("job", "campaign", "created_by"), pk=pk)
    counts = dict(shown.files.order_by().values_list("state").annotate(n=Count("pk")))
    only = request.GET.get("show", State.REFUSED)
    files = shown.files.select_related("photo", "photo__near_duplicate_of").order_by("pk")
    if only in State.values:
        files = files.filter(state=only)
    context = {
        "intake": shown,
        "states": [(state.value, state.label, counts.get(state.value, 0)) for state in State],
        "total": sum(counts.values()),
        "page": Paginator(files, PAGE).get_page(request.GET.get("page")),
        "only": only,
        "query": f"show={only}",
    }
    return render(request, "validation/intake.html", context)


@require_GET
@permission_required("validation.change_campaign", raise_exception=True)
def photo(request: SignedIn, pk: int) -> HttpResponse:
    """Everything about one photo: its terms, where it is asked about, what came of it."""
    shown = get_object_or_404(Photo.objects.select_related("near_duplicate_of", "withdrawn_by"), pk=pk)
    questions = shown.questions.select_related("campaign", "hashtag").order_by("pk")
    context = {
        "photo": shown,
        "questions": questions,
        "author_hashtags": shown.author_hashtags.all(),
        "near": shown.near_duplicates.filter(withdrawn_at=None)[:12],
        "votes": shown.votes.count(),
    }
    return render(request, "validation/photo.html", context)


@require_POST
@permission_required("validation.change_campaign", raise_exception=True)
def withdraw(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Photo, pk=pk)
    why = request.POST.get("why", "")
    if withdraw_everywhere(photo=shown, by=request.user, why=why):
        messages.success(request, f"{shown} is withdrawn everywhere, and its pixels are deleted.")
    else:
        messages.success(request, f"{shown} was withdrawn already.")
    return redirect("validation:photo_page", pk)
