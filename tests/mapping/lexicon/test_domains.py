"""Domains from the optional package, and without it."""

from __future__ import annotations

import pytest

from mapping.lexicon import domains
from mapping.lexicon.relations import relations_of


@pytest.mark.usefixtures("wordnet_domains")
def test_a_sense_has_all_its_domains() -> None:
    assert domains.domains_of("abbey.n.01") == ("buildings", "town_planning", "religion")
    assert domains.domains_of("beach.n.01") == ("geology",)  # factotum says that there is none
    assert domains.domains_of("forest.n.01") == domains.domains_of("nonsense") == ()
    assert domains.domain_names() == ("buildings", "commerce", "geology", "religion", "town_planning")


def test_without_the_package_there_are_no_domains() -> None:
    assert domains.domains_of("abbey.n.01") == domains.domain_names() == ()


@pytest.mark.usefixtures("wordnet_domains")
def test_relations_stand_side_by_side() -> None:
    relations = relations_of("abbey.n.01")
    assert relations
    assert relations.domains_in_words[1] == ("town_planning", "town planning")
    assert relations.hyponyms == relations.meronyms == []
    assert not relations_of("anechoic_chamber.n.01")  # nothing to show
    assert relations_of("nonsense") is None


def test_topics_are_those_of_wordnet() -> None:
    relations = relations_of("ballpark.n.01")
    assert relations
    assert [topic.word for topic in relations.topics] == ["baseball"]
