"""Runs side by side: their settings, figures and recalls by hashtag.

Made for a thousand runs at once: the number of queries is constant, and reports are read only of the few runs
whose hashtags are shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg, Case, F, Max, OuterRef, Subquery, When
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext

from jobs.models import Job
from trainer.engine.presets import PRESETS, Thesis
from trainer.engine.recipe import ONLY
from trainer.models import Epoch, TrainingRun
from trainer.runs.choose import MOST, Choice
from trainer.runs.settings_form import SETTINGS

PAGE = 100  # rows of the table
COLORS = 8  # runs with a colour of their own, and columns of the narrow tables
# Setting → whether it has an effect in a recipe.
CONDITIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "momentum": lambda recipe: recipe.get("optimizer") == "sgd",
    "period": lambda recipe: recipe.get("schedule") == "annealing",
    "lr_min": lambda recipe: recipe.get("schedule") != "constant",
    "stop_epsilon": lambda recipe: recipe.get("stop_after"),
    "tta_strength": lambda recipe: recipe.get("tta"),
    "teacher_temperature": lambda recipe: recipe.get("teacher_weight"),
    "test_share": lambda recipe: recipe.get("split", "random") == "random",
}
# Settings that came later, with the value that older runs had without naming it.
LATER = {
    **{"loss": "cross_entropy", "test_every": 1},
    **{"processes": 1, "nodes": 1, "sync_batchnorm": False},
    **{"teacher": "", "teacher_weight": 0.0},
}
# Figure → whether more is better. None: neither is.
FIGURES: dict[str, bool | None] = {
    "balanced_accuracy": True,
    "accuracy": True,
    "best_epoch": None,
    "minutes": False,
    "photos_per_second": True,
    "memory_mb": False,
}
NOTHING = "–"
# The columns that rows are made of; none of the large JSON columns.
FIELDS = (
    *("pk", "name", "preset", "recipe", "accuracy", "balanced_accuracy", "code_version"),
    *("photo_set__name", "release__number"),
    *("job__state", "job__started_at", "job__finished_at"),
)


@dataclass
class Source:
    """What runs learned from. figures: where the charts of one of these runs are, as files."""

    photo_set: str
    release: str
    figures: str
    count: int = 0


@dataclass
class Row:
    """One run of the comparison. figures: by the names in FIGURES; None if unknown."""

    pk: int
    name: str
    state: str
    preset: str
    thesis: Thesis | None
    settings: dict[str, str]
    figures: dict[str, float | None]
    flatters_itself: bool  # the test photos decided which epoch was kept
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
    measures: dict[int, dict[str, Any]] = {row["run"]: dict(row) for row in epochs}
    rows = [_row(run, measures.get(run["pk"], {})) for run in runs]
    _mark_best(rows)
    return rows


def _row(run: dict[str, Any], measures: dict[str, Any]) -> Row:
    preset = PRESETS.get(run["preset"])
    start, end = run["job__started_at"], run["job__finished_at"]
    has_succeeded = run["job__state"] == Job.State.SUCCEEDED
    seconds = (end - start).total_seconds() if has_succeeded and start and end else None
    return Row(
        pk=run["pk"],
        name=run["name"],
        state=run["job__state"],
        preset=gettext(preset.title) if preset else run["preset"],
        thesis=preset.thesis if preset else None,
        settings=_settings(run),
        figures={
            "balanced_accuracy": run["balanced_accuracy"],
            "accuracy": run["accuracy"],
            "best_epoch": None,  # read only if shown or sorted by: see add_best_epochs
            "minutes": None if seconds is None else seconds / 60,
            "photos_per_second": measures.get("speed"),
            "memory_mb": measures.get("memory"),
        },
        flatters_itself=run["recipe"].get("keep") == "best" or bool(run["recipe"].get("stop_after")),
    )


def sources_of(rows: Iterable[Row]) -> list[Source]:
    """The photo sets and releases that the runs learned from, in the order of the rows. No query."""
    sources: dict[tuple[str, str], Source] = {}
    for row in rows:
        pair = row.settings["photo_set"], row.settings["release"]
        source = sources.setdefault(pair, Source(*pair, figures=f"{row.url}figures/"))
        source.count += 1
    return list(sources.values())


def _settings(run: dict[str, Any]) -> dict[str, str]:
    """The run's settings by name, as text; a dash for a setting without effect in this recipe."""
    recipe = LATER | run["recipe"]
    rows = {
        "photo_set": run["photo_set__name"],
        "release": str(run["release__number"]),
        "code_version": run["code_version"] or NOTHING,
    }
    for name, value in recipe.items():
        rows[name] = format_setting(value) if has_effect(name, recipe) else NOTHING
    return rows


def setting_words(name: str) -> str:
    """What pages call a setting: in English by its name in the recipe, otherwise as the form does."""
    words = {
        "photo_set": gettext("photo set"),
        "release": gettext("release"),
        "code_version": gettext("code version"),
    }
    if name in words:
        return words[name]
    if name in SETTINGS and get_language() not in (None, "en"):
        return str(SETTINGS[name].label)
    return name.replace("_", " ")


