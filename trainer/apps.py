from django.apps import AppConfig


class TrainerConfig(AppConfig):
    name = "trainer"

    def ready(self) -> None:
        from django.conf import settings

        from jobs.registry import register
        from mapping import downstream
        from trainer import for_mapping, looks
        from trainer.photosets import registration
        from trainer.registry import export, files, relabel
        from trainer.runs import features, supervision, teachers

        register("trainer.register", registration.register)
        register("trainer.look", looks.look, slots=1, shards=looks.looking)
        register(
            "trainer.train",
            supervision.supervise,
            slots=settings.TRAINING_SLOTS,
            shards=features.computing,
            event="run.ended",
        )
        register("trainer.export", export.export)
        register("trainer.relabel", relabel.relabel)
        downstream.register(for_mapping.PhotosAndRuns())
        teachers.register(files.at_hand)
