"""In which alphabet the names of a zip are."""

from __future__ import annotations

import struct
import zipfile
import zlib

import pytest

from formats.zipnames import MARKED_UTF8, read_names


def entry(raw: bytes, flags: int = 0, extra: bytes = b"") -> zipfile.ZipInfo:
    """An entry as zipfile reads it from a zip."""
    info = zipfile.ZipInfo(raw.decode("utf-8" if flags & MARKED_UTF8 else "cp437"))
    info.flag_bits, info.extra = flags, extra
    return info


def unicode_path(raw: bytes, name: str) -> bytes:
    body = b"\1" + zlib.crc32(raw).to_bytes(4, "little") + name.encode()
    return b"\xfe\xca\2\0xx" + struct.pack("<HH", 0x7075, len(body)) + body


@pytest.mark.parametrize(
    "name",
    [
        "Фото 1.jpg",
        "ДАЧА/ФОТО.JPG",
        "где/море.jpg",
        "Ёлка №2.jpg",
        "Київ/Мiсто.jpg",
        "IMG Берлин 2019.jpg",
    ],
)
def test_russian_names_of_windows_are_read(name: str) -> None:
    names, guess = read_names([entry(b"a.jpg"), entry(name.encode("cp866"))])
    assert names == ["a.jpg", name]
    assert guess == ("cp866", 1, name)


@pytest.mark.parametrize(
    "name", ["Müller.jpg", "Übersicht/Größe.jpg", "école.jpg", "Ñandú ½.jpg", "ça va.jpg"]
)
def test_western_names_of_windows_are_read(name: str) -> None:
    names, guess = read_names([entry(name.encode("cp437"))])
    assert names == [name]
    assert guess == ("cp437", 1, name)


def test_all_names_of_a_zip_are_guessed_together() -> None:
    raw = [name.encode("cp866") for name in ("Ж.jpg", "Дача.jpg", "пляж/море.jpg")]
    assert read_names([entry(name) for name in raw])[0] == ["Ж.jpg", "Дача.jpg", "пляж/море.jpg"]


@pytest.mark.parametrize("name", ["Фото.jpg", "Müller.jpg", "写真.jpg", "Mu\u0308ller.jpg"])
@pytest.mark.parametrize("flags", [0, MARKED_UTF8])
def test_utf8_is_no_guess_marked_or_not(name: str, flags: int) -> None:
    assert read_names([entry(name.encode(), flags)]) == ([name], None)


def test_the_unicode_name_beside_it_counts_if_it_belongs_to_the_name() -> None:
    raw = "Müller.jpg".encode("cp866", "replace")
    assert read_names([entry(raw, 0, unicode_path(raw, "Мюллер.jpg"))]) == (["Мюллер.jpg"], None)
    assert read_names([entry(b"a.jpg", 0, unicode_path(raw, "Мюллер.jpg"))]) == (["a.jpg"], None)


def test_a_name_ends_at_a_zero() -> None:
    assert read_names([entry(b"\0x.jpg"), entry("Фото\0x".encode("cp866"))])[0] == ["", "Фото"]
