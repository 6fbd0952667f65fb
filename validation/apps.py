from django.apps import AppConfig


class ValidationConfig(AppConfig):
    name = "validation"

    def ready(self) -> None:
        from jobs.registry import register
        from validation import services

        register(services.PREDICT, services.predict)
