"""`manage.py administrator_link`: a link by which one person becomes an administrator."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from people.accounts import make_administrator_link


class Command(BaseCommand):
    help = (
        "Print a link that makes one administrator's account. It works once, for a day, "
        "and ends when another is printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", default="http://localhost:8000", help="where people reach the site")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(make_administrator_link(site=options["site"]))
