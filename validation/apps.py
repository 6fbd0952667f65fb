from django.apps import AppConfig


class ValidationConfig(AppConfig):
    name = "validation"

    def ready(self) -> None:
        from jobs.registry import register
        from mapping import doubts
        from trainer import dependents
        from validation import for_mapping, for_trainer, intake, services

        register(services.PREDICT, services.predict)
        register(intake.INTAKE, intake.take_all_in)
        dependents.register(for_trainer.Judged())
        doubts.register(for_mapping.Voters())
