"""The page that checks the hashtags of a photo."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from people.request import Request, read_form
from serving import checking
from serving.forms import CheckForm
from trainer.engine.errors import ModelError, NoChecksError
from trainer.engine.opening import UnreadablePhotoError
from trainer.previews import data_url
from trainer.registry.serving import UNREADABLE, NoActiveModel, active_model

log = logging.getLogger(__name__)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.suggest", raise_exception=True)
def check(request: Request) -> HttpResponse:
    """Check hashtags with the active model. The page shows the verdicts; neither is kept."""
    active = active_model()
    form = CheckForm(*read_form(request))
    context: dict[str, Any] = {"form": form, "active": active}
    if request.method == "POST":
        if active is None:
            form.add_error(None, _("No model is active, so nothing can be checked yet."))
        elif form.is_valid():
            context |= _check(form)
    is_wrong = request.method == "POST" and "post" not in context
    template = "serving/_verdicts.html" if request.htmx else "serving/check.html"
    # htmx swaps in only successful responses.
    return render(request, template, context, status=422 if is_wrong and not request.htmx else 200)


def _check(form: CheckForm) -> dict[str, Any]:
    """The verdicts and the photo; nothing if there are none, which the form then says."""
    upload = form.cleaned_data["photo"]
    content = upload.read()
    try:
        post = next(iter(checking.check([(content, form.cleaned_data["hashtags"])])))
        picture = "" if post.problem else data_url(content)
    except NoChecksError:
        form.add_error(
            None, _("The active model cannot check hashtags: export its run again, and promote that.")
        )
        return {}
    except (NoActiveModel, ModelError) as error:
        log.error("The active model cannot be used: %s", error)
        form.add_error(
            None, _("The active model's files are missing or damaged: a trainer admin can say more.")
        )
        return {}
    except UnreadablePhotoError as error:  # it may take more memory than for the network
        form.add_error("photo", _unreadable(upload.name, error))
        return {}
    if post.problem:
        reason = post.problem.removeprefix(UNREADABLE)
        form.add_error("photo", _unreadable(upload.name, reason))
        return {}
    return {"post": post, "picture": picture}


def _unreadable(name: str, reason: object) -> str:
    return _("“%(name)s” cannot be read as a photo: %(reason)s.") % {"name": name, "reason": reason}
