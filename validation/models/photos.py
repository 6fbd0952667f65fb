"""New photos: their source, their terms, and whether they may still be shown."""

from __future__ import annotations

from datetime import date

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from jobs.models import Job
from mapping.models import Hashtag


class PhotoQuerySet(models.QuerySet["Photo"]):
    def shown(self) -> PhotoQuerySet:
        """Without withdrawn photos."""
        return self.filter(withdrawn_at=None)

    def real(self) -> PhotoQuerySet:
        """Without the copies of the made-up campaign."""
        return self.exclude(pk__in=Photo.objects.filter(campaigns__is_made_up=True).order_by().values("pk"))

    def found(
        self,
        *,
        text: str = "",
        intake: int | None = None,
        since: date | None = None,
        until: date | None = None,
        unused: bool = False,
    ) -> PhotoQuerySet:
        """Photos whose author, file name, source or licence contains the text, of one intake, added in these
        days (both included), and, with `unused`, in no campaign.
        """
        rows = self.real()
        if text:
            words = ("author", "name", "source_url", "licence", "intake_files__name")
            fits = Q()
            for field in words:
                fits |= Q(**{f"{field}__icontains": text})
            rows = rows.filter(pk__in=Photo.objects.filter(fits).values("pk"))
        if intake is not None:
            rows = rows.filter(pk__in=IntakeFile.objects.filter(intake_id=intake).values("photo"))
        if since:
            rows = rows.filter(added_at__date__gte=since)
        if until:
            rows = rows.filter(added_at__date__lte=until)
        if unused:
            rows = rows.filter(campaigns=None)
        return rows


class Photo(models.Model):
    """A new photo, stored once under its hash, with its author and terms.

    A withdrawn photo keeps its row, so that the same file is recognised if it comes again. Its pixels are
    deleted.
    """

    class Consent(models.TextChoices):
        UNKNOWN = "", _("not recorded")
        OWN = "own", _("made by the person who added it")
        AUTHOR = "author", _("its author agreed")
        LICENCE = "licence", _("published under a free licence")

    sha256 = models.CharField(max_length=64, unique=True)
    file = models.FileField(max_length=200)  # for a desktop
    small = models.FileField(max_length=200, blank=True)  # for a phone; blank: as `file`
    name = models.CharField(max_length=200)  # of the file that was taken in
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    phash = models.BigIntegerField(null=True, blank=True, db_index=True)  # perceptual hash, 64 bits
    near_duplicate_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="near_duplicates"
    )
    author = models.CharField(max_length=200, blank=True)
    source_url = models.URLField(max_length=500, blank=True)
    licence = models.CharField(max_length=100, blank=True)
    licence_url = models.URLField(max_length=500, blank=True)
    consent = models.CharField(max_length=10, choices=Consent, blank=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    added_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    withdrawn_why = models.CharField(max_length=200, blank=True)

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class AuthorHashtag(models.Model):
    """A hashtag that the photo's author gave it, whether or not it is one of ours."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="author_hashtags")
    name = models.CharField(max_length=100)  # without #, in lower case

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["photo", "name"], name="author_hashtag_once")]
        indexes = [models.Index(fields=["name"], name="author_hashtag_name")]

    def __str__(self) -> str:
        return f"#{self.name}"


class Intake(models.Model):
    """Many files taken in together on the same terms: an upload, an archive, a folder or a drop."""

    class Kind(models.TextChoices):
        UPLOAD = "upload", _("uploaded files")
        ARCHIVE = "archive", _("a zip archive")
        FOLDER = "folder", _("a folder on the server")
        DROP = "drop", _("dropped files")

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind)
    path = models.CharField(max_length=500)  # the folder, or where the uploaded archive is stored
    campaign = models.ForeignKey(
        "validation.Campaign", models.SET_NULL, null=True, blank=True, related_name="intakes"
    )  # gets the photos once they are in
    author = models.CharField(max_length=200, blank=True)
    source_url = models.URLField(max_length=500, blank=True)
    licence = models.CharField(max_length=100, blank=True)
    licence_url = models.URLField(max_length=500, blank=True)
    consent = models.CharField(max_length=10, choices=Photo.Consent, blank=True)
    near_duplicates = models.BooleanField(default=False)  # whether the campaign gets those, too
    notes = models.JSONField(default=list, blank=True)  # of validation.photos.notes; before, sentences
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="intake")
    request_id = models.UUIDField(null=True, unique=True)  # the form's idempotency key
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:intake", args=[self.pk])


class IntakeFile(models.Model):
    """The outcome of one file of an intake. An interrupted intake continues with the files that wait."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        TAKEN = "taken", _("taken in")
        KNOWN = "known", _("already here")
        SIMILAR = "similar", _("near duplicate of another")
        REFUSED = "refused", "refused"

    intake = models.ForeignKey(Intake, models.CASCADE, related_name="files")
    name = models.CharField(max_length=500)  # its path inside the folder or archive
    terms = models.JSONField(default=dict)  # of this file alone: author, licence, hashtags and so on
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)
    begun = models.PositiveSmallIntegerField(default=0)  # how often it was opened after a crash
    photo = models.ForeignKey(Photo, models.SET_NULL, null=True, blank=True, related_name="intake_files")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["intake", "state", "id"], name="intake_file_by_state")]
        constraints = [
            models.UniqueConstraint(fields=["intake", "name"], name="intake_file_once"),
            models.CheckConstraint(
                name="refusal_has_a_reason", condition=~Q(state="refused") | ~Q(reason="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.get_state_display()}"


class Correction(models.Model):
    """What somebody decided that a photo shows, after people disagreed with a model."""

    photo = models.OneToOneField(Photo, models.CASCADE, related_name="correction")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True)  # null: other
    scene_class = models.ForeignKey("mapping.SceneClass", models.SET_NULL, null=True, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    decided_at = models.DateTimeField(auto_now=True)
    history = HistoricalRecords()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag or 'other'}"
