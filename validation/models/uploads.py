"""Files on their way here, piece by piece."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from validation.models.photos import Intake


class UploadQuerySet(models.QuerySet["Upload"]):
    def waiting(self) -> Self:
        """Those that no intake has taken yet: unfinished, or complete."""
        return self.filter(intake=None)

    def complete(self) -> Self:
        return self.filter(offset=F("size"))


class Upload(models.Model):
    """A file that a person uploads in pieces of one size. `parts` names the pieces that the storage has, so
    that any process on any machine can go on where another stopped. See validation.photos.uploads.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=500)  # with the path below the dropped folder
    size = models.BigIntegerField()  # bytes
    # The browser's time of its last change, in milliseconds: with name and size it says which file it is.
    modified = models.BigIntegerField(default=0)
    piece = models.PositiveIntegerField()  # bytes of each part but the last
    offset = models.BigIntegerField(default=0)  # bytes that are stored
    parts = models.JSONField(default=list)  # names in the storage, in their order
    touched_at = models.DateTimeField(auto_now_add=True)  # the last piece
    intake = models.ForeignKey(Intake, models.CASCADE, null=True, blank=True, related_name="dropped")

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name", "size", "modified"],
                condition=Q(intake=None),
                name="one_upload_of_a_file",
            ),
            models.CheckConstraint(
                name="upload_within_its_size", condition=Q(offset__gte=0, offset__lte=F("size"))
            ),
        ]
        indexes = [models.Index(fields=["touched_at"], condition=Q(intake=None), name="upload_waiting_since")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:upload", args=[self.pk])

    @property
    def is_complete(self) -> bool:
        return self.offset == self.size

    @property
    def next_length(self) -> int:
        """How many bytes the next piece has."""
        return min(self.piece, self.size - self.offset)

    @property
    def percent(self) -> int:
        return 100 * self.offset // self.size
