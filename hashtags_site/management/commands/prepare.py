"""`manage.py prepare`: what a start needs in the database. Safe to repeat; a repeat takes a second."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hashtags_site.demo import prepare_demo
from mapping.files.catalogue import load_catalogue
from mapping.models import Hashtag, SceneClass
from trainer.registry.starter import install_starters
from validation.campaigns.questions import make_missing_questions


class Command(BaseCommand):
    help = "Load the SUN397 catalogue and the starter models; with --demo sample photos and accounts too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        load_catalogue()
        classes, hashtags = SceneClass.objects.count(), Hashtag.objects.count()
        self.stdout.write(f"The catalogue is loaded: {classes:,} scene classes, {hashtags:,} hashtags.")
        try:
            models = install_starters(warn=self._warn)
        except Exception as error:
            raise CommandError(f"A starter model could not be installed: {error}") from error
        for model in models:
            self.stdout.write(f"Model: {model.name}")
        if not models:
            self.stderr.write("No starter model: the weights of no backbone are here.")
        make_missing_questions()
        if options["demo"]:
            for line in prepare_demo():
                self.stdout.write(line)

    def _warn(self, reason: str) -> None:
        self.stderr.write(f"A starter model could not be installed. {reason}")
