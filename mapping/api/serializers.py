"""The fields of requests and answers about entries and hashtags."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from formats.names import normalize_hashtag
from formats.numbers import LARGEST
from mapping.acts import Decision
from mapping.api.base import Number, Text
from mapping.lexicon import wordnet
from mapping.models import OTHER, MappingEntry

MAX_DECISIONS = 1000  # per request
_words = {"sense": "synset", "hypernym_sense": "hypernym"}


class EntrySerializer(serializers.Serializer[Any]):
    """One scene class and the decision about it."""

    id = serializers.IntegerField()
    key = serializers.CharField(source="scene_class.key", help_text="The name of its folder: a/abbey.")
    name = serializers.CharField(source="scene_class.name")
    name_ru = serializers.CharField(source="scene_class.name_ru")
    level1 = serializers.CharField(source="scene_class.level1", help_text="SUN's group, or empty.")
    level2 = serializers.CharField(source="scene_class.level2")
    label = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="A hashtag without #, `other`, or null while undecided."
    )
    status = serializers.ChoiceField(MappingEntry.Status.values)
    sense = serializers.CharField(help_text="WordNet synset such as shop.n.01, or empty.")
    synset = serializers.CharField(help_text="The first word of the sense.")
    hypernym_sense = serializers.CharField()
    hypernym = serializers.CharField()
    note = serializers.CharField()
    version = serializers.IntegerField(help_text="Send it back with a decision.")
    change = serializers.IntegerField(
        source="change_id",
        allow_null=True,
        help_text="The act that made the present decision; it can be undone.",
    )
    changed_by = serializers.CharField(source="changed_by.username", allow_null=True, default=None)
    changed_at = serializers.DateTimeField()


class SenseSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    lemmas = serializers.ListField(child=serializers.CharField())
    gloss = serializers.CharField()
    lexname = serializers.CharField(help_text="WordNet's lexicographer file.")
    examples = serializers.ListField(child=serializers.CharField())
    via = serializers.CharField(help_text="The term of the class that has this sense.")


class HistoryLineSerializer(serializers.Serializer[Any]):
    """One line of the history."""

    at = serializers.DateTimeField(source="history_date")
    by = serializers.CharField(source="history_user.username", allow_null=True, default=None)
    why = serializers.CharField(source="history_change_reason", allow_null=True)
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    status = serializers.ChoiceField(MappingEntry.Status.values)
    sense = serializers.CharField()
    hypernym_sense = serializers.CharField()
    note = serializers.CharField()
    version = serializers.IntegerField()

    def get_label(self, row: Any) -> str | None:
        if row.hashtag is not None:
            return str(row.hashtag.name)
        return None if row.status == MappingEntry.Status.UNDECIDED else OTHER


class EntryDetailSerializer(EntrySerializer):
    wordnet = serializers.BooleanField(
        help_text="False if WordNet is missing; senses and path are empty then."
    )
    senses = SenseSerializer(many=True, help_text="Noun senses of the class's name, most likely first.")
    path = SenseSerializer(many=True, help_text="From the chosen sense upwards, nearest first.")
    history = HistoryLineSerializer(many=True, help_text="Newest first, at most 100.")


class EntryPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The next page, or null.")
    results = EntrySerializer(many=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """A decision about one class. Missing fields keep their present value."""

    version = Number(min_value=1, max_value=2**31 - 1, help_text="The version that the decision is based on.")
    hashtag = Text(max_length=50, help_text="Without #, or `other`.")
    sense = Text(required=False, allow_blank=True, max_length=100, help_text="A WordNet noun synset.")
    hypernym_sense = Text(required=False, allow_blank=True, max_length=100)
    note = Text(required=False, allow_blank=True, max_length=500)

    def validate_hashtag(self, name: str) -> str:
        return normalize_hashtag(name)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Add the word of each sense. Without WordNet the sense is not checked and the word is kept."""
        for key, word in _words.items():
            if key not in attrs:
                continue
            try:
                sense = wordnet.sense(attrs[key]) if attrs[key] else None
            except wordnet.WordNetMissing:
                continue
            if attrs[key] and sense is None:
                raise serializers.ValidationError({key: [f"WordNet has no noun sense “{attrs[key]}”."]})
            attrs[word] = sense.word if sense else ""
        return attrs


def decision_of(data: dict[str, Any]) -> Decision:
    """The decision in the data of a valid DecisionSerializer."""
    return Decision(**{name: value for name, value in data.items() if name not in ("version", "entry")})


class EntryDecisionSerializer(DecisionSerializer):
    entry = Number(min_value=1, max_value=LARGEST, help_text="The entry's id.")


class BulkSerializer(serializers.Serializer[Any]):
    decisions = EntryDecisionSerializer(many=True, min_length=1, max_length=MAX_DECISIONS)  # type: ignore[call-arg]

    def validate_decisions(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({row["entry"] for row in decisions}) < len(decisions):
            raise serializers.ValidationError("An entry occurs twice.")
        return decisions


class SavedSerializer(serializers.Serializer[Any]):
    change = serializers.IntegerField(
        allow_null=True, help_text="The act, to undo it; null if nothing had to change."
    )
    results = EntrySerializer(many=True)


class StaleSerializer(serializers.Serializer[Any]):
    """Somebody else saved first. Nothing was saved."""

    detail = serializers.CharField()
    current = EntrySerializer(many=True, help_text="The stale entries as they are now.")


class UndoSerializer(serializers.Serializer[Any]):
    change = Number(min_value=1, max_value=LARGEST)


class UndoneSerializer(serializers.Serializer[Any]):
    change = serializers.IntegerField()
    restored = serializers.ListField(child=serializers.IntegerField(), help_text="Restored entries.")
    kept = serializers.ListField(
        child=serializers.IntegerField(), help_text="Entries that a later act changed; they are kept."
    )


class ChoiceSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="Without #.")
    reason = serializers.CharField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    """The suggestions of the queue. They are learned from confirmed rows only."""

    hashtags = ChoiceSerializer(many=True, help_text="Best first.")
    other = serializers.FloatField(help_text="Probability of `other`.")
    abstains = serializers.BooleanField(
        help_text="True if the suggester knows too little to suggest anything."
    )
    words = serializers.CharField(help_text="A remark, or empty.")


class HashtagSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Without #.")
    posts = serializers.IntegerField()
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="Who counted the posts."
    )
    counted_on = serializers.CharField(help_text="As precise as the source is.")
    offered = serializers.BooleanField(help_text="Popular enough, and not blocked.")
    blocked = serializers.BooleanField(help_text="Never offered; classes that have it keep it.")
    blocked_why = serializers.CharField()
    classes = serializers.IntegerField(help_text="Number of scene classes that have it now.")
    synonyms = serializers.ListField(
        child=serializers.CharField(), help_text="From WordNet; empty without WordNet."
    )


class HashtagPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = HashtagSerializer(many=True)
