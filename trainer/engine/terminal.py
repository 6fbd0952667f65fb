"""Shows events to people: a progress bar and one line per epoch, on standard error."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

HOW_TO_CONTINUE = "Stopped. The same command continues from the checkpoint."


class Screen:
    """Receives every event of the engine (``events.listen``) and shows what matters to a person."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.phase = ""
        self.skipped = 0

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        show = getattr(self, f"on_{event}", None)
        if show is not None:
            show(fields)

    def say(self, words: str) -> None:
        tqdm.write(words, file=sys.stderr)

    def advance(self, phase: str, done: int, total: int, note: str = "") -> None:
        if self.bar is None or self.phase != phase or self.bar.total != total:
            self.close()
            # A resumed run begins in the middle; without `initial`, tqdm would count its pace from the first
            # photo.
            self.bar, self.phase = tqdm(total=total, desc=phase, initial=done, leave=False), phase
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_started(self, fields: dict[str, Any]) -> None:
        again = ", continuing from the checkpoint" if fields["resumed"] else ""
        labels = len(fields["labels"])
        self.say(f"{fields['train']:,} training photos, {fields['test']:,} held out, {labels} labels{again}")

    def on_progress(self, fields: dict[str, Any]) -> None:
        self.advance(fields["phase"], fields["done"], fields["total"])

    def on_step(self, fields: dict[str, Any]) -> None:
        pace = f"loss {fields['loss']:.3f}, {fields['photos_per_second']:.0f} photos/s"
        self.advance("training", fields["step"], fields["steps"], pace)

    def on_epoch(self, fields: dict[str, Any]) -> None:
        figures = "not tested"
        if fields["accuracy"] is not None:
            figures = f"accuracy {fields['accuracy']:.3f}  balanced {fields['balanced_accuracy']:.3f}"
        self.say(
            f"epoch {fields['epoch']:>3} of {fields['epochs']}  loss {fields['loss']:.4f}  {figures}  "
            f"rate {fields['lr']:.3g}  {fields['photos_per_second']:.0f} photos/s"
        )

    def on_skipped(self, fields: dict[str, Any]) -> None:
        self.skipped += 1
        if self.skipped <= 10:
            self.say(f"left out: {fields['photo_id']}: {fields['reason']}")

    def on_left_out(self, fields: dict[str, Any]) -> None:
        self.say(
            f"{fields['photos']:,} photos of {len(fields['classes'])} classes have no label and are left out"
        )

    def on_train_only(self, fields: dict[str, Any]) -> None:
        classes = fields["classes"]
        names = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        self.say(f"no photo is held out of {len(classes)} classes, which only train: {names}")

    def on_masks(self, fields: dict[str, Any]) -> None:
        faults = f", {fields['unusable']:,} files cannot be used" if fields["unusable"] else ""
        self.say(f"{fields['with_masks']:,} of {fields['photos']:,} training photos have masks{faults}")

    def on_pseudo_labels(self, fields: dict[str, Any]) -> None:
        self.say(f"{fields['labelled']:,} of {fields['unlabelled']:,} photos without labels get one")

    def on_compared(self, fields: dict[str, Any]) -> None:
        kept = "kept" if fields["kept"] else "not kept"
        self.say(
            f"second training {kept}: {fields['only_again']:,} photos are right only with it, "
            f"{fields['only_first']:,} only without, p = {fields['p']:.3f}"
        )

    def on_waiting(self, fields: dict[str, Any]) -> None:
        self.say(f"Waiting: {fields['reason']}")

    def on_stopped_early(self, fields: dict[str, Any]) -> None:
        self.say(f"Stopped after epoch {fields['epoch']}: {fields['reason']}")

    def on_stopped(self, fields: dict[str, Any]) -> None:
        self.close()
        self.say(HOW_TO_CONTINUE)

    def on_error(self, fields: dict[str, Any]) -> None:
        self.close()
        self.say(f"Error: {fields['message']}")
        if fields["hint"]:
            self.say(fields["hint"])

    def on_done(self, fields: dict[str, Any]) -> None:
        self.close()
        if self.skipped > 10:
            self.say(f"{self.skipped} photos were left out in all")
        if "accuracy" in fields:
            balanced = fields["balanced_accuracy"]
            self.say(f"Done: accuracy {fields['accuracy']:.3f}, balanced accuracy {balanced:.3f}")
        else:
            self.say("Done")
