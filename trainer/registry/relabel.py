"""Gives a model the labels of the newest release: the request, and the job that does the work."""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from formats.json_text import from_json, to_json
from formats.storage import for_own_files
from formats.texts import Text
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.processes import run_process
from jobs.queue import enqueue
from mapping.hashtags import blocked_names
from mapping.models import OTHER, Release
from notices.words import shown
from trainer.engine.evaluation.calibrate import NEVER
from trainer.engine.evaluation.scenes import refusal
from trainer.models import TrainedModel
from trainer.programs import engine_command
from trainer.registry.asked import Objections, objections
from trainer.registry.cards import relabelled_card
from trainer.registry.difference import compare_asked, line_of, load
from trainer.registry.files import at_hand, publish
from trainer.runs.start import NotReady
from trainer.stale import stale_models

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST_ASKED = 400  # photos of a campaign that a new model answers, to show the difference


@transaction.atomic
def relabel_model(*, model: TrainedModel, release: int, by: AbstractBaseUser | None) -> TrainedModel:
    """Make another model of this one with the labels of the newest release; a job does the work.

    `release` is the number that the person saw. A second request gives the same model. Raises NotReady if it
    is not the newest any more, if its labels are the model's already, and if the model cannot be relabelled.
    """
    list(TrainedModel.objects.select_for_update().filter(pk=model.pk).values_list("pk"))
    newest = Release.objects.first()
    if newest is None or newest.number != release:
        if newest is None:
            raise NotReady(_("Nothing was done: there is no release. Look at what differs first."))
        raise NotReady(
            _("Nothing was done: release %(number)s is the newest now. Look at what differs first.")
            % {"number": newest.number}
        )
    if earlier_model := TrainedModel.objects.filter(
        derived_from=model, release=newest, job__isnull=False
    ).first():
        return earlier_model
    if not model.is_ready:
        raise NotReady(_("“%(name)s” is not exported yet.") % {"name": model})
    if reason := refusal(model.manifest):
        raise NotReady(
            _("“%(name)s” cannot be relabelled: %(reason)s.") % {"name": model, "reason": shown(reason)}
        )
    if model.pk not in stale_models([model]):
        raise NotReady(_("Its labels are those of release %(number)s already.") % {"number": newest.number})
    name = f"{_stem(model)[:80]}, {newest}"
    job = enqueue(kind="trainer.relabel", title=Text("Relabel “%(name)s”", name=name), by=by)
    new_model = TrainedModel.objects.create(
        name=name,
        job=job,
        derived_from=model,
        is_derived=True,
        release=newest,
        target_precision=model.target_precision,
        promise=model.promise,
        created_by_id=by.pk if by else None,
    )
    Job.objects.filter(pk=job.pk).update(url=new_model.get_absolute_url())
    return new_model


def _kept_lineage(lineage: dict[str, Any]) -> dict[str, Any]:
    """Without what it says of thresholds, which are fitted anew."""
    return {key: value for key, value in lineage.items() if key not in ("thresholds_from", "derived_from")}


def _stem(model: TrainedModel) -> str:
    """The model's name without the release that it was relabelled with."""
    return model.name.removesuffix(f", {model.release}") if model.release else model.name


def relabel(lease: Lease) -> None:
    """The job "trainer.relabel": new sums, thresholds fitted again, raised where people object, and the
    difference to the old model.
    """
    model = TrainedModel.objects.select_related("derived_from", "release").get(job=lease.job)
    source, release = model.derived_from, model.release
    if source is None or release is None:
        raise JobError(
            Text("The model that it has its network from was deleted."), Text("Delete this one, too.")
        )
    lease.beat(message=Text("Adding up scene classes by the new labels"))
    model.folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with lease.long_step(), at_hand(source):  # fetches it, which may take longer than a lease
            pass
    except FileNotFoundError as error:
        raise JobError(
            Text("“%(model)s” has no files.", model=source), Text("Import or export it again.")
        ) from error
    with at_hand(source) as source_folder, for_own_files(), tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "labels.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("key", "label"))
            rows.writerows(release.labels.values_list("scene_key", "label"))
        command = engine_command("relabel", source_folder, table, model.folder)
        run_process(lease, command, lambda _: None)
        fitted = _manifest_of(model)
        people = _ask_people(lease, source, model, fitted)
        if people and people.found:
            least = Path(folder) / "least.json"
            least.write_text(to_json(_least(people)))
            run_process(lease, [*command, "--least", str(least)], lambda _: None)
    manifest = _manifest_of(model)
    if people:
        manifest["relabelled"]["people"] = _told(people, fitted["thresholds"], manifest["thresholds"])
    manifest["lineage"] = {
        **_kept_lineage(source.manifest.get("lineage", {})),
        "relabelled_from": source.name,
        "release": f"{release} ({release.note or 'no note'})",
    }
    model.manifest = manifest
    asked = compare_asked(
        old=source,
        new=model,
        most=MOST_ASKED,
        report=lambda n, of: lease.beat(n, of, Text("Asking both models about the last campaign's photos")),
    )
    if asked:
        manifest["relabelled"]["asked"] = asked
    with lease.long_step():
        publish(model)
    with lease.fenced():
        model.manifest = manifest
        model.card = relabelled_card(source, release, manifest)
        model.save(update_fields=["manifest", "card"])


