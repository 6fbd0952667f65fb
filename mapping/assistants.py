"""Automatic groupings that a curator can consult: topic domains, WordNet Domains, clusters by similarity.

They decide nothing. Each is measured against the present mapping, so that a curator knows how far to trust
it. Similarities are computed once per set of senses and cached in the process and in a file; trees are cached
in the process only.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from django.conf import settings
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from formats.storage import replacing
from mapping.lexicon import clustering, domains, similarity, wordnet
from mapping.lexicon.clustering import Method, Quality, Tree
from mapping.models import MappingEntry

# Measure and kind of information content; the first three measures need none.
KINDS = {
    **{name: name for name in ("path", "wup", "lch")},
    **{name: f"{name}, WordNet's counts" for name in ("res", "lin", "jcn")},
    **{f"{name}-intrinsic": f"{name}, intrinsic" for name in ("res", "lin", "jcn")},
}
MAX_SENSES = 3000  # the matrices of more senses would not fit into memory
FORMAT = "1"  # of the cache file; files of another format are ignored


class TooMany(Exception):
    """Too many senses to compare every pair."""


class TooFew(Exception):
    """Fewer than two classes have a sense, so there is nothing to compare."""


@dataclass(frozen=True)
class Measurement:
    """An assistant and how well it agrees with the mapping. kind and method are blank without clusters."""

    name: str
    quality: Quality
    kind: str = ""
    method: str = ""


@dataclass(frozen=True)
class Catalogue:
    """Entries by class key. The sense may be blank; the label of an undecided entry is None."""

    entries: tuple[MappingEntry, ...]

    @property
    def senses(self) -> tuple[str, ...]:
        """The distinct senses, sorted. A class without a sense is not clustered."""
        return tuple(sorted({entry.sense for entry in self.entries if entry.sense}))

    @property
    def decisions(self) -> Decisions:
        return tuple((entry.sense, entry.label) for entry in self.entries if entry.label)


Decisions = tuple[tuple[str, str], ...]  # sense and label of each decided class


def quality(decisions: Decisions, group_of: dict[str, int | str]) -> Quality:
    """How well groups of senses agree with the labels. group_of: sense → group."""
    return clustering.quality(
        [group_of.get(sense) for sense, _ in decisions], [label for _, label in decisions]
    )


def catalogue() -> Catalogue:
    """All entries, in one query. A sense unknown to WordNet counts as blank. Raises WordNetMissing."""
    nouns = wordnet.nouns()
    entries = list(MappingEntry.objects.select_related("scene_class", "hashtag"))
    for entry in entries:
        if nouns.index(entry.sense) is None:
            entry.sense = ""
    return Catalogue(tuple(entries))


@lru_cache(maxsize=2)
def all_distances(senses: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Kind → n × n distances, read from the cache file of these senses or computed and written to it.

    Raises TooMany, TooFew or WordNetMissing.
    """
    if len(senses) > MAX_SENSES:
        raise TooMany
    if len(senses) < 2:
        raise TooFew
    name = hashlib.sha256("\n".join((FORMAT, *senses)).encode()).hexdigest()[:24]
    file = Path(settings.VAR_DIR) / "assistants" / f"{name}.npz"
    if file.is_file():
        with np.load(file) as arrays:
            return {kind: arrays[kind] for kind in KINDS}
    distances = _compute(senses)
    with replacing(file, "wb") as out:
        np.savez(out, **distances)  # type: ignore[arg-type]  # its stub mistakes the names for options
    return distances


def _compute(senses: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    nouns = wordnet.nouns()
    content = similarity.information_content(nouns)
    by_counts = similarity.similarities(nouns, senses, content.counted, content.depth)
    by_structure = similarity.similarities(nouns, senses, content.intrinsic, content.depth)
    distances = {}
    for kind in KINDS:
        measure, _, variant = kind.partition("-")
        distances[kind] = clustering.distances((by_structure if variant else by_counts)[measure], measure)
    return distances


@lru_cache(maxsize=64)
def tree(senses: tuple[str, ...], kind: str, method: Method) -> Tree:
    """Raises NotEuclidean if ward is not valid here, and the errors of all_distances."""
    return clustering.cluster(all_distances(senses)[kind], method)


@lru_cache(maxsize=16)
def methods(senses: tuple[str, ...], kind: str) -> tuple[Method, ...]:
    """The methods that are valid for these distances."""
    euclidean = clustering.is_euclidean(all_distances(senses)[kind])
    return tuple(method for method in clustering.METHODS if euclidean or method != "ward")


def topic_groups(senses: Sequence[str]) -> dict[str, int | str]:
    """Sense → its first topic domain in WordNet. Most places have none."""
    nouns = wordnet.nouns()
    groups: dict[str, int | str] = {}
    for sense in senses:
        place = nouns.index(sense)
        topics = list(nouns.topics(place)) if place is not None else []
        if topics:
            groups[sense] = topics[0]
    return groups


def domain_groups(senses: Sequence[str]) -> dict[str, int | str] | None:
    """Sense → its first domain in WordNet Domains. None if the package is not installed."""
    if domains.domains_file() is None:
        return None
    return {sense: names[0] for sense in senses if (names := domains.domains_of(sense))}


@lru_cache(maxsize=16)
def measure_all(senses: tuple[str, ...], decisions: Decisions, clusters: int) -> list[Measurement]:
    """All assistants that are available, the most helpful first. Each tree is cut into this many clusters."""
    measurements = [
        Measurement(
            gettext_noop("the most frequent answer to all"), quality(decisions, dict.fromkeys(senses, 0))
        ),
        Measurement(gettext_noop("topic domains"), quality(decisions, topic_groups(senses))),
    ]
    by_domain = domain_groups(senses)
    if by_domain is not None:
        measurements.append(
            Measurement(gettext_noop("WordNet Domains, first domain"), quality(decisions, by_domain))
        )
    for kind, name in KINDS.items():
        for method in methods(senses, kind):
            groups = tree(senses, kind, method).cut_by_number(clusters).tolist()
            result = quality(decisions, dict(zip(senses, groups, strict=True)))
            measurements.append(Measurement(f"{name}, {method}", result, kind, method))
    return sorted(measurements, key=lambda row: (-row.quality.helps, -row.quality.ari))


@dataclass(frozen=True)
class Cluster:
    number: int
    members: list[MappingEntry]


def clusters_of(catalogue: Catalogue, groups: NDArray[np.int64]) -> list[Cluster]:
    """Entries grouped by the cluster of their sense, largest cluster first. groups: one number per sense."""
    number = dict(zip(catalogue.senses, groups.tolist(), strict=True))
    members = defaultdict(list)
    for entry in catalogue.entries:
        if entry.sense:
            members[number[entry.sense]].append(entry)
    return sorted(
        (Cluster(n, rows) for n, rows in members.items()), key=lambda c: (-len(c.members), c.number)
    )
