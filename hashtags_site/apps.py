from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "hashtags_site"
    verbose_name = "Scenetag"

    def ready(self) -> None:
        from django.core.checks import register as register_check

        from hashtags_site import places_check, setup
        from jobs.registry import register

        register(setup.JOB, setup.load_as_job)
        register_check(places_check.find_package)
