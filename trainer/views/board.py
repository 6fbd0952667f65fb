"""TensorBoard of a run, behind the site's own sign-in: TensorBoard itself listens on this machine only."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse

from csp.decorators import csp_exempt
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse as Response
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from people.request import Request
from trainer.models import TrainingRun
from trainer.runs import boards

FORWARDED_HEADERS = (
    *("Content-Type", "Content-Encoding", "Cache-Control"),
    *("Content-Security-Policy", "Location"),
)


@require_POST
@permission_required("trainer.view_trainingrun", raise_exception=True)
def open_board(request: Request, pk: int) -> Response:
    run = get_object_or_404(TrainingRun, pk=pk)
    try:
        boards.open_board(run)
    except boards.BoardError as error:
        messages.error(request, str(error))
        return redirect(run)
    return redirect("trainer:board", pk)


# TensorBoard requests its data by POST without our token. It only reads, and the sign-in is checked here.
@csrf_exempt
@csp_exempt()  # type: ignore[arg-type]  # TensorBoard's own policy is sent: it needs scripts, our pages do not
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.view_trainingrun", raise_exception=True)
def board(request: Request, pk: int, path: str) -> HttpResponseBase:
    run = get_object_or_404(TrainingRun, pk=pk)
    port = boards.port_of(run)
    if port is None:
        messages.info(request, _("TensorBoard ended after a quarter of an hour without use: open it again."))
        return redirect(run)
    boards.touch(run)
    try:
        answer = boards.ask(
            port,
            request.method or "GET",
            request.get_full_path(),
            request.body,
            request.META.get("CONTENT_TYPE", ""),  # with its boundary
        )
    except (OSError, HTTPException):
        return Response(_("TensorBoard does not answer."), status=502, content_type="text/plain")
    response = StreamingHttpResponse(_chunks(answer), status=answer.status)
    for name in FORWARDED_HEADERS:
        if value := answer.headers.get(name):
            response[name] = value
    return response


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    with answer:
        while chunk := answer.read(1 << 16):
            yield chunk
