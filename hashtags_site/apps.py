from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "hashtags_site"
    verbose_name = "Scenetag"

    def ready(self) -> None:
        from hashtags_site import setup
        from jobs.registry import register

        register(setup.JOB, setup.load_as_job)
