"""Start a run: from a preset, or from another run with something changed."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from formats.numbers import read_number
from mapping.models import OTHER, Release
from mapping.views.figures import figure_file
from people.request import Request
from trainer.engine.presets import DEFAULT_PRESET, PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine_words import translated
from trainer.forms import RunForm
from trainer.models import PhotoSet, TrainingRun
from trainer.photosets.registration import photos_per_label
from trainer.runs import start, study
from trainer.runs.figures import chart_figure, find_chart
from trainer.runs.same import SameRunExists
from trainer.runs.settings_form import SettingsForm, differences

Row = TypeVar("Row", PhotoSet, Release)
FEW = 10  # photos of a label; with fewer, the fifth held out says little about it


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("trainer.add_trainingrun", raise_exception=True)
def new_run(request: Request) -> HttpResponse:
    """The form; for htmx only the part that changes with a choice."""
    if request.method == "POST":
        return _start(request)
    source = _source(request.GET.get("based_on", ""))
    form = RunForm(initial=_initial(request.GET, source))
    settings = _settings(request.GET, str(form["preset"].value()), source)
    template = "trainer/_run_form.html" if request.htmx else "trainer/new_run.html"
    return render(request, template, _context(form, settings, source, request.GET))


@require_safe
@permission_required("trainer.add_trainingrun", raise_exception=True)
def planned_rate(request: Request) -> HttpResponse:
    """The learning rate over the epochs, by the settings as typed so far."""
    settings = _typed_settings(request)
    return render(request, "trainer/_rate.html", {"settings": settings} | _rate(settings, request.GET))


@require_safe
@permission_required("trainer.add_trainingrun", raise_exception=True)
def rate_figure(request: Request, name: str, kind: str) -> HttpResponse:
    """The same as a file; kind is "svg" or "csv"."""
    with translation.override("en"):  # files are English
        chart = study.rate_chart(_typed_settings(request).recipe)
    found = find_chart([chart] if chart else [], name)
    return figure_file(chart_figure(found, f"planned-{name}") if found else None, kind)


def _typed_settings(request: Request) -> SettingsForm:
    source = _source(request.GET.get("based_on", ""), strict=False)
    return _settings(request.GET, request.GET.get("preset", DEFAULT_PRESET), source)


def _rate(settings: SettingsForm, query: QueryDict) -> dict[str, Any]:
    """The chart of the planned learning rate, and where it is as a file."""
    query = query.copy()
    query.pop("csrfmiddlewaretoken", None)
    return {
        "rate_chart": study.rate_chart(settings.recipe),
        "rate_figures": reverse("trainer:new_run") + "figures/",
        "rate_query": f"?{query.urlencode()}",
    }


def _start(request: Request) -> HttpResponse:
    form = RunForm(request.POST)
    preset = request.POST.get("preset", "")
    recipe, form_preset = _read_origin(request.POST.get("filled_from", preset))
    base = PRESETS[preset].recipe if preset in PRESETS and preset != form_preset else recipe
    # Without this field the settings were not on the page, so the preset is used unchanged.
    has_settings = "filled_from" in request.POST
    same = None
    settings = SettingsForm(recipe, base, request.POST if has_settings else None)
    if form.is_valid() and (not has_settings or settings.is_valid()):
        try:
            run = start.start_run(
                by=request.user,
                recipe=settings.recipe.as_dict(),
                despite=read_number(request.POST.get("despite")),
                **form.cleaned_data,
            )
            if words := run.job.misfit:
                messages.warning(request, _("The run waits: %(why)s") % {"why": words})
            return redirect(run)
        except start.NotReady as error:
            form.add_error("photo_set", str(error))
        except SameRunExists as error:
            same = error.run
    source = _source(request.POST.get("based_on", ""), strict=False)
    context = _context(form, settings, source, request.POST) | {"same": same}
    return render(request, "trainer/new_run.html", context, status=409 if same else 422)


def _source(pk: str, *, strict: bool = True) -> TrainingRun | None:
    """The run that the new one is based on. Raises Http404 if `strict` and there is no such run."""
    number = read_number(pk)
    run = None if number is None else TrainingRun.objects.filter(pk=number).first()
    if pk and not run and strict:
        raise Http404
    return run


def _initial(query: QueryDict, source: TrainingRun | None) -> dict[str, Any]:
    newest = PhotoSet.objects.with_photos().first()
    initial = {
        "photo_set": newest.pk if newest else None,
        "release": Release.objects.values_list("pk", flat=True).first(),
        "preset": DEFAULT_PRESET,
        "name": "",
    }
    if source:
        usable = PhotoSet.objects.with_photos().filter(pk=source.photo_set_id).exists()
        initial |= {"release": source.release_id, "name": source.name, "based_on": source.pk}
        initial |= {"photo_set": source.photo_set_id} if usable else {}
        initial |= {"preset": source.preset} if source.preset in PRESETS else {}
    choices = {name: query[name] for name in ("photo_set", "release", "preset") if query.get(name)}
    return initial | choices | ({"name": query["name"]} if "name" in query else {})


def _settings(query: QueryDict, preset: str, source: TrainingRun | None) -> SettingsForm:
    """The settings as typed so far; filled in afresh if another preset was chosen."""
    if "filled_from" in query:
        recipe, form_preset = _read_origin(query.get("filled_from", ""))
        if form_preset == preset:
            form = SettingsForm(recipe, data=query)
            form.is_valid()
            return form
        return SettingsForm(_read_origin(preset)[0])
    keeps_recipe = source and "preset" not in query
    return SettingsForm(study.recipe_of(source) if source and keeps_recipe else _read_origin(preset)[0])


def _read_origin(text: str) -> tuple[Recipe, str]:
    """The recipe that filled the settings and the preset chosen then, from "preset" or "run:preset"."""
    pk, _, preset = text.rpartition(":")
    if pk and (source := _source(pk, strict=False)):
        return study.recipe_of(source), preset
    return PRESETS.get(preset, PRESETS[DEFAULT_PRESET]).recipe, preset


def _context(
    form: RunForm, settings: SettingsForm, source: TrainingRun | None, query: QueryDict
) -> dict[str, Any]:
    photo_sets, releases = list(PhotoSet.objects.with_photos()), list(Release.objects.all())
    photo_set = _find_row(form["photo_set"].value(), photo_sets)
    release = _find_row(form["release"].value(), releases)
    preset = str(form["preset"].value())
    filled_from = query.get("filled_from", "")
    if filled_from.rpartition(":")[2] != preset and not form.is_bound:
        filled_from = f"{source.pk}:{preset}" if source and "filled_from" not in query else preset
    context: dict[str, Any] = {
        "form": form,
        "settings": settings,
        "settings_open": bool(settings.errors) or query.get("settings") == "open",
        "filled_from": filled_from or preset,
        "source": source,
        "chosen_preset": preset,
        "photo_sets": photo_sets,
        "releases": releases,
        "photo_set": photo_set,
        "release": release,
    }
    if preset in PRESETS and not settings.errors:
        context["changed"] = differences(settings.recipe.as_dict(), PRESETS[preset].recipe.as_dict())
    context |= _rate(settings, query)
    context |= training_photos(photo_set, release)
    seconds = study.expected_seconds(context.get("photos", 0))
    context["preset_groups"] = preset_groups(seconds)
    return context


def training_photos(photo_set: PhotoSet | None, release: Release | None) -> dict[str, Any]:
    """Photos per hashtag and photos without a label, shown before a run is started."""
    if not photo_set or not release:
        return {}
    labels = dict(release.labels.values_list("scene_key", "label"))
    per_label, left_out = photos_per_label(photo_set, labels)
    return {
        "photos": per_label.total(),
        "hashtags": len(per_label.keys() - {OTHER}),
        "bars": study.bars(per_label, few=FEW),
        "left_out": left_out.total(),
        "left_out_classes": len(left_out),
        "enough": len(per_label) > 1,
    }


def preset_groups(seconds: dict[str, float]) -> list[dict[str, Any]]:
    """The everyday presets, then the thesis's tables, each preset with the seconds such a run takes here."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for preset in PRESETS.values():
        row = {"preset": preset, "description": translated(preset.description)}
        groups.setdefault(preset.table, []).append(row | {"seconds": seconds.get(preset.name)})
    words = {
        0: _("Everyday"),
        3: _("Table 3 of the thesis: six networks"),
        4: _("Table 4: ResNet 34, refined"),
    }
    return [{"table": table, "title": words[table], "rows": rows} for table, rows in groups.items()]


def _find_row(value: object, rows: list[Row]) -> Row | None:
    return next((row for row in rows if str(row.pk) == str(value)), None)
