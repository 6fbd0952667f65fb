"""The forms of a campaign and of its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from mapping.models import Hashtag
from trainer.models import TrainedModel
from trainer.registry import serving
from validation.campaigns.rules import RULES
from validation.forms.fields import DroppedField, RowsField
from validation.forms.intake import ManyFilesField
from validation.models import Campaign
from validation.models.photos import PhotoQuerySet
from validation.people.crowd import LEAST_RIGHT
from validation.photos.intake_table import TableError, Terms, read_table
from validation.photos.store import WORDS
from validation.photos.uploads import kind_of
from validation.templatetags.agreement_words import percent

if TYPE_CHECKING:
    _CampaignModelForm = forms.ModelForm[Campaign]
else:  # Django's own class takes no type argument
    _CampaignModelForm = forms.ModelForm


# Rules whose figures the page shows.
COSTING = {"votes_per_photo", "extra_votes", "min_confidence"} | {
    f"{kind}_share" for kind in ("gold", "control", "silence", "would_post")
}
AT_ONCE = 100  # files that are taken in while the page waits; more need an intake


class PercentField(forms.FloatField):
    """A share that people enter as a percentage: 8 means 0.08. Blank: unchanged."""

    widget = forms.NumberInput(attrs={"min": 0, "max": 100, "step": "any"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=100, required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{100 * value:.4g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else float(percent) / 100


class RulesForm(_CampaignModelForm):
    """The rules that may change while a campaign runs."""

    min_confidence = PercentField(
        label=_("Least confidence, %"),
        help_text=_("People are not asked about suggestions of a lower confidence. 0: about all."),
    )
    audit_share = PercentField(
        label=_("Drawn at random, %"),
        help_text=_("The rest is drawn where an answer teaches most: rare hashtags and unsure photos."),
    )
    gold_share = PercentField(
        label=_("Known answers, %"),
        help_text=format_lazy(
            _(
                "Mixed in unmarked. A person who gets fewer than {share} of them right is paused. Costs this "
                "share of each person's answers."
            ),
            share=percent(LEAST_RIGHT),
        ),
    )
    control_share = PercentField(
        label=_("Wrong hashtags on purpose, %"),
        help_text=_(
            "They show how readily people say yes, so that the result can be corrected for it. 5 % "
            "add 5 questions to 100 suggestions, each with as many votes as a photo gets."
        ),
    )
    silence_share = PercentField(
        label=_("Silent suggestions, %"),
        help_text=_(
            "Hashtags that the model ranked first but did not suggest. They show whether it is right "
            "to stay silent. 5 % add 5 questions to 100 suggestions."
        ),
    )
    would_post_share = PercentField(
        label=_("Asked whether they would post it, %"),
        help_text=_(
            "Share of votes after which people are asked whether they would post the hashtag: a second "
            "tap, no vote."
        ),
    )

    class Meta:
        model = Campaign
        fields = ["name", *RULES]
        field_classes = {"hashtags": RowsField, "rivals": RowsField}
        labels = {
            "extra_votes": _("More votes where people disagree"),
            "hashtags": _("Hashtags asked about"),
            "only_unseen": _("Only photos new to the voter"),
            "rivals": _("Rival models"),
            "audience": _("Who may vote"),
            "closes_at": _("Closes"),
            "name": _("Name"),
            "model": _("Model"),
            "votes_per_photo": _("Votes per photo"),
            "language": _("Language"),
        }
        error_messages = {"name": {"unique": _("Campaign with this Name already exists.")}}
        help_texts = {
            "votes_per_photo": _(
                "How many people answer about each photo. More photos tell you more than more votes do."
            ),
            "extra_votes": _(
                "Requested one at a time on a tie or a margin of one, up to this number: they cost little."
            ),
            "hashtags": _("If none is chosen, people are asked about all."),
            "only_unseen": _(
                "Nobody is asked about a photo that they saw in another campaign. When unticked, "
                "they may be asked about another hashtag of it, which suits a small crowd."
            ),
            "rivals": _("Scored on the votes already given. Nobody is asked about their suggestions."),
            "language": _("Blank: the voter's own."),
        }
        widgets = {
            "hashtags": forms.CheckboxSelectMultiple,
            "rivals": forms.CheckboxSelectMultiple,
            "audience": forms.RadioSelect,
            "language": forms.Select,
            "closes_at": forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        for name, least, most in (("votes_per_photo", 1, 100), ("extra_votes", 0, 20)):
            number = self.fields[name]
            assert isinstance(number, forms.IntegerField)
            number.widget.attrs.update(min=least, max=most)
            number.validators += [MinValueValidator(least), MaxValueValidator(most)]
        self.fields["extra_votes"].required = False
        zone = settings.TIME_ZONE
        self.fields["closes_at"].help_text = _(
            "In the time zone %(zone)s. Blank: open until somebody closes it."
        ) % {"zone": zone}
        languages = [("", _("The voter's own")), *settings.LANGUAGES]
        self.fields["language"] = forms.ChoiceField(choices=languages, required=False, label=_("Language"))
        self.fields["audience"] = forms.ChoiceField(
            choices=Campaign.Audience.choices,
            widget=forms.RadioSelect,
            label=_("Who may vote"),
            required=False,
            initial=Campaign.Audience.MEMBERS,
        )
        self._offer_rows()

    def _offer_rows(self) -> None:
        """The hashtags and the rival models that may be chosen."""
        hashtags = self.fields["hashtags"]
        assert isinstance(hashtags, forms.ModelMultipleChoiceField)
        chosen = self.instance.hashtags.values_list("pk", flat=True) if self.instance.pk else ()
        hashtags.queryset = Hashtag.objects.unblocked(kept=chosen)
        hashtags.label_from_instance = _label  # type: ignore[assignment,method-assign]
        rivals = self.fields["rivals"]
        assert isinstance(rivals, forms.ModelMultipleChoiceField)
        rivals.queryset = TrainedModel.objects.exclude(manifest={}).exclude(pk=self.instance.model_id or 0)
        if not rivals.queryset.exists():
            rivals.help_text = _("There is no other model yet.")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        mixed_in = sum(cleaned.get(f"{kind}_share") or 0 for kind in ("gold", "control", "silence"))
        if mixed_in > 0.5:
            self.add_error(
                "control_share",
                _(
                    "Together with known answers and silent suggestions this is more than half: "
                    "people would answer too little about the suggestions."
                ),
            )
        return cleaned

    def rules(self) -> dict[str, Any]:
        """The rules as create_campaign and change_rules take them. A rule that was left blank stays as it is,
        unless blank has a meaning of its own.
        """
        values = {rule: self.cleaned_data[rule] for rule in RULES if rule in self.fields}
        return {
            rule: value for rule, value in values.items() if value not in ("", None) or _may_be_blank(rule)
        }


def rules_of(form: RulesForm) -> dict[str, Any] | None:
    """The rules that cost votes, as far as the form is filled in: a blank field counts as it stands in the
    campaign. None if one of them is wrong.
    """
    values = form.cleaned_data if form.is_bound else {}
    if form.is_bound and COSTING & form.errors.keys():
        return None
    # Not of form.instance: the form has put its own values there, None for a blank field.
    blank = {rule: form.initial.get(rule, _default(rule)) for rule in COSTING}
    given = {rule: values[rule] for rule in COSTING if values.get(rule) is not None}
    chosen = form.instance.hashtags.all() if form.instance.pk and not form.is_bound else ()
    return {**blank, **given, "hashtags": list(values.get("hashtags") or chosen)}


def _default(rule: str) -> Any:
    field = Campaign._meta.get_field(rule)
    assert isinstance(field, models.Field)
    return field.get_default()


def _label(hashtag: Hashtag) -> str:
    return str(_("%(hashtag)s (blocked)") % {"hashtag": hashtag}) if hashtag.blocked else str(hashtag)


def _may_be_blank(rule: str) -> bool:
    field = Campaign._meta.get_field(rule)
    return isinstance(field, models.Field) and field.blank


class CampaignForm(RulesForm):
    photos_of = forms.ModelChoiceField(
        Campaign.objects.real(),
        required=False,
        label=_("Photos of another campaign"),
        empty_label=_("None"),
        help_text=_(
            "Its votes count here, too: another model can be scored at once on answers already given."
        ),
    )
    uploads = ManyFilesField(
        required=False,
        label=_("Photos"),
        help_text=format_lazy(_("{formats}, up to {n} files at once."), formats=WORDS, n=AT_ONCE),
    )
    dropped = DroppedField()
    licence = forms.CharField(
        max_length=100,
        required=False,
        label=_("Licence"),
        help_text=_("For example CC BY 4.0"),
    )
    licence_url = forms.URLField(
        max_length=500, required=False, label=_("Licence's page"), assume_scheme="https"
    )
    source_url = forms.URLField(
        max_length=500,
        required=False,
        label=_("Source"),
        assume_scheme="https",
        help_text=_("The page that the photos come from. It is shown under each photo."),
    )

    class Meta(RulesForm.Meta):
        fields = ["model", *RulesForm.Meta.fields]

    def __init__(
        self, *args: Any, owner: AbstractBaseUser, found: PhotoQuerySet | None = None, **kwargs: Any
    ) -> None:
        """owner: whose dropped files may be taken in. found: photos taken in before, which it gets, too."""
        super().__init__(*args, **kwargs)
        self.found = found
        if isinstance(dropped := self.fields.get("dropped"), DroppedField):
            dropped.offer_to(owner)
        for name, field in self.fields.items():
            if isinstance(field, PercentField):  # what a blank field means stands in it
                field.initial = Campaign._meta.get_field(name).get_default()  # type: ignore[union-attr]
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = TrainedModel.objects.exclude(manifest={})
        model.empty_label = None
        model.initial = serving.active_model()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        dropped = list(cleaned.get("dropped") or ())
        for field, files in (("uploads", cleaned.get("uploads") or []), ("dropped", dropped)):
            if len(files) > AT_ONCE:
                self.add_error(
                    field,
                    _(
                        "These are more than %(at_once)s files: take them in first "
                        "(Campaigns, Photos taken in)."
                    )
                    % {"at_once": AT_ONCE},
                )
        if any(kind_of(upload.name) != "photo" for upload in dropped):
            self.add_error("dropped", _("Only photos: take zips and tables in first."))
        has_files = cleaned.get("uploads") or dropped or self.errors
        if not has_files and not cleaned.get("photos_of") and self.found is None:
            self.add_error("uploads", _("Choose photos to upload, or another campaign to take them from."))
        if self.found is not None and not self.found.exists():
            self.add_error(None, _("No photo fits the search any more. Find photos again."))
        return cleaned


AUTHORS_RULES = (
    "votes_per_photo",
    "extra_votes",
    "gold_share",
    "only_unseen",
    "audience",
    "language",
    "closes_at",
)


class AuthorsRulesForm(RulesForm):
    """The rules of an authors' campaign that may change while it runs."""

    min_confidence = audit_share = control_share = None  # type: ignore[assignment]
    silence_share = would_post_share = None  # type: ignore[assignment]

    class Meta(RulesForm.Meta):
        fields = ["name", *AUTHORS_RULES]
        labels = RulesForm.Meta.labels | {"votes_per_photo": _("Votes per hashtag")}
        help_texts = RulesForm.Meta.help_texts | {
            "votes_per_photo": _(
                "How many people answer about each hashtag of a photo. Nobody is asked about "
                "two hashtags of one photo."
            ),
        }

    def _offer_rows(self) -> None:
        """There are none."""


