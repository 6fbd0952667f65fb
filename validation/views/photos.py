"""The image files: for people with the permission, and for guests those of their campaign."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from formats.numbers import LARGEST
from validation.models import Guest, Photo, Question
from validation.stored import link_to, open_stored
from validation.views.vote import may_vote

DAY = 86_400  # seconds for which a browser may cache a photo, even if it is withdrawn in the meantime


@require_safe
def photo(request: HttpRequest, pk: int) -> HttpResponseBase:
    if pk > LARGEST:
        raise Http404(_("There is no such photo."))
    if not _may_see(request.user, pk):
        raise PermissionDenied
    photo = get_object_or_404(Photo.objects.shown(), pk=pk)
    file = photo.small if photo.small and request.GET.get("size") == "small" else photo.file
    response, seconds = _answer(file)
    patch_cache_control(response, private=True, max_age=seconds)
    return response


def _answer(file: FieldFile) -> tuple[HttpResponseBase, int]:
    """The photo or the way to it, and the seconds for which a browser may remember that."""
    if link := link_to(file):
        return redirect(link), settings.STORAGE_LINK_SECONDS // 2  # a remembered link still works
    try:
        return FileResponse(open_stored(str(file.name)), content_type="image/jpeg"), DAY
    except FileNotFoundError as error:
        raise Http404(_("The photo's file is gone from the storage.")) from error


def _may_see(user: Any, photo_id: int) -> bool:
    if user.has_perm("validation.view_photo"):
        return True
    guest = Guest.objects.filter(user_id=user.pk).select_related("campaign").first()
    if guest is None or not guest.campaign.takes_votes or not may_vote(user, guest.campaign):
        return False
    return Question.objects.of_campaign(guest.campaign).filter(photo_id=photo_id).exists()
