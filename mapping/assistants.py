"""The automatic attempts that a curator can look at: topic domains, WordNet Domains, clusters by similarity.

None decides anything. Each is measured against the mapping as it stands, so that its word can be weighed.
Similarity is computed once for a set of senses and kept in this process and as a file; trees in the process.
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
from numpy.typing import NDArray

from mapping.lexicon import clustering, domains, similarity, wordnet
from mapping.lexicon.clustering import Method, Quality, Tree
from mapping.models import MappingEntry

# Measure and information content; the first three need none.
KINDS = {
    **{name: name for name in ("path", "wup", "lch")},
    **{name: f"{name}, WordNet's counts" for name in ("res", "lin", "jcn")},
    **{f"{name}-intrinsic": f"{name}, intrinsic" for name in ("res", "lin", "jcn")},
}
MOST = 3000  # senses; the matrices of more would not fit into memory
FORMAT = "1"  # of the file: a new one makes old files unused


class TooMany(Exception):
    """More senses than can be compared each with each."""


class TooFew(Exception):
    """Fewer than two classes have a sense: there is nothing to compare."""


@dataclass(frozen=True)
class Measured:
    """One assistant and how well it agrees with the mapping; kind and method are blank for domains."""

    name: str
    quality: Quality
    kind: str = ""
    method: str = ""


@dataclass(frozen=True)
class Catalogue:
    """Classes in order of their key; a sense is blank where none is chosen, a label None where undecided."""

    entries: tuple[MappingEntry, ...]

    @property
    def senses(self) -> tuple[str, ...]:
        """The different senses, sorted: a class without one is not clustered."""
        return tuple(sorted({entry.sense for entry in self.entries if entry.sense}))

    @property
    def decided(self) -> Decided:
        return tuple((entry.sense, entry.label) for entry in self.entries if entry.label)


Decided = tuple[tuple[str, str], ...]  # sense and label of each class that is decided


def quality(decided: Decided, group_of: dict[str, int | str]) -> Quality:
    """Of groups given by sense."""
    return clustering.quality([group_of.get(sense) for sense, _ in decided], [label for _, label in decided])


def catalogue() -> Catalogue:
    """One query. A sense that WordNet does not have counts as none. Raises WordNetMissing."""
    nouns = wordnet.nouns()
    found = list(MappingEntry.objects.select_related("scene_class", "hashtag"))
    for entry in found:
        if nouns.index(entry.sense) is None:
            entry.sense = ""
    return Catalogue(tuple(found))


@lru_cache(maxsize=2)
def all_distances(senses: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """n × n distances by kind, from the file of these senses, or computed and written there.

    Raises TooMany, TooFew, WordNetMissing.
    """
    if len(senses) > MOST:
        raise TooMany
    if len(senses) < 2:
        raise TooFew
    name = hashlib.sha256("\n".join((FORMAT, *senses)).encode()).hexdigest()[:24]
    file = Path(settings.VAR_DIR) / "assistants" / f"{name}.npz"
    if file.is_file():
        with np.load(file) as kept:
            return {kind: kept[kind] for kind in KINDS}
    found = _compute(senses)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{np.random.default_rng().integers(1 << 40)}.part")
    with partial.open("wb") as out:
        np.savez(out, **found)  # type: ignore[arg-type]  # its stub mistakes the names for options
    partial.replace(file)  # nobody reads half a file
    return found


def _compute(senses: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    nouns = wordnet.nouns()
    content = similarity.information_content(nouns)
    counted = similarity.similarities(nouns, senses, content.counted, content.depth)
    intrinsic = similarity.similarities(nouns, senses, content.intrinsic, content.depth)
    found = {}
    for kind in KINDS:
        measure, _, other = kind.partition("-")
        found[kind] = clustering.distances((intrinsic if other else counted)[measure], measure)
    return found


@lru_cache(maxsize=64)
def tree(senses: tuple[str, ...], kind: str, method: Method) -> Tree:
    """Raises NotEuclidean for ward where it is not valid, and what all_distances raises."""
    return clustering.cluster(all_distances(senses)[kind], method)


@lru_cache(maxsize=16)
def methods(senses: tuple[str, ...], kind: str) -> tuple[Method, ...]:
    """The methods that are valid for these distances."""
    euclidean = clustering.is_euclidean(all_distances(senses)[kind])
    return tuple(method for method in clustering.METHODS if euclidean or method != "ward")


def topic_groups(senses: Sequence[str]) -> dict[str, int | str]:
    """Sense → its first topic domain, by WordNet itself; most places have none."""
    nouns = wordnet.nouns()
    found: dict[str, int | str] = {}
    for sense in senses:
        place = nouns.index(sense)
        topics = list(nouns.topics(place)) if place is not None else []
        if topics:
            found[sense] = topics[0]
    return found


def domain_groups(senses: Sequence[str]) -> dict[str, int | str] | None:
    """Sense → its first domain of WordNet Domains; None where that is not installed."""
    file = domains.domains_file()
    if file is None:
        return None
    known, nouns = domains.wordnet_domains(file), wordnet.nouns()
    found: dict[str, int | str] = {}
    for sense in senses:
        place = nouns.index(sense)
        names = known.get(int(nouns.offsets[place]), ()) if place is not None else ()
        if names:
            found[sense] = names[0]
    return found


@lru_cache(maxsize=16)
def measure_all(senses: tuple[str, ...], decided: Decided, clusters: int) -> list[Measured]:
    """Every assistant that works here, clusterings cut into that many clusters; best ari first."""
    found = [Measured("topic domains", quality(decided, topic_groups(senses)))]
    by_domain = domain_groups(senses)
    if by_domain is not None:
        found.append(Measured("WordNet Domains, the first", quality(decided, by_domain)))
    for kind, name in KINDS.items():
        for method in methods(senses, kind):
            groups = tree(senses, kind, method).cut_by_number(clusters).tolist()
            result = quality(decided, dict(zip(senses, groups, strict=True)))
            found.append(Measured(f"{name}, {method}", result, kind, method))
    return sorted(found, key=lambda row: -row.quality.ari)


@dataclass(frozen=True)
class Cluster:
    number: int
    members: list[MappingEntry]


def clusters_of(shown: Catalogue, groups: NDArray[np.int64]) -> list[Cluster]:
    """Classes by the cluster of their sense, the largest cluster first. groups: one number per sense."""
    number = dict(zip(shown.senses, groups.tolist(), strict=True))
    members = defaultdict(list)
    for entry in shown.entries:
        if entry.sense:
            members[number[entry.sense]].append(entry)
    return sorted(
        (Cluster(n, rows) for n, rows in members.items()), key=lambda c: (-len(c.members), c.number)
    )
