from django.apps import AppConfig


class ServingConfig(AppConfig):
    name = "serving"

    def ready(self) -> None:
        from serving import for_trainer
        from trainer.registry import dependents

        dependents.register(for_trainer.ModelsInUse())
