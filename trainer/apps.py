from django.apps import AppConfig


class TrainerConfig(AppConfig):
    name = "trainer"

    def ready(self) -> None:
        from jobs.registry import register
        from mapping import downstream
        from trainer import for_mapping, photosets, services

        register("trainer.register", photosets.register)
        register("trainer.train", services.supervise)
        register("trainer.export", services.export)
        downstream.register(for_mapping.TrainedFrom())
