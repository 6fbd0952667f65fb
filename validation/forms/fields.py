"""Fields that several forms share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from formats.numbers import read_number
from validation.models import Upload

if TYPE_CHECKING:
    _RowsField = forms.ModelMultipleChoiceField[Any]
else:  # Django's own class takes no type argument
    _RowsField = forms.ModelMultipleChoiceField


class RowsField(_RowsField):
    """Django's own asks for rows by numbers that no database stores, which SQLite takes for an error."""

    def clean(self, value: Any) -> Any:
        for text in value or []:
            if read_number(str(text)) is None:
                raise forms.ValidationError(self.error_messages["invalid_pk_value"], params={"pk": text})
        return super().clean(value)


class DroppedField(RowsField):
    """Files that were dropped on the page and are uploaded completely. Their owner is set by `offer_to`."""

    def __init__(self) -> None:
        gone = _("Some of these uploads are no longer here, or not complete. Look at the list again.")
        super().__init__(
            Upload.objects.none(),
            required=False,
            label=_("Dropped files"),
            error_messages={"invalid_choice": gone, "invalid_pk_value": gone},
        )

    def offer_to(self, owner: AbstractBaseUser) -> None:
        self.queryset = Upload.objects.waiting().complete().filter(owner_id=owner.pk)
