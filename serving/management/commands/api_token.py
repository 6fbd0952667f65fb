"""`manage.py api_token NAME`: an account for a program that asks for suggestions, and its token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from people import tokens
from people.models import Token
from people.scopes import SCOPES

DEFAULT = ("suggest", "check", "feedback")


class Command(BaseCommand):
    help = (
        "Print a new API token of the program NAME, creating its account if needed. "
        "--renew revokes the tokens that it has."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--renew", action="store_true")
        words = f"may be repeated; by default {', '.join(DEFAULT)}"
        parser.add_argument("--scope", action="append", choices=list(SCOPES), help=words)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        owner = self._account(options["name"])
        live = list(Token.objects.live().filter(owner=owner))
        if live and not options["renew"]:
            raise CommandError(
                f"“{owner}” has a token, which was shown when it was made. "
                "--renew revokes it and prints a new one."
            )
        for token in live:
            tokens.revoke(token=token, by=None)
        scopes = options["scope"] or DEFAULT
        _, key = tokens.make(name="Made on the server", owner=owner, scopes=scopes, by=None)
        self.stdout.write(key)

    def _account(self, name: str) -> User:
        user = User.objects.filter(username=name).first()
        if user and tokens.programs().filter(pk=user.pk).exists():
            return user
        if user:
            # A person's token would allow everything that the person may do.
            raise CommandError(f"“{user}” is a person's account. Choose another name for the program.")
        try:
            return tokens.make_program(name=name, by=None)
        except Group.DoesNotExist:
            raise CommandError("The roles are not set up: run `manage.py setup_roles` first.") from None
        except tokens.NotMade as error:
            raise CommandError(str(error)) from error
