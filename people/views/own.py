"""One's own account: joining, the profile, the password."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from people import accounts, profiles
from people.forms import JoinForm, PasswordForm, ProfileForm
from people.installation import current
from people.request import Request, read_form
from people.reset_links import ResetTokens

BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Opening the link changes nothing, since robots open links to preview them."""
    invitation = accounts.invitation_of(token)
    if invitation is None:
        return render(request, "people/join.html", {"gone": True}, status=404)
    if request.user.is_authenticated:
        return render(request, "people/join.html", {"member": True}, status=403)
    form = JoinForm(read_form(request)[0])
    if form.is_valid():
        try:
            user = accounts.accept(
                invitation=invitation, user=form.save(commit=False), language=current().language
            )
        except accounts.Refused:
            return render(request, "people/join.html", {"gone": True}, status=404)
        login(request, user, backend=BACKEND)
        response = redirect("home")
        profiles.apply(profiles.profile_of(user), request, response)
        return response
    context = {"form": form, "roles": [_(role) for role in accounts.roles_by(invitation)]}
    return render(request, "people/join.html", context, status=422 if form.is_bound else 200)


@method_decorator(login_not_required, name="dispatch")
@method_decorator(never_cache, name="dispatch")
@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")  # Django's looks at none
class NewPassword(auth_views.PasswordResetConfirmView):
    """Behind an administrator's link. Django keeps its token in the session, out of addresses that leak, and
    checks it again when the form is sent.
    """

    token_generator = ResetTokens()

    template_name = "people/new_password.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("Your new password is set. Sign in with it."))
        return super().form_valid(form)


# --- the profile ------------------------------------------------------------------------------


def _refuse_guests(request: Request) -> None:
    """Raises PermissionDenied for who is no person: guests of campaigns, programs."""
    if not accounts.people().filter(pk=request.user.pk).exists():
        raise PermissionDenied


@require_http_methods(["GET", "HEAD", "POST"])
def me(request: Request) -> HttpResponse:
    _refuse_guests(request)
    user, profile = request.user, profiles.profile_of(request.user)
    form = ProfileForm(read_form(request)[0], instance=profile, initial={"first_name": user.first_name})
    if form.is_valid():
        form.save()
        user.first_name = form.cleaned_data["first_name"]
        user.save(update_fields=["first_name"])
        messages.success(request, _("Saved."))
        response = redirect("people:me")
        profiles.apply(profile, request, response)
        return response
    context = {
        "form": form,
        "roles": [_(role) for role in sorted({*accounts.roles_of(user), *accounts.roles_by_team(user)})],
    }
    return render(request, "people/me.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: Request) -> HttpResponse:
    """Other sessions of the person end."""
    _refuse_guests(request)
    form = PasswordForm(request.user, read_form(request)[0], request=request)
    if form.is_valid():
        form.save()
        update_session_auth_hash(request, form.user)
        messages.success(request, _("Your password is changed. You are signed out everywhere else."))
        return redirect("people:me")
    return render(request, "people/password.html", {"form": form}, status=422 if form.is_bound else 200)
