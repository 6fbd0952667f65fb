from typing import Any

from django.core.management.base import BaseCommand

from hashtags_site.roles import ROLES, setup_roles


class Command(BaseCommand):
    help = "Make the groups of users hold the permissions of their role."

    def handle(self, *args: Any, **options: Any) -> None:
        setup_roles()
        self.stdout.write(f"Roles: {', '.join(ROLES)}")
