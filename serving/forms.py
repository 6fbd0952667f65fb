"""The form that checks hashtags, the filters of the pages In use and Checked posts, and the form that starts
a trial.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from serving.models import CheckedPost, Trial
from serving.models.posts import LONGEST_NAME
from serving.posts import by_score, with_hashtag
from serving.said import Wanted, with_said
from serving.spelling import LONGEST, BadHashtags, read_hashtags
from trainer.forms import SuggestForm
from trainer.models import TrainedModel

PERIODS = [(7, _("7 days")), (30, _("30 days")), (90, _("90 days")), (365, _("a year"))]
DEFAULT = 30
READY = TrainedModel.objects.exclude(manifest={}).defer("card")


class CheckForm(SuggestForm):
    """A photo and the hashtags of its author."""

    hashtags = forms.CharField(error_messages={"required": _("Write at least one hashtag.")})

    def clean_hashtags(self) -> list[str]:
        try:
            return read_hashtags([self.cleaned_data["hashtags"]])
        except BadHashtags as error:
            raise forms.ValidationError(str(error)) from error


class PeriodForm(forms.Form):
    """Unknown values mean no filter."""

    days = forms.TypedChoiceField(
        choices=PERIODS, coerce=int, required=False, label=pgettext_lazy("a period", "The last")
    )
    model = forms.ModelChoiceField(
        TrainedModel.objects.defer("card"), required=False, empty_label=_("All models"), label=_("Model")
    )

    def read(self) -> tuple[int, TrainedModel | None]:
        self.is_valid()
        return self.cleaned_data.get("days") or DEFAULT, self.cleaned_data.get("model")


class PostsFilter(forms.Form):
    author = forms.CharField(required=False, max_length=LONGEST_NAME)
    account = forms.ModelChoiceField(User.objects.none(), required=False, empty_label=_("all networks"))
    hashtag = forms.CharField(required=False, max_length=LONGEST)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    looked = forms.ChoiceField(
        required=False,
        choices=[("", pgettext_lazy("posts", "all")), ("no", _("not looked at")), ("yes", _("looked at"))],
    )

    people = forms.ChoiceField(required=False, choices=[("", pgettext_lazy("posts", "all")), *Wanted.choices])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        networks = User.objects.filter(pk__in=CheckedPost.objects.order_by().values("account"))
        self.fields["account"].queryset = networks.order_by("username")  # type: ignore[attr-defined]

    def posts(self) -> QuerySet[CheckedPost]:
        """By score, the worst first; none if a field is wrong."""
        if not self.is_valid():
            return CheckedPost.objects.none()
        data = self.cleaned_data
        given = {
            "author": data["author"],
            "account": data["account"],
            "checked_at__date__gte": data["since"],
            "checked_at__date__lte": data["until"],
        }
        rows = by_score().filter(**{name: value for name, value in given.items() if value})
        if data["hashtag"]:
            rows = rows.filter(pk__in=with_hashtag(data["hashtag"]))
        if data["people"]:
            rows = with_said(rows, data["people"])
        return rows.filter(looked_at__isnull=data["looked"] == "no") if data["looked"] else rows

    @property
    def one_author(self) -> dict[str, Any] | None:
        """The author that was asked for, if it can be only one: a name belongs to its network."""
        data = self.cleaned_data if self.is_valid() else {}
        if not data.get("author") or not data["account"]:
            return None
        return {"account": data["account"].pk, "author": data["author"]}


class DeleteAuthorForm(forms.Form):
    """`count`: the number of posts that the person saw."""

    account = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    author = forms.CharField(max_length=LONGEST_NAME)
    count = forms.IntegerField(min_value=0)


class TrialForm(forms.Form):
    kind = forms.ChoiceField(choices=Trial.Kind.choices, label=_("The other model"))
    challenger = forms.ModelChoiceField(
        TrainedModel.objects.exclude(manifest={}).defer("card"), label=_("Model")
    )
    share = forms.IntegerField(
        min_value=1, max_value=100, initial=10, label=_("Share of the photos, in per cent")
    )
    champion = forms.IntegerField(min_value=1, required=False, widget=forms.HiddenInput)

    def choice(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {**data, "share": data["share"] / 100}
