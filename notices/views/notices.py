"""The list of notices, how many are new, marking them as read, and which come by e-mail."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from formats.numbers import read_number
from notices import mail, reading
from notices.forms import MailForm
from people.models import Letter
from people.request import Request, read_form
from people.signin import addresses


@never_cache
@require_safe
@permission_required("notices.view_notice", raise_exception=True)
def notices(request: Request) -> HttpResponse:
    page = Paginator(reading.visible_to(request.user), 50).get_page(request.GET.get("page"))
    unread = set(reading.unread_by(request.user).filter(pk__in=[one.pk for one in page]).values_list("pk"))
    context = {
        "page": page,
        "unread": {pk for (pk,) in unread},
        "newest": page.object_list[0].pk if page else 0,
    }
    return render(request, "notices/notices.html", context)


@never_cache
@require_safe
@permission_required("notices.view_notice", raise_exception=True)
def count(request: Request) -> HttpResponse:
    """A fragment for the head of every page."""
    unread = reading.count_unread(request.user)
    return render(request, "notices/_count.html", {"unread": unread, "most": reading.MOST})


@require_POST
@permission_required("notices.view_notice", raise_exception=True)
def mark_read(request: Request) -> HttpResponse:
    """`last` is the newest notice that the page showed. Without one nothing changes."""
    reading.mark_read(user=request.user, last_notice=read_number(request.POST.get("last")) or 0)
    return redirect("notices:notices")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("notices.view_notice", raise_exception=True)
def by_mail(request: Request) -> HttpResponse:
    """Which events the person is told of. What their role hides is not offered, and not taken."""
    user = request.user
    offered, address = mail.events_for(user), addresses.address_of(user)
    initial = {"events": mail.chosen_by(user)}
    form = MailForm(read_form(request)[0], offered=offered, initial=initial)
    if form.is_valid():
        mail.choose(user=user, events=form.cleaned_data["events"])
        messages.success(request, _("Saved."))
        return redirect("notices:mail")
    context = {
        "form": form,
        "address": address,
        "can_mail": addresses.can_send(),
        "failed": Letter.objects.filter(user=user, state=Letter.State.FAILED).first(),
    }
    return render(request, "notices/mail.html", context, status=422 if form.is_bound else 200)