def settings_with_effect(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value as text) of the settings that a training by this recipe obeys, in the recipe's order."""
    return [
        (setting_words(name), format_setting(value))
        for name, value in recipe.items()
        if has_effect(name, recipe)
    ]


def has_effect(name: str, recipe: dict[str, Any]) -> bool:
    """Whether a training by this recipe obeys the setting."""
    if name in ONLY["finetune" if recipe.get("kind", "frozen") == "frozen" else "frozen"]:
        return False
    condition = CONDITIONS.get(name)
    return condition is None or bool(condition(recipe))


def format_setting(value: object) -> str:
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


def sort_rows(rows: Sequence[Row], sort: str) -> list[Row]:
    """The rows sorted by a column of SORTS, "-name" descending; an unknown name keeps their order.

    Rows without the figure come last.
    """
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
    """One value of a setting in many runs; mean: of their balanced accuracies, None if none has ended."""

    value: str
    runs: int
    mean: float | None


def setting_rows(rows: Sequence[Row], base: Row, *, everything: bool) -> list[tuple[str, list[Cell]]]:
    """Settings by name with a cell per run: those that differ, or all of them (`everything`)."""
    cells = []
    for name in _names(rows):
        values = [row.settings.get(name, NOTHING) for row in rows]
        if everything or len(set(values)) > 1:
            base_value = base.settings.get(name, NOTHING)
            cells.append((setting_words(name), [Cell(value, value != base_value) for value in values]))
    return cells


def setting_values(
    rows: Sequence[Row], *, everything: bool, most: int = 12
) -> list[tuple[str, list[Value], int]]:
    """For many runs: (setting, its commonest values, how many more values there are).

    Lists the settings that differ, or all of them (`everything`).
    """
    table = []
    for name in _names(rows):
        groups: dict[str, list[float | None]] = defaultdict(list)
        for row in rows:
            groups[row.settings.get(name, NOTHING)].append(row.figures["balanced_accuracy"])
        if everything or len(groups) > 1:
            counts = Counter({value: len(runs) for value, runs in groups.items()}).most_common(most)
            values = [Value(value, runs, _mean(groups[value])) for value, runs in counts]
            table.append((setting_words(name), values, len(groups) - len(values)))
    return table


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.settings))


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


# --- curves -----------------------------------------------------------------------------------


def add_best_epochs(rows: Sequence[Row]) -> None:
    """Add the best epoch: from the engine's report, or else the first that is best by its recipe's metric.

    Two queries.
    """
    best_epochs = dict(
        TrainingRun.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "report__best_epoch")
    )
    without = [row.pk for row in rows if best_epochs.get(row.pk) is None]
    value = Case(
        When(run__recipe__stop_metric="balanced_accuracy", then=F("balanced_accuracy")), default=F("accuracy")
    )
    tested = Epoch.objects.filter(run=OuterRef("pk"), accuracy__isnull=False)
    best = tested.order_by(value.desc(), "number").values("number")[:1]
    best_epochs |= dict(TrainingRun.objects.filter(pk__in=without).values_list("pk", Subquery(best)))
    for row in rows:
        row.figures["best_epoch"] = best_epochs.get(row.pk)


def best_of(rows: Sequence[Row]) -> Row:
    """The run that others are tested against by default: the best balanced accuracy, the older of equals."""
    return max(rows, key=lambda row: row.figures["balanced_accuracy"] or 0.0)


def assign_colors(page_rows: Sequence[Row], base: Row) -> list[Row]:
    """Give the first runs of the page a colour, and the base run in any case; returns these runs."""
    first = list(page_rows[:COLORS])
    rows = first if base in first else [base, *first[: COLORS - 1]]
    for color, row in enumerate(rows):
        row.color = color
    base.is_base = True
    return rows


# --- by hashtag -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recall:
    value: float | None
    is_best: bool


def recall_rows(rows: Sequence[Row]) -> list[tuple[str, list[Recall]]]:
    """Hashtags with each run's recall, those where runs differ most first. One query."""
    reports = TrainingRun.objects.filter(pk__in=[row.pk for row in rows])
    by_run: dict[int, Mapping[str, float | None]] = {
        pk: {one["label"]: one.get("recall") for one in per_label or []}
        for pk, per_label in reports.values_list("pk", "report__per_label")
    }
    labels = sorted({label for recalls in by_run.values() for label in recalls})
    table = []
    for label in labels:
        values = [by_run.get(row.pk, {}).get(label) for row in rows]
        numbers = [value for value in values if value is not None]
        best = max(numbers) if len(set(numbers)) > 1 else None
        spread = max(numbers) - min(numbers) if numbers else 0.0
        table.append((spread, label, [Recall(v, best is not None and v == best) for v in values]))
    table.sort(key=lambda one: (-one[0], one[1]))
    return [(label, cells) for _, label, cells in table]


def address(choice: Choice, **more: object) -> str:
    """The address of the page of the same runs with other parameters; empty ones are left out."""
    query = [*choice.query, *((name, str(value)) for name, value in more.items() if value)]
    return f"{reverse('trainer:compare')}?{urlencode(query)}"
