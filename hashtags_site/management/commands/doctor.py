"""`manage.py doctor`: looks at every part of the site and says what to do. Ends with 1 if one has failed."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from formats.json_text import to_json
from hashtags_site.doctor.checks import CHECKS
from hashtags_site.doctor.findings import FAIL, OK, WARN, Examiner, has_failed


class Command(BaseCommand):
    help = "Look at every part of the site, in seconds, and say what to do about what is not in order."
    requires_system_checks: list[str] = []  # a broken part is what it is asked about

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = Examiner(CHECKS).examine()
        failed = has_failed(findings)
        if options["json"]:
            rows = [finding.as_dict() for finding in findings]
            self.stdout.write(to_json({"status": FAIL if failed else OK, "findings": rows}))
        else:
            styles = {OK: self.style.SUCCESS, WARN: self.style.WARNING, FAIL: self.style.ERROR}
            for one in findings:
                self.stdout.write(f"{styles[one.verdict](f'{one.verdict:<5}')} {one.part:<13} {one.fact}")
                if one.advice and one.verdict != OK:
                    self.stdout.write(f"{'':<20}→ {one.advice}")
        if failed:
            sys.exit(1)
