"""Forms of the pages about tokens and people."""

from __future__ import annotations

from datetime import datetime, time
from functools import cache
from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordChangeForm, UserCreationForm
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from people.accounts import DAYS, ROLES, people, role_names
from people.models import Deed, Profile, Team
from people.scopes import SCOPES
from people.tokens import RATE, programs
from people.words import WORDS

NEW = "new"
LAST_YEAR = 9000  # a time zone may add a day, and years end at 9999
SERVER = " "  # no account has this name


class TokenForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What it is for: “Upload page”, “Nightly export”."),
    )
    account = forms.ChoiceField()
    new_account = forms.CharField(label=gettext_lazy("New account"), max_length=150, required=False)
    scopes = forms.MultipleChoiceField(
        choices=[(name, gettext_lazy(words)) for name, words in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    rate = forms.CharField(max_length=20, required=False)
    ends = forms.DateField(required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    request_id = forms.UUIDField()

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"request_id": uuid4(), "scopes": ["suggest", "check", "feedback"]})
        super().__init__(*args, **kwargs)
        self.owners = {str(user.pk): user for user in (*programs(), by)}
        choices = [(pk, str(user)) for pk, user in self.owners.items()]
        choices[-1] = (str(by.pk), _("%(name)s (you)") % {"name": by})
        self.fields["account"].choices = [(NEW, _("a new program’s account")), *choices]  # type: ignore[attr-defined]

    def clean_rate(self) -> str:
        rate: str = self.cleaned_data["rate"].replace(" ", "")
        if rate and not RATE.fullmatch(rate):
            raise forms.ValidationError(
                _("Write a rate as 120/minute; second, hour and day can be used, too.")
            )
        return rate

    def clean_ends(self) -> datetime | None:
        """The end of that day."""
        day = self.cleaned_data["ends"]
        if day is None:
            return None
        if day.year > LAST_YEAR:
            raise forms.ValidationError(_("Choose an earlier day, or none."))
        end = timezone.make_aware(datetime.combine(day, time.max))
        if end <= timezone.now():
            raise forms.ValidationError(_("This day is over."))
        return end

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("account") == NEW and not data.get("new_account"):
            self.add_error("new_account", _("Give the new account a name."))
        return data

    @property
    def owner(self) -> User | None:
        """The chosen account; None for a new one."""
        return self.owners.get(self.cleaned_data["account"])


# --- people -----------------------------------------------------------------------------------


class RolesField(forms.MultipleChoiceField):
    widget = forms.CheckboxSelectMultiple

    def __init__(self) -> None:
        choices = lambda: [(name, _(ROLES[name]) if name in ROLES else "") for name in role_names()]  # noqa: E731
        super().__init__(choices=choices, required=False)


class TeamsField(forms.MultipleChoiceField):
    """Its value is a list of teams."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self) -> None:
        choices = lambda: [(str(team.pk), team.name) for team in Team.objects.all()]  # noqa: E731
        super().__init__(choices=choices, required=False)

    def clean(self, value: Any) -> list[Team]:
        return list(Team.objects.filter(pk__in=super().clean(value)))


class InvitationForm(forms.Form):
    note = forms.CharField(max_length=100, required=False)
    roles = RolesField()
    teams = TeamsField()
    days = forms.IntegerField(min_value=1, max_value=30, initial=DAYS)
    request_id = forms.UUIDField(initial=uuid4)


class RolesForm(forms.Form):
    roles = RolesField()
    was = forms.CharField(required=False, max_length=1000)  # the roles that the page showed

    def clean_was(self) -> list[str]:
        return [name for name in self.cleaned_data["was"].split(",") if name]


class TeamForm(RolesForm):
    name = forms.CharField(max_length=100)


class MemberForm(forms.Form):
    person = forms.ModelChoiceField(people(), empty_label=gettext_lazy("Choose a person"))

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        """Those who are in the team already are not offered, but a repeated click on one is no mistake."""
        super().__init__(*args, **kwargs)
        field = self.fields["person"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = people()
        if not self.is_bound:
            field.queryset = people().exclude(pk__in=team.members.values("pk"))


class JoinForm(UserCreationForm[User]):
    """The account of a new person. The user name must differ from others in more than case."""

    class Meta:
        model = User
        fields = ("username", "first_name")


class ProfileForm(forms.ModelForm[Profile]):
    first_name = forms.CharField(max_length=150, required=False)
    language = forms.ChoiceField(required=False)
    time_zone = forms.ChoiceField(required=False)

    class Meta:
        model = Profile
        fields = ("language", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", _("as the browser asks for")), *settings.LANGUAGES]  # type: ignore[attr-defined]
        self.fields["time_zone"].choices = time_zones(_("the site’s"))  # type: ignore[attr-defined]


def time_zones(otherwise: str) -> list[tuple[str, str]]:
    return [("", otherwise), *_time_zones()]


@cache
def _time_zones() -> list[tuple[str, str]]:
    """Once: Python opens each of the 600 files to see whether it is one."""
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones())]


class PasswordForm(PasswordChangeForm):
    """Asks for the old password at the door that counts wrong ones."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=password) is None:
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return password


# --- history ----------------------------------------------------------------------------------


class HistoryFilter(forms.Form):
    by = forms.ChoiceField(required=False)
    what = forms.ChoiceField(
        required=False, choices=[("", gettext_lazy("everything")), *((w, gettext_lazy(w)) for w in WORDS)]
    )
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = (
            Deed.objects.exclude(by_name="").order_by("by_name").values_list("by_name", flat=True).distinct()
        )
        choices = [("", _("everybody")), (SERVER, _("the server")), *((name, name) for name in names)]
        self.fields["by"].choices = choices  # type: ignore[attr-defined]

    def deeds(self) -> QuerySet[Deed]:
        """The newest first; none if a field is wrong."""
        if not self.is_valid():
            return Deed.objects.none()
        data, rows = self.cleaned_data, Deed.objects.all()
        if data["by"]:
            rows = rows.filter(by_name="" if data["by"] == SERVER else data["by"])
        if data["what"]:
            rows = rows.filter(what=data["what"])
        if data["since"]:
            rows = rows.filter(at__date__gte=data["since"])
        if data["until"]:
            rows = rows.filter(at__date__lte=data["until"])
        return rows
