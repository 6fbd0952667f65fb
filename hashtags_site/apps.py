from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "hashtags_site"
    verbose_name = "Scenetag"