class AuthorsCampaignForm(CampaignForm):
    """Photos with their authors' hashtags, which of these are asked about, and the model that checks them."""

    min_confidence = audit_share = control_share = None  # type: ignore[assignment]
    silence_share = would_post_share = None  # type: ignore[assignment]
    dropped = None  # type: ignore[assignment]  # its page has no drop zone: the table is a field of its own
    table = forms.FileField(
        required=False,
        label=_("Table of the authors' hashtags"),
        help_text=_(
            "CSV with the columns file (or photo), author and hashtags. Photos that were taken in "
            "before and carry hashtags need none."
        ),
    )
    asks = forms.ChoiceField(
        choices=Campaign.Asks.choices,
        initial=Campaign.Asks.ALL,
        widget=forms.RadioSelect,
        label=_("Hashtags asked about"),
        help_text=_(
            "This cannot be changed later: the figures weigh hashtags by how likely it was that "
            "people are asked about them."
        ),
    )
    asked_share = PercentField(
        label=_("Random share, %"), help_text=_("Of the hashtags that are drawn at random.")
    )
    asks_words = forms.BooleanField(
        required=False,
        label=_("Also ask about hashtags that are not in the vocabulary"),
        help_text=_("No check knows them."),
    )

    class Meta(AuthorsRulesForm.Meta):
        fields = ["model", *AuthorsRulesForm.Meta.fields]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = Campaign.Kind.AUTHORS
        self.fields["photos_of"].help_text = _(
            "Those that carry their authors' hashtags. Its votes count here, too."
        )
        offer_checks(self)

    def _offer_rows(self) -> None:
        """There are none."""

    def clean_table(self) -> Terms:
        table: UploadedFile[Any] | None = self.cleaned_data["table"]
        try:
            return read_table(table) if table else {}
        except TableError as error:
            raise forms.ValidationError(_("%(error)s Nothing was taken in.") % {"error": error}) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        check_what_is_asked(self, cleaned)
        return cleaned


