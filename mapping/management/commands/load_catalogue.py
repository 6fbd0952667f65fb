from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mapping.files.catalogue import CatalogueError, load_catalogue


class Command(BaseCommand):
    help = "Load the SUN397 classes, the thesis's mapping and the 20 hashtags; existing rows stay unchanged."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            counts = load_catalogue()
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"New: {counts.classes} scene classes, {counts.hashtags} hashtags.")
