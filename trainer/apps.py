from django.apps import AppConfig


class TrainerConfig(AppConfig):
    name = "trainer"

    def ready(self) -> None:
        from django.conf import settings

        from jobs.registry import register
        from mapping import downstream
        from trainer import for_mapping, photosets, registry, supervising

        register("trainer.register", photosets.register)
        register("trainer.train", supervising.supervise, slots=settings.TRAINING_SLOTS)
        register("trainer.export", registry.export)
        downstream.register(for_mapping.TrainedFrom())
