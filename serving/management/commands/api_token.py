"""`manage.py api_token NAME`: an account for a program that asks for suggestions, and its token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from rest_framework.authtoken.models import Token

GROUP = "network"


class Command(BaseCommand):
    help = (
        "Print the API token of the account NAME, creating the account if needed. --renew replaces the token."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--renew", action="store_true")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        group = Group.objects.filter(name=GROUP).first()
        if group is None:
            raise CommandError("The roles are not set up: run `manage.py setup_roles` first.")
        user, new = User.objects.get_or_create(username=options["name"])
        if new:
            user.set_unusable_password()
            user.save()
        elif not user.groups.filter(pk=group.pk).exists():
            # A person's token would allow everything that the person may do.
            raise CommandError(f"“{user}” is a person's account. Choose another name for the program.")
        user.groups.add(group)
        if options["renew"]:
            Token.objects.filter(user=user).delete()
        token, _ = Token.objects.get_or_create(user=user)
        self.stdout.write(token.key)
