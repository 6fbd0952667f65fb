"""Models as files: download and import."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from people.request import Request
from trainer.models import TrainedModel
from trainer.registry import packages


@require_safe
@permission_required("trainer.view_trainedmodel", raise_exception=True)
def download(request: Request, pk: int) -> HttpResponseBase:
    model = get_object_or_404(TrainedModel, pk=pk)
    if not model.is_ready:
        raise Http404(_("The model is not exported yet."))
    try:
        pieces = packages.stream_package(model)
    except FileNotFoundError as error:
        raise Http404(_("The model's file is missing.")) from error
    name = packages.package_name(model)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.add_trainedmodel", raise_exception=True)
def import_model(request: Request) -> HttpResponse:
    context: dict[str, Any] = {"limit": settings.MAX_MODEL_BYTES}
    if request.method != "POST":
        return render(request, "trainer/model_import.html", context)
    upload = request.FILES.get("package")
    try:
        if upload is None:
            raise packages.BadPackage(_("Choose a file first."))
        if (upload.size or 0) > settings.MAX_MODEL_BYTES:
            limit = filesizeformat(settings.MAX_MODEL_BYTES)
            raise packages.BadPackage(
                _("The file is %(size)s; the limit is %(limit)s (MAX_MODEL_MB).")
                % {"size": filesizeformat(upload.size or 0), "limit": limit}
            )
        before = TrainedModel.objects.count()
        model = packages.import_model(file=upload.file, file_name=upload.name or "", by=request.user)  # type: ignore[arg-type]
    except packages.BadPackage as error:
        return render(request, "trainer/model_import.html", context | {"error": str(error)}, status=422)
    if TrainedModel.objects.count() > before:
        messages.success(
            request,
            _("“%(name)s” was imported and checked on a synthetic photo. It is not active yet.")
            % {"name": model},
        )
    else:
        messages.info(request, _("This model is already here: “%(name)s”.") % {"name": model})
    return redirect(model)
