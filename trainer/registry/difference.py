"""What two models answer on the photos of the last campaign that asked about either of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from mapping.hashtags import blocked_names
from trainer.models import TrainedModel
from trainer.registry.asked import AskedPhoto, last_asked
from trainer.registry.files import at_hand

BATCH = 16  # photos between two reports


def compare_asked(
    *,
    old: TrainedModel,
    new: TrainedModel,
    most: int,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, Any] | None:
    """What both models suggest for up to `most` photos of the old one's last campaign, and how often people
    find it fitting. A model derived from another one, with thresholds or labels of its own, has often no
    campaign yet: then it is its parent's. If the old one's line has none, it is that of the new one's line;
    None if neither has any. `report` hears how many photos of how many are done.

    This only reports: votes are about hashtags that a model suggested once, so thresholds that were fitted on
    them would trust the new hashtags for want of votes against them.
    """
    found = (
        (asked, model) for model in (*line_of(old), *line_of(new)) if (asked := last_asked(model.pk, most))
    )
    asked, predictor = next(found, (None, None))
    if asked is None:
        return None
    # Their own networks: the process keeps that of the active model.
    network = load(new)
    earlier_network = None if predictor == old else load(old)
    changed, n_done = 0, 0
    judged: dict[str, list[float]] = {"old": [], "new": []}
    while batch := list(islice(asked.photos, BATCH)):
        if earlier_network:
            before = _suggest(earlier_network, batch)
        else:
            before = [photo.suggestion for photo in batch]
        for photo, earlier, hashtag in zip(batch, before, _suggest(network, batch), strict=True):
            changed += hashtag != earlier
            for name, suggestion in (("old", earlier), ("new", hashtag)):
                if suggestion is not None and suggestion in photo.answers:
                    judged[name].append(photo.answers[suggestion])
        n_done += len(batch)
        if report:
            report(n_done, asked.drawn)
    return {
        "name": asked.name,
        "url": asked.url,
        "total": asked.total,
        "photos": n_done,
        "changed": changed,
        "judged": {name: len(values) for name, values in judged.items()},
        "fit": {name: sum(values) / len(values) if values else None for name, values in judged.items()},
    }


def load(model: TrainedModel) -> Any:
    from trainer.engine.serving.predict import Suggester  # ONNX Runtime: only where suggestions are made

    if (
        model.folder / "manifest.json"
    ).exists():  # also one that is just being made, which no machine shares yet
        return Suggester(model.folder, threads=1)
    with at_hand(model) as folder:
        return Suggester(folder, threads=1)


def line_of(model: TrainedModel | None) -> Iterator[TrainedModel]:
    """The model and those that it comes from, the nearest first."""
    while model is not None:
        yield model
        model = model.derived_from


def _suggest(network: Any, photos: list[AskedPhoto]) -> list[str | None]:
    answers = network.suggest((photo.content for photo in photos), blocked=blocked_names)
    return [answer.hashtag for answer in answers]
