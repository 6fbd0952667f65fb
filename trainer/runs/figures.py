"""Charts of runs as files; of one run also the thesis's figures 6 (posts), 7 (photos), 9 (learning rate)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.utils import translation
from django.utils.text import slugify

from mapping.figures import Figure, bar_figure
from mapping.models import Hashtag
from trainer.models import TrainingRun
from trainer.runs.charts import Chart
from trainer.runs.study import charts_of

COLOURS = (  # by the classes of a chart's lines: the light ones of trainer.css and compare.css
    *(("line-0", "#1d5a96"), ("line-1", "#17694e"), ("line-2", "#56606b")),
    *(("pick-0", "#17694e"), ("pick-1", "#b0450f"), ("pick-2", "#1d5a96"), ("pick-3", "#8a2f86")),
    *(("pick-4", "#7a5200"), ("pick-5", "#a12622"), ("pick-6", "#4a4f9c"), ("pick-7", "#56606b")),
    ("pick-rest", "#c6cbd0"),
)
LEGEND_ROW = 20  # px
MOST_NAMED = 10  # lines in a legend


def chart_figure(chart: Chart, name: str, title: str = "") -> Figure:
    """The chart's lines; the CSV has a column for each, and a row for each place on the x axis."""
    named = [line for line in chart.lines if line.css != "pick-rest"][:MOST_NAMED] if chart.lines[1:] else []
    legend = [
        {"css": line.css, "name": line.name, "y": chart.height + 8 + LEGEND_ROW * at}
        for at, line in enumerate(named)
    ]
    context = {"title": title or chart.title, "chart": chart, "legend": legend, "colours": COLOURS}
    # 20 px to the left for long numbers, and 30 above for the title.
    context |= {"width": chart.width + 20, "height": chart.height + 30 + LEGEND_ROW * len(legend)}
    values = [dict(line.values) for line in chart.lines]
    places = sorted({x for line in values for x in line})
    rows = [[f"{x:g}", *(line.get(x, "") for line in values)] for x in places]
    return Figure(
        name, "trainer/chart.svg", context, [[chart.x_title, *(c.name for c in chart.lines)], *rows]
    )


def find_chart(charts: Iterable[Chart], slug: str) -> Chart | None:
    """The chart whose title makes this slug."""
    return next((chart for chart in charts if slugify(chart.title) == slug), None)


def run_figure(run: TrainingRun, name: str, target: str = "") -> Figure | None:
    """A chart of the run's page, at a target precision, by the slug of its title; None for another name."""
    with translation.override("en"):  # files are English
        chart = find_chart(charts_of(run, target), name)
    return chart_figure(chart, f"run-{run.pk}-{name}", f"{chart.title}, {run.name}") if chart else None


def label_figure(run: TrainingRun, name: str, per_label: Counter[str]) -> Figure:
    """Of the labels of the run's photos: "posts" (figure 6) or "photos" (figure 7)."""
    if name == "photos":
        title = f"Photos per hashtag, {run.name}"
        return bar_figure(f"run-{run.pk}-figure-7-photos", title, "photos", per_label.most_common())
    rows = Hashtag.objects.filter(name__in=per_label).order_by("-posts", "name").values_list("name", "posts")
    return bar_figure(f"run-{run.pk}-figure-6-posts", f"Posts per hashtag, {run.name}", "posts", rows)
