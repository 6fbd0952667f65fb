"""The table of licences: which licences it allows, and that it notices changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import licences


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("Apache-2.0 AND Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only OR MIT", True),  # ours to choose
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-2.0-only", False),
        ("AGPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("UNKNOWN", False),
    ],
)
def test_only_compatible_licences_are_allowed(licence: str, allowed: bool) -> None:
    assert licences.Row("some", "1", licence, source="", runs=True).is_allowed is allowed


def test_table_separates_runtime_from_development_packages() -> None:
    runs = {row.package: row.runs for row in licences.read_rows()}
    assert runs["django"] is runs["numpy"] is runs["psycopg-binary"] is True  # the last by an extra
    assert runs["pytest"] is runs["mypy"] is False


def test_a_table_out_of_date_or_a_licence_that_is_not_allowed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(licences, "TABLE", tmp_path / "licences.md")
    monkeypatch.setattr("sys.argv", ["licences.py", "--check"])
    assert licences.main() == 1
    licences.TABLE.write_text(licences.make_table(licences.read_rows()), encoding="utf-8")
    assert licences.main() == 0
    monkeypatch.setitem(licences.CORRECTIONS, "django", ("GPL-3.0-only", "nowhere"))
    assert licences.main() == 1
    assert "django 5" in capsys.readouterr().out