def _manifest_of(model: TrainedModel) -> dict[str, Any]:
    manifest: dict[str, Any] = from_json((model.folder / "manifest.json").read_text())
    return manifest


def _ask_people(
    lease: Lease, source: TrainedModel, model: TrainedModel, manifest: dict[str, Any]
) -> Objections | None:
    """What votes say against the thresholds of the new model: those of the newest campaign about the old
    model, or the nearest one that it comes from.
    """
    groups = [group["hashtags"] for group in manifest.get("promise", {}).get("groups", ())]
    network = load(model)

    def suggest(photos: Sequence[bytes]) -> list[tuple[str | None, float]]:
        lease.beat(message=Text("Asking about photos that people have judged"))
        answers = network.suggest(photos, blocked=blocked_names)
        return [(answer.hashtag, answer.confidence or 0.0) for answer in answers]

    found = (
        objections(one.pk, groups=groups, target=manifest["target_precision"], suggest=suggest)
        for one in line_of(source)
    )
    return next((one for one in found if one), None)


def _least(people: Objections) -> dict[str, float]:
    return {name: NEVER if one.least is None else one.least for one in people.found for name in one.hashtags}


def _told(people: Objections, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """For the page: which thresholds people raised, by how many judged photos."""
    raised = [
        {"hashtag": name, "before": before[name], "after": after[name], "judged": one.judged}
        | {"fitting": one.fitting, "together": len(one.hashtags)}
        for one in people.found
        for name in one.hashtags
        if name in after and after[name] > before[name]
    ]
    facts = {key: getattr(people, key) for key in ("name", "url", "photos", "people")}
    return facts | {"raised": raised}


@dataclass(frozen=True)
class Changes:
    """What relabelling changed, for the page of the new model.

    before: the old model as it was, judged by the new labels; after: the new one, cross-fitted. Both have
    `coverage`, `precision` and `tagged_other`. hashtags: name, classes that it gains, classes that it loses.
    """

    release: Release
    hashtags: list[tuple[str, list[str], list[str]]]
    left_out: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    photos: int
    changed: int
    gained: int
    lost: int
    asked: dict[str, Any] | None
    people: dict[str, Any] | None

    @property
    def another(self) -> int:
        """Photos with another hashtag than before."""
        return self.changed - self.gained - self.lost

    @property
    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (_("the old one, with its thresholds"), self.before),
            (_("this one, cross-fitted"), self.after),
        ]


def changes_of(model: TrainedModel) -> Changes | None:
    """None for a model that was not relabelled here, or is not ready."""
    facts = model.manifest.get("relabelled")
    if not facts or model.release is None:
        return None
    gains: dict[str, list[str]] = defaultdict(list)
    losses: dict[str, list[str]] = defaultdict(list)
    for scene, before, after in facts["moves"]:
        losses[before].append(scene)
        gains[after].append(scene)
    names = sorted(gains.keys() | losses.keys(), key=lambda name: (name == OTHER, name))
    return Changes(
        release=model.release,
        hashtags=[(name, gains.get(name, []), losses.get(name, [])) for name in names],
        left_out=facts["left_out"],
        before=facts["old_model"],
        after=model.manifest["held_out"],
        **{name: facts[name] for name in ("photos", "changed", "gained", "lost")},
        asked=facts.get("asked"),
        people=facts.get("people"),
    )
