"""The shapes of requests and answers about entries and hashtags."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mapping.acts import Decision
from mapping.api.base import LARGEST_ID, Number, Text
from mapping.lexicon import wordnet
from mapping.models import OTHER, MappingEntry

MOST_AT_ONCE = 1000
_words = {"sense": "synset", "hypernym_sense": "hypernym"}


class EntrySerializer(serializers.Serializer[Any]):
    """One scene class and what is decided about it."""

    id = serializers.IntegerField()
    key = serializers.CharField(source="scene_class.key", help_text="As its folder is named: a/abbey.")
    name = serializers.CharField(source="scene_class.name")
    name_ru = serializers.CharField(source="scene_class.name_ru")
    level1 = serializers.CharField(source="scene_class.level1", help_text="SUN's group, or empty.")
    level2 = serializers.CharField(source="scene_class.level2")
    label = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="A hashtag without #, `other`, or null while undecided."
    )
    status = serializers.ChoiceField(MappingEntry.Status.values)
    sense = serializers.CharField(help_text="WordNet synset such as shop.n.01, or empty.")
    synset = serializers.CharField(help_text="The sense in a word.")
    hypernym_sense = serializers.CharField()
    hypernym = serializers.CharField()
    note = serializers.CharField()
    version = serializers.IntegerField(help_text="Send it back with a decision.")
    change = serializers.IntegerField(
        source="change_id", allow_null=True, help_text="The act whose decision stands; it can be undone."
    )
    changed_by = serializers.CharField(source="changed_by.username", allow_null=True, default=None)
    changed_at = serializers.DateTimeField()


class SenseSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    lemmas = serializers.ListField(child=serializers.CharField())
    gloss = serializers.CharField()
    lexname = serializers.CharField(help_text="WordNet's lexicographer file.")
    examples = serializers.ListField(child=serializers.CharField())
    via = serializers.CharField(help_text="The term of the class that led to it.")


class PastSerializer(serializers.Serializer[Any]):
    """One row of the history."""

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
    wordnet = serializers.BooleanField(help_text="False: WordNet is missing; senses and path are empty.")
    senses = SenseSerializer(many=True, help_text="Noun senses of the class's name, likeliest first.")
    path = SenseSerializer(many=True, help_text="From the chosen sense upwards, nearest first.")
    history = PastSerializer(many=True, help_text="Newest first, at most 100.")


class EntryPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The next page, or null.")
    results = EntrySerializer(many=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """A decision about one class. What is left out stays as it is."""

    version = Number(min_value=1, max_value=2**31 - 1, help_text="The version that was looked at.")
    hashtag = Text(max_length=50, help_text="Without #, or `other`.")
    sense = Text(required=False, allow_blank=True, max_length=100, help_text="A WordNet noun synset.")
    hypernym_sense = Text(required=False, allow_blank=True, max_length=100)
    note = Text(required=False, allow_blank=True, max_length=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Adds the word of each sense. Without WordNet the sense is taken as it is, and the word stays."""
        for key, word in _words.items():
            if key not in attrs:
                continue
            try:
                found = wordnet.sense(attrs[key]) if attrs[key] else None
            except wordnet.WordNetMissing:
                continue
            if attrs[key] and found is None:
                raise serializers.ValidationError({key: [f"WordNet has no noun sense “{attrs[key]}”."]})
            attrs[word] = found.word if found else ""
        return attrs


def decision_of(data: dict[str, Any]) -> Decision:
    """What a valid DecisionSerializer says."""
    return Decision(**{name: value for name, value in data.items() if name not in ("version", "entry")})


class EntryDecisionSerializer(DecisionSerializer):
    entry = Number(min_value=1, max_value=LARGEST_ID, help_text="The entry's id.")


class BulkSerializer(serializers.Serializer[Any]):
    decisions = EntryDecisionSerializer(many=True, min_length=1, max_length=MOST_AT_ONCE)  # type: ignore[call-arg]

    def validate_decisions(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({row["entry"] for row in decisions}) < len(decisions):
            raise serializers.ValidationError("An entry stands here twice.")
        return decisions


class SavedSerializer(serializers.Serializer[Any]):
    change = serializers.IntegerField(
        allow_null=True, help_text="The act, to undo it; null when everything was as asked already."
    )
    results = EntrySerializer(many=True)


class StaleSerializer(serializers.Serializer[Any]):
    """Somebody was faster. Nothing was saved."""

    detail = serializers.CharField()
    current = EntrySerializer(many=True, help_text="The stale entries as they are now.")


class UndoSerializer(serializers.Serializer[Any]):
    change = Number(min_value=1, max_value=LARGEST_ID)


class UndoneSerializer(serializers.Serializer[Any]):
    change = serializers.IntegerField()
    restored = serializers.ListField(child=serializers.IntegerField(), help_text="Entries taken back.")
    kept = serializers.ListField(
        child=serializers.IntegerField(), help_text="Entries that a later act changed, left as they are."
    )


class ChoiceSerializer(serializers.Serializer[Any]):
    hashtag = serializers.CharField(help_text="Without #.")
    reason = serializers.CharField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    """What the queue would offer. It learns from what curators confirmed, and from nothing else."""

    hashtags = ChoiceSerializer(many=True, help_text="Best first.")
    other = serializers.FloatField(help_text="Probability of `other`.")
    abstains = serializers.BooleanField(help_text="It knows too little to lead anybody.")
    words = serializers.CharField(help_text="What it has to say besides, or empty.")


class HashtagSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Without #.")
    posts = serializers.IntegerField()
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="Who counted the posts."
    )
    counted_on = serializers.CharField(help_text="As precise as the source is.")
    offered = serializers.BooleanField(help_text="Popular enough, and not blocked.")
    blocked = serializers.BooleanField(help_text="Never offered; classes that carry it keep it.")
    blocked_why = serializers.CharField()
    classes = serializers.IntegerField(help_text="Scene classes that carry it now.")
    synonyms = serializers.ListField(
        child=serializers.CharField(), help_text="WordNet's; none without WordNet."
    )


class HashtagPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    results = HashtagSerializer(many=True)
