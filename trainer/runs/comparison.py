"""Runs side by side: what differs in their recipes, figures, curves, and whether a difference is chance.

Made for a thousand runs at once: the number of queries is constant, and no report is read but those of the
few runs whose hashtags are shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg, Max, OuterRef, Subquery
from django.urls import reverse
from django.utils.http import urlencode

from jobs.models import Job
from trainer.engine.presets import PRESETS, Thesis
from trainer.models import Epoch, TrainingRun
from trainer.runs.choose import MOST, Choice

PAGE = 100  # rows of the table
PICKED = 8  # runs with a colour of their own, and columns of the narrow tables
FROZEN_ONLY = {"backbone", "views", "hidden", "dropout", "scene_loss"}
FINETUNE_ONLY = {"network", "weights", "image_size", "augment", "tta", "tta_strength", "num_workers"}
# A setting → whether it does anything in such a recipe.
CONDITIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "momentum": lambda recipe: recipe.get("optimizer") == "sgd",
    "period": lambda recipe: recipe.get("schedule") == "annealing",
    "lr_min": lambda recipe: recipe.get("schedule") != "constant",
    "stop_epsilon": lambda recipe: recipe.get("stop_after"),
    "tta_strength": lambda recipe: recipe.get("tta"),
    "test_share": lambda recipe: recipe.get("split", "random") == "random",
}
# Figure → is more better? None: neither.
FIGURES: dict[str, bool | None] = {
    "balanced_accuracy": True,
    "accuracy": True,
    "best_epoch": None,
    "minutes": False,
    "photos_per_second": True,
    "memory_mb": False,
}
NOTHING = "–"
# What the rows are made of; none of the large JSON columns.
FIELDS = (
    *("pk", "name", "preset", "recipe", "accuracy", "balanced_accuracy", "code_version"),
    *("photo_set__name", "release__number"),
    *("job__state", "job__started_at", "job__finished_at"),
)


@dataclass
class Row:
    """One run of the comparison. figures: see FIGURES, None where unknown."""

    pk: int
    name: str
    state: str
    preset: str
    thesis: Thesis | None
    settings: dict[str, str]
    figures: dict[str, float | None]
    flatters_itself: bool  # its epoch was chosen by the test photos
    best: set[str] = field(default_factory=set)  # figures in which no other run is better
    color: int | None = None
    is_base: bool = False

    @property
    def url(self) -> str:
        return reverse("trainer:run", args=[self.pk])

    @property
    def state_words(self) -> str:
        return str(Job.State(self.state).label).lower()


def read_rows(choice: Choice) -> list[Row]:
    """The chosen runs, oldest first, at most MOST of them. Two queries."""
    if choice.where is None:
        return []
    runs = list(TrainingRun.objects.filter(choice.where).order_by("pk").values(*FIELDS)[:MOST])
    epochs = Epoch.objects.order_by().filter(run__in=[run["pk"] for run in runs]).values("run")
    epochs = epochs.annotate(speed=Avg("photos_per_second"), memory=Max("memory_mb"))
    measured: dict[int, dict[str, Any]] = {row["run"]: dict(row) for row in epochs}
    rows = [_row(run, measured.get(run["pk"], {})) for run in runs]
    _mark_best(rows)
    return rows


def _row(run: dict[str, Any], measured: dict[str, Any]) -> Row:
    preset = PRESETS.get(run["preset"])
    started, finished = run["job__started_at"], run["job__finished_at"]
    done = run["job__state"] == Job.State.SUCCEEDED
    return Row(
        pk=run["pk"],
        name=run["name"],
        state=run["job__state"],
        preset=preset.title if preset else run["preset"],
        thesis=preset.thesis if preset else None,
        settings=_settings(run),
        figures={
            "balanced_accuracy": run["balanced_accuracy"],
            "accuracy": run["accuracy"],
            "best_epoch": None,  # read where it is shown or sorted by: see add_best_epochs
            "minutes": (finished - started).total_seconds() / 60 if done and started and finished else None,
            "photos_per_second": measured.get("speed"),
            "memory_mb": measured.get("memory"),
        },
        flatters_itself=run["recipe"].get("keep") == "best" or bool(run["recipe"].get("stop_after")),
    )


def _settings(run: dict[str, Any]) -> dict[str, str]:
    """The run's settings by name, in words; a dash for one that has no effect in this recipe."""
    recipe = run["recipe"]
    kind = recipe.get("kind", "frozen")
    rows = {
        "photo set": run["photo_set__name"],
        "release": str(run["release__number"]),
        "code version": run["code_version"] or NOTHING,
    }
    for name, value in recipe.items():
        idle = name in (FINETUNE_ONLY if kind == "frozen" else FROZEN_ONLY)
        counts = CONDITIONS.get(name)
        rows[name.replace("_", " ")] = NOTHING if idle or (counts and not counts(recipe)) else say(value)
    return rows