class AskForm(AuthorsRulesForm):
    """A campaign about photos that are known already."""

    asks = AuthorsCampaignForm.declared_fields["asks"]
    asked_share = AuthorsCampaignForm.declared_fields["asked_share"]
    asks_words = AuthorsCampaignForm.declared_fields["asks_words"]

    class Meta(AuthorsRulesForm.Meta):
        fields = ["model", *AuthorsRulesForm.Meta.fields]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = Campaign.Kind.AUTHORS
        for name in ("gold_share", "asked_share"):
            self.fields[name].initial = Campaign._meta.get_field(name).get_default()  # type: ignore[union-attr]
        offer_checks(self)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        check_what_is_asked(self, cleaned)
        return cleaned


def offer_checks(form: forms.BaseForm) -> None:
    """Let a model be chosen that can check, or none."""
    model = form.fields["model"]
    assert isinstance(model, forms.ModelChoiceField)
    model.queryset = TrainedModel.objects.filter(manifest__checks__hashtags__isnull=False).defer("card")
    model.label, model.required = _("Check by"), False
    model.empty_label = _("no model: people are asked without a check")
    model.help_text = _(
        "What it says of each hashtag is recorded now and compared with people. Voters never see it."
    )
    active = serving.active_model()
    model.initial = active if active and active.manifest.get("checks") else None


def check_what_is_asked(form: forms.BaseForm, cleaned: dict[str, Any]) -> None:
    asks = cleaned.get("asks")
    if asks == Campaign.Asks.DOUBTED and not cleaned.get("model") and "model" not in form.errors:
        form.add_error("asks", _("Choose the model whose check doubts: without one nothing is doubted."))
    if asks == Campaign.Asks.AUDIT and cleaned.get("asked_share") == 0:
        form.add_error("asked_share", _("With 0 % nobody would be asked about anything."))


def what_is_asked(form: forms.BaseForm) -> dict[str, Any]:
    """Arguments of create_authors_campaign."""
    data = form.cleaned_data
    return {name: data[name] for name in ("name", "model", "asks", "asked_share", "asks_words")}
