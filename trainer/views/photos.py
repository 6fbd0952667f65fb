"""Photo sets, and the photos themselves."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Min
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_http_methods, require_safe

from formats.files import is_inside
from formats.storage import require_content
from mapping.models import Release
from people.request import Request, read_form
from trainer.engine.opening import UnreadablePhotoError, open_within
from trainer.forms import PhotoSetForm
from trainer.models import PhotoSet, ScenePhoto
from trainer.photosets.registration import (
    NameTaken,
    photos_per_label,
    register_folder,
    register_upload,
)
from trainer.runs import study
from trainer.server_folders import browser_roots
from trainer.set_files import bring_photo

SMALL = (360, 270)  # pixels: a gallery's pictures on a dense screen
REPEATED_CLICK = timedelta(minutes=1)


@require_safe
@permission_required("trainer.view_photoset", raise_exception=True)
def photo_sets(request: Request) -> HttpResponse:
    rows = PhotoSet.objects.select_related("job", "created_by")
    page = Paginator(rows, 25).get_page(request.GET.get("page"))
    context = {"page": page, "live": any(row.job and row.job.is_live for row in page)}
    template = "trainer/_photo_sets.html" if request.htmx else "trainer/photo_sets.html"
    return render(request, template, context)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.add_photoset", raise_exception=True)
def new_photo_set(request: Request) -> HttpResponse:
    form = PhotoSetForm(*read_form(request))
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(_register(request, form.cleaned_data))
        except NameTaken as error:
            form.add_error("name", str(error))
    context = {"form": form, "roots": browser_roots(), "max_bytes": settings.MAX_ARCHIVE_BYTES}
    status = 422 if form.errors else 200
    return render(request, "trainer/new_photo_set.html", context, status=status)


def _register(request: Request, data: dict[str, Any]) -> PhotoSet:
    by = request.user
    folder = data["folder"]
    try:
        if folder:
            return register_folder(name=data["name"], folder=folder, by=by)
        return register_upload(name=data["name"], upload=data["tar"], by=by)
    except NameTaken:
        first_click = PhotoSet.objects.filter(
            name=data["name"], created_by_id=by.pk, created_at__gte=timezone.now() - REPEATED_CLICK
        ).first()
        if first_click and (first_click.source == str(folder) or data["tar"]):
            return first_click  # the second of two clicks leads to the same page
        raise


@require_safe
@permission_required("trainer.view_photoset", raise_exception=True)
def photo_set(request: Request, pk: int) -> HttpResponse:
    photo_set = get_object_or_404(PhotoSet.objects.select_related("job", "created_by"), pk=pk)
    release = Release.objects.first()
    labels = dict(release.labels.values_list("scene_key", "label")) if release else {}
    per_label, left_out = photos_per_label(photo_set, labels)
    context = {
        "photo_set": photo_set,
        "release": release,
        "bars": study.bars(per_label),
        "total": per_label.total() + left_out.total(),
        "left_out": left_out.total(),
        "left_out_classes": sorted(left_out),
        "examples": _examples(photo_set),
        "runs": photo_set.runs.select_related("job")[:10],
    }
    return render(request, "trainer/photo_set.html", context)


def _examples(photo_set: PhotoSet, count: int = 12) -> list[ScenePhoto]:
    """The first photo of each of `count` classes and label folders, spread evenly over the set."""
    photos = photo_set.photos.order_by("scene_class__key", "label_folder")
    by_class = photos.values("scene_class__key", "label_folder")
    first = list(by_class.annotate(first=Min("pk")).values_list("first", flat=True))
    step = max(1, len(first) / count)
    keys = [first[int(i * step)] for i in range(min(count, len(first)))]
    photos = ScenePhoto.objects.filter(pk__in=keys).select_related("scene_class", "photo_set")
    return list(photos.order_by("scene_class__key", "label_folder"))


def _etag(request: Request, pk: int, **kwargs: Any) -> str | None:
    """None if the file is gone: a browser with a copy must not be told that it is unchanged."""
    scene_photo = ScenePhoto.objects.filter(pk=pk).select_related("photo_set").first()
    return f'"{scene_photo.sha256[:32]}"' if scene_photo and scene_photo.file.is_file() else None


@require_safe
@permission_required("trainer.view_photoset", raise_exception=True)
@condition(etag_func=_etag)
def photo(request: Request, pk: int, small: bool = False) -> HttpResponseBase:
    """A photo as it is, or a small copy for a gallery. Its content never changes, so browsers keep it."""
    scene_photo = get_object_or_404(ScenePhoto.objects.select_related("photo_set"), pk=pk)
    if not scene_photo.file.is_file():
        bring_photo(scene_photo.photo_set, scene_photo.path)
    if not scene_photo.file.is_file():
        require_content(scene_photo.photo_set.folder)
    if not scene_photo.file.is_file() or not is_inside(scene_photo.file, scene_photo.photo_set.folder):
        raise Http404(_("The file is gone from its folder."))
    response: HttpResponseBase
    if small:
        response = HttpResponse(_reduce(scene_photo), content_type="image/jpeg")
    else:
        response = FileResponse(scene_photo.file.open("rb"))
    patch_cache_control(response, private=True, max_age=86400)
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _reduce(scene_photo: ScenePhoto) -> bytes:
    try:
        small = open_within(scene_photo.file, SMALL)
    except UnreadablePhotoError as error:
        raise Http404(_("The photo cannot be opened: %(reason)s.") % {"reason": error}) from error
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()