def say(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _mark_best(rows: Sequence[Row]) -> None:
    for name, more in FIGURES.items():
        values = [row.figures[name] for row in rows if row.figures[name] is not None]
        if more is None or len(values) < 2 or len(set(values)) < 2:
            continue
        best = max(values) if more else min(values)  # type: ignore[type-var]
        for row in rows:
            if row.figures[name] == best:
                row.best.add(name)


SORTS = ("name", "preset", "state", *FIGURES)


def ordered(rows: Sequence[Row], sort: str) -> list[Row]:
    """Sorted by a column of SORTS, "-name" descending; unknown names change nothing. Missing ones last."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        return list(rows)
    if name not in FIGURES:
        return sorted(rows, key=lambda row: str(getattr(row, name)).lower(), reverse=sort.startswith("-"))
    measured_rows = [row for row in rows if row.figures[name] is not None]
    measured_rows.sort(key=lambda row: row.figures[name] or 0.0, reverse=sort.startswith("-"))
    return measured_rows + [row for row in rows if row.figures[name] is None]


# --- what differs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    value: str
    is_other: bool  # than the base run's


@dataclass(frozen=True)
class Value:
    """One value of a setting over many runs; mean: their balanced accuracy's, None if none has ended."""

    value: str
    runs: int
    mean: float | None


def setting_rows(rows: Sequence[Row], base: Row, *, everything: bool) -> list[tuple[str, list[Cell]]]:
    """Settings by name with a cell a run, only those that differ unless everything is asked for."""
    cells = []
    for name in _names(rows):
        values = [row.settings.get(name, NOTHING) for row in rows]
        if everything or len(set(values)) > 1:
            mine = base.settings.get(name, NOTHING)
            cells.append((name, [Cell(value, value != mine) for value in values]))
    return cells


def setting_values(
    rows: Sequence[Row], *, everything: bool, most: int = 12
) -> list[tuple[str, list[Value], int]]:
    """For many runs: settings (differing ones, or all), their commonest values, how many more there are."""
    table = []
    for name in _names(rows):
        groups: dict[str, list[float | None]] = defaultdict(list)
        for row in rows:
            groups[row.settings.get(name, NOTHING)].append(row.figures["balanced_accuracy"])
        if everything or len(groups) > 1:
            counted = Counter({value: len(runs) for value, runs in groups.items()}).most_common(most)
            values = [Value(value, runs, _mean(groups[value])) for value, runs in counted]
            table.append((name, values, len(groups) - len(values)))
    return table


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.settings))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# --- curves -----------------------------------------------------------------------------------


def add_best_epochs(rows: Sequence[Row]) -> None:
    """The epoch that the engine names, or the first with the best accuracy. Two queries."""
    best_epochs = dict(
        TrainingRun.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "report__best_epoch")
    )
    silent = [row.pk for row in rows if best_epochs.get(row.pk) is None]
    best = Epoch.objects.filter(run=OuterRef("pk")).order_by("-accuracy", "number").values("number")[:1]
    best_epochs |= dict(TrainingRun.objects.filter(pk__in=silent).values_list("pk", Subquery(best)))
    for row in rows:
        row.figures["best_epoch"] = best_epochs.get(row.pk)


def best_of(rows: Sequence[Row]) -> Row:
    """The run that others are tested against by default: best balanced accuracy, the older of equals."""
    return max(rows, key=lambda row: row.figures["balanced_accuracy"] or 0.0)


def pick(shown: Sequence[Row], base: Row) -> list[Row]:
    """The runs with a colour: the first of the page, the base run always one of them."""
    first = list(shown[:PICKED])
    picked = first if base in first else [base, *first[: PICKED - 1]]
    for color, row in enumerate(picked):
        row.color = color
    base.is_base = True
    return picked


# --- by hashtag -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recall:
    value: float | None
    is_best: bool


def recall_rows(rows: Sequence[Row]) -> list[tuple[str, list[Recall]]]:
    """Hashtags with the share of their photos that each run finds, the most disputed first. One query."""
    reports = TrainingRun.objects.filter(pk__in=[row.pk for row in rows])
    by_run: dict[int, Mapping[str, float | None]] = {
        pk: {one["label"]: one.get("recall") for one in per_label or []}
        for pk, per_label in reports.values_list("pk", "report__per_label")
    }
    labels = sorted({label for known in by_run.values() for label in known})
    found = []
    for label in labels:
        values = [by_run.get(row.pk, {}).get(label) for row in rows]
        known = [value for value in values if value is not None]
        best = max(known) if len(set(known)) > 1 else None
        spread = max(known) - min(known) if known else 0.0
        found.append((spread, label, [Recall(v, best is not None and v == best) for v in values]))
    found.sort(key=lambda one: (-one[0], one[1]))
    return [(label, cells) for _, label, cells in found]


def address(choice: Choice, **more: object) -> str:
    """The page of the same runs with other settings; empty ones are left out."""
    query = [*choice.query, *((name, str(value)) for name, value in more.items() if value)]
    return f"{reverse('trainer:compare')}?{urlencode(query)}"
