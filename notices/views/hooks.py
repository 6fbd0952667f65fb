"""Hooks: list, make, what was delivered, try, switch off and on, delete."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from notices import hooks as acts
from notices import signatures
from notices.courier import MOST_FAILURES, PAUSES
from notices.events import EVENTS, name_of
from notices.forms import HookForm
from notices.models import Hook
from people.request import Request, read_form


@require_safe
@permission_required("notices.change_hook", raise_exception=True)
def hooks(request: Request) -> HttpResponse:
    page = Paginator(Hook.objects.all(), 50).get_page(request.GET.get("page"))
    return render(request, "notices/hooks.html", {"page": page})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("notices.change_hook", raise_exception=True)
def new(request: Request) -> HttpResponse:
    """The secret is in the answer to the form and nowhere else."""
    form = HookForm(read_form(request)[0])
    if form.is_valid():
        try:
            hook, secret = acts.make(by=request.user, **form.cleaned_data)
        except acts.MadeAlready as error:
            messages.info(request, _("This hook was made already. Its secret was shown then."))
            return redirect("notices:hook", error.hook.pk)
        except acts.NotMade as error:
            form.add_error(None, str(error))
        else:
            context = {"hook": hook, "secret": secret, "header": signatures.HEADER}
            return render(request, "notices/hook_made.html", context)
    return render(request, "notices/hook_new.html", {"form": form}, status=422 if form.is_bound else 200)


@require_safe
@permission_required("notices.change_hook", raise_exception=True)
def hook(request: Request, pk: int) -> HttpResponse:
    hook = get_object_or_404(Hook.objects.select_related("created_by"), pk=pk)
    page = Paginator(hook.deliveries.select_related("notice"), 50).get_page(request.GET.get("page"))
    events = [(code, name_of(code), _(one.words)) for code, one in EVENTS.items() if code in hook.events]
    context = {"hook": hook, "page": page, "events": events}
    return render(
        request, "notices/hook.html", context | {"most": MOST_FAILURES, "attempts": len(PAUSES) + 1}
    )


@require_POST
@permission_required("notices.change_hook", raise_exception=True)
def switch(request: Request, pk: int, is_enabled: bool) -> HttpResponse:
    hook = get_object_or_404(Hook, pk=pk)
    if acts.set_enabled(hook=hook, is_enabled=is_enabled, by=request.user):
        words = _("“%(hook)s” is on.") if is_enabled else _("“%(hook)s” is off.")
        messages.success(request, words % {"hook": hook})
    else:
        words = _("“%(hook)s” was on already.") if is_enabled else _("“%(hook)s” was off already.")
        messages.info(request, words % {"hook": hook})
    return redirect("notices:hook", pk)


@require_POST
@permission_required("notices.change_hook", raise_exception=True)
def test(request: Request, pk: int) -> HttpResponse:
    hook = get_object_or_404(Hook, pk=pk)
    if acts.send_test(hook=hook):
        messages.success(
            request, _("A test is on its way. Reload this page in a few seconds to see its status.")
        )
    else:
        messages.info(request, _("Nothing was sent: the hook is off, or a test is on its way already."))
    return redirect("notices:hook", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("notices.change_hook", raise_exception=True)
def delete(request: Request, pk: int) -> HttpResponse:
    """Asks first: the list of its deliveries goes, too."""
    hook = get_object_or_404(Hook, pk=pk)
    if request.method != "POST":
        return render(request, "notices/hook_delete.html", {"hook": hook})
    acts.delete(hook=hook, by=request.user)
    messages.success(request, _("“%(hook)s” is deleted.") % {"hook": hook})
    return redirect("notices:hooks")
