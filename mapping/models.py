"""Scene classes, hashtags, the mapping between them, and the releases that freeze it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from simple_history.models import HistoricalRecords

from formats import classes

OTHER = classes.OTHER  # the label of a class that no hashtag fits


class HashtagQuerySet(models.QuerySet["Hashtag"]):
    def blocked(self) -> Self:
        return self.filter(blocked=True)

    def unblocked(self, *, kept: Iterable[int | None] = ()) -> Self:
        """Those that may be suggested, asked about and chosen. Rare ones may, too: see offered_hashtags.

        kept: ids of hashtags that were chosen before and may stay.
        """
        return self.filter(Q(blocked=False) | Q(pk__in=list(kept)))


class Vocabulary(models.Manager["Hashtag"]):
    """The vocabulary, without authors' words that people were only asked about."""

    def get_queryset(self) -> HashtagQuerySet:
        return HashtagQuerySet(self.model, using=self._db).filter(in_vocabulary=True)

    def all(self) -> HashtagQuerySet:
        return self.get_queryset()

    def blocked(self) -> HashtagQuerySet:
        return self.get_queryset().blocked()

    def unblocked(self, *, kept: Iterable[int | None] = ()) -> HashtagQuerySet:
        return self.get_queryset().unblocked(kept=kept)


class Hashtag(models.Model):
    name = models.CharField(max_length=50, unique=True)  # without #
    posts = models.PositiveBigIntegerField()
    source = models.CharField(max_length=200)
    counted_on = models.CharField(max_length=20)  # as precise as the source is: "2019"
    blocked = models.BooleanField(
        default=False
    )  # suggested and offered nowhere; classes that have it keep it
    blocked_why = models.CharField(max_length=200, blank=True)
    # False: a word that authors wrote and people were asked about. Nothing offers, suggests or maps to it.
    in_vocabulary = models.BooleanField(default=True)
    history = HistoricalRecords()
    objects = Vocabulary()
    with_words = HashtagQuerySet.as_manager()  # the vocabulary, and authors' words

    class Meta:
        ordering = ["-posts", "name"]
        constraints = [models.CheckConstraint(name="hashtag_not_other", condition=~Q(name=OTHER))]

    def __str__(self) -> str:
        return f"#{self.name}"

    @property
    def posts_millions(self) -> int:
        return round(self.posts / 1_000_000)


class SceneClass(models.Model):
    key = models.CharField(max_length=100, unique=True)  # "a/athletic_field/outdoor", as its folder is named
    name = models.CharField(max_length=100)  # cleaned: "athletic field"
    name_ru = models.CharField(max_length=100, blank=True)
    level1 = models.CharField(max_length=50, blank=True)  # SUN's groups, blank where unknown
    level2 = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["key"]
        verbose_name_plural = "scene classes"

    def __str__(self) -> str:
        return self.key

    @property
    def title(self) -> str:
        """Its name, told from the same place seen from elsewhere: "balcony, exterior"; without words that the
        name has: "field wild".
        """
        said = {*self.name.split()}
        places = [[word for word in part.split("_") if word not in said] for part in self.key.split("/")[2:]]
        return ", ".join([self.name, *(" ".join(place) for place in places if place)])

    @property
    def groups(self) -> str:
        """SUN's groups in words: "indoor, transportation indoor"."""
        return ", ".join(level.replace("_", " ") for level in (self.level1, self.level2) if level)


class Opinion(models.Model):
    """A second mapping beside the main one: made by a curator who saw no other answers, or from a file."""

    name = models.CharField(max_length=100, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("mapping:opinion", args=[self.pk])


class Change(models.Model):
    """One act of one curator: a decision about one class or about many at once. It is undone as a whole."""

    class Action(models.TextChoices):
        """The names are in the history, in English; pages translate them."""

        DECIDE = "decide", gettext_noop("decided")
        GROUP = "group", gettext_noop("confirmed as a group")
        CLUSTER = "cluster", gettext_noop("given to a cluster")
        TABLE = "table", gettext_noop("changed in the table")
        IMPORT = "import", gettext_noop("imported")
        SETTLE = "settle", gettext_noop("settled between opinions")

    action = models.CharField(max_length=10, choices=Action)
    opinion = models.ForeignKey(Opinion, models.CASCADE, null=True, blank=True)  # null: about the mapping
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    before = models.JSONField(default=dict)  # entry id → its values before the act, for undo
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["by", "-id"], name="change_by_newest")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {len(self.before)} classes"


class TheMapping(models.Manager["MappingEntry"]):
    """The entries of the mapping itself, without those of opinions."""

    def get_queryset(self) -> models.QuerySet[MappingEntry]:
        return super().get_queryset().filter(opinion=None)


class MappingEntry(models.Model):
    """The present decision about one scene class. Labels are frozen in a Release only."""

    class Status(models.TextChoices):
        UNDECIDED = "undecided", _("Undecided")  # no answer yet, neither from a person nor from a file
        IMPORTED = "imported", _("Imported")  # from a file; no curator has checked it
        CONFIRMED = "confirmed", _("Confirmed")  # a curator decided

    scene_class = models.ForeignKey(SceneClass, models.CASCADE, related_name="entries")
    # Null in the mapping itself. An opinion has rows of its own, so that every tool works on both.
    opinion = models.ForeignKey(Opinion, models.CASCADE, null=True, blank=True, related_name="entries")
    sense = models.CharField(max_length=100, blank=True)  # WordNet synset: "shop.n.01"
    synset = models.CharField(max_length=100, blank=True)  # in words: "shoe shop"
    hypernym_sense = models.CharField(max_length=100, blank=True)
    hypernym = models.CharField(max_length=100, blank=True)
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True, related_name="entries")
    status = models.CharField(max_length=10, choices=Status, default=Status.UNDECIDED)
    note = models.CharField(max_length=500, blank=True)
    version = models.PositiveIntegerField(default=1)  # a save based on another version is refused
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    # The act that made the present decision; after an undo, the act before it.
    change = models.ForeignKey(Change, models.SET_NULL, null=True, blank=True, related_name="entries")
    history = HistoricalRecords(excluded_fields=["changed_at"])
    objects = TheMapping()
    everywhere = models.Manager["MappingEntry"]()  # including the entries of opinions

    class Meta:
        ordering = ["scene_class__key"]
        verbose_name_plural = "mapping entries"
        base_manager_name = "everywhere"
        indexes = [models.Index(fields=["opinion", "status"], name="entry_by_opinion_and_status")]
        constraints = [
            models.UniqueConstraint(
                name="one_entry_per_class", fields=["scene_class"], condition=Q(opinion__isnull=True)
            ),
            models.UniqueConstraint(name="one_answer_per_opinion", fields=["opinion", "scene_class"]),
            models.CheckConstraint(
                name="entry_undecided_has_no_hashtag",
                condition=~Q(status="undecided") | Q(hashtag__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scene_class_id}: {self.label or 'undecided'}"

    @property
    def label(self) -> str | None:
        """The hashtag's name, "other", or None while undecided."""
        if self.hashtag is not None:
            return self.hashtag.name
        return None if self.status == self.Status.UNDECIDED else OTHER

    # simple_history reads the user from the instance
    @property
    def _history_user(self) -> Any:
        return self.changed_by

    @_history_user.setter
    def _history_user(self, value: Any) -> None:
        self.changed_by = value


class Release(models.Model):
    """A numbered, immutable copy of the mapping. A database trigger refuses changes of its labels."""

    number = models.PositiveIntegerField(unique=True)
    note = models.CharField(max_length=500)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        permissions = [("publish_release", "Can publish a release of the mapping")]

    def __str__(self) -> str:
        return f"release {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("mapping:release", args=[self.number])


class ReleaseLabel(models.Model):
    release = models.ForeignKey(Release, models.CASCADE, related_name="labels")
    scene_key = models.CharField(max_length=100)
    label = models.CharField(max_length=50)  # a hashtag's name, or "other"
    sense = models.CharField(max_length=100, blank=True)
    synset = models.CharField(max_length=100, blank=True)
    hypernym_sense = models.CharField(max_length=100, blank=True)
    hypernym = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = [F("scene_key").asc()]
        constraints = [models.UniqueConstraint(fields=["release", "scene_key"], name="one_label_per_class")]

    def __str__(self) -> str:
        return f"{self.scene_key} → {self.label}"
