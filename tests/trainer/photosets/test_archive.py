"""Tars that somebody sent: nothing lands outside, one bad entry never stops the rest."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from formats.classes import SceneNames
from tests.trainer.conftest import jpeg
from trainer.photosets.archive import BadArchive, unpack

KNOWN = SceneNames({"a/abbey"})


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return path


def unpacked(tar: Path, folder: Path, max_bytes: int = 10**6) -> dict[str, str]:
    return {r.name: r.reason for r in unpack(tar, folder, classes=KNOWN, max_bytes=max_bytes)}


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


HOSTILE = {
    "../a/abbey/up.jpg": (entry("../a/abbey/up.jpg", b"x"), "leads out"),
    "a/abbey/../../../up.jpg": (entry("a/abbey/../../../up.jpg", b"x"), "leads out"),
    "/a/abbey/root.jpg": (entry("/a/abbey/root.jpg", b"x"), "absolute"),
    "C:/a/abbey/x.jpg": (entry("C:/a/abbey/x.jpg", b"x"), "absolute"),
    "a/abbey/sym.jpg": (entry("a/abbey/sym.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "link"),
    "a/abbey/hard.jpg": (entry("a/abbey/hard.jpg", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "link"),
    "a/abbey/fifo.jpg": (entry("a/abbey/fifo.jpg", type=tarfile.FIFOTYPE), "device"),
    "a/abbey/dev.jpg": (entry("a/abbey/dev.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "device"),
    "a/abbey/note.txt": (entry("a/abbey/note.txt", b"hello"), "not a photo"),
    "a/castle/x.jpg": (entry("a/castle/x.jpg", b"x"), "unknown class"),
    "a/abbey/big.jpg": (entry("a/abbey/big.jpg", b"x" * 3000), "too large"),
    "a/abbey/\n.jpg": (entry("a/abbey/\n.jpg", b"x"), "not text"),
    "a/abbey/" + "n" * 300 + ".jpg": (entry("a/abbey/" + "n" * 300 + ".jpg", b"x"), "disk does not accept"),
}


def test_each_hostile_entry_is_refused_by_name_and_the_rest_is_unpacked(tmp_path: Path) -> None:
    good = entry("SUN397/a/abbey/good.jpg", jpeg())
    last = entry("a/abbey/last.jpg", jpeg())
    tar = tar_of(tmp_path / "t.tar", good, *(e for e, _ in HOSTILE.values()), last)
    refused = unpacked(tar, tmp_path / "out", max_bytes=2000)
    assert refused.keys() == HOSTILE.keys()
    for name, (_, reason) in HOSTILE.items():
        assert reason in refused[name]
    assert files_below(tmp_path) == {"t.tar", "out/SUN397/a/abbey/good.jpg", "out/a/abbey/last.jpg"}


def test_file_behind_a_symlinked_folder_stays_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = entry("a/abbey", type=tarfile.SYMTYPE, linkname=str(outside))
    unpacked(tar_of(tmp_path / "t.tar", link, entry("a/abbey/x.jpg", b"x")), tmp_path / "out")
    assert not list(outside.iterdir())
    assert (tmp_path / "out/a/abbey/x.jpg").is_file()


@pytest.mark.parametrize("content", [b"", b"not a tar", os.urandom(4096), b"\x1f\x8b" + os.urandom(100)])
def test_file_that_is_not_a_tar_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tar").write_bytes(content)
    with pytest.raises(BadArchive, match="not a tar"):
        unpacked(tmp_path / "t.tar", tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_truncated_tar_keeps_what_came_before(tmp_path: Path, mode: str) -> None:
    photos = [entry(f"a/abbey/{i}.jpg", os.urandom(4000)) for i in range(50)]
    tar = tar_of(tmp_path / "t.tar", *photos, mode=mode)
    assert unpacked(tar, tmp_path / "whole") == {}
    assert len(files_below(tmp_path / "whole")) == 50
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    with pytest.raises(BadArchive):
        unpacked(tar, tmp_path / "out")
    kept = files_below(tmp_path / "out")
    if mode in ("w", "w:gz"):  # the others decompress in larger blocks than half this archive
        assert kept
    assert all((tmp_path / "out" / name).stat().st_size == 4000 for name in kept)


def test_archive_that_expands_out_of_proportion_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.photosets.archive.SLACK", 0)
    zeros = entry("a/abbey/zeros.bin", bytes(10**6))
    tar = tar_of(tmp_path / "t.tar", entry("a/abbey/x.jpg", b"x"), zeros, mode="w:gz")
    with pytest.raises(BadArchive, match="20 times its size"):
        unpacked(tar, tmp_path / "out")


def test_header_of_megabytes_is_refused(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2 * 2**20
    raw = long_name.tobuf() + b"n" * long_name.size
    (tmp_path / "t.tar").write_bytes(raw + bytes(1024))
    with pytest.raises(BadArchive, match=r"header is too long|not a tar"):
        unpacked(tmp_path / "t.tar", tmp_path / "out")


def test_backslashes_separate_folders(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "t.tar", entry("a\\abbey\\x.jpg", b"x"), entry("a\\..\\..\\abbey\\y.jpg", b"x"))
    assert unpacked(tar, tmp_path / "out").keys() == {"a\\..\\..\\abbey\\y.jpg"}
    assert files_below(tmp_path / "out") == {"a/abbey/x.jpg"}


def test_second_time_writes_nothing_and_names_doubles(tmp_path: Path) -> None:
    one = entry("a/abbey/x.jpg", b"one")
    tar = tar_of(tmp_path / "t.tar", one, entry("./a/abbey/x.jpg", b"two"))
    for _ in range(2):
        refused = unpacked(tar, tmp_path / "out")
        assert refused == {"./a/abbey/x.jpg": "path appears twice in the archive"}
        assert (tmp_path / "out/a/abbey/x.jpg").read_bytes() == b"one"


def tars(count: int, mode: str) -> bytes:
    """So many tars, one behind the other."""
    out = io.BytesIO()
    for number in range(count):
        with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
            for info, content in (
                entry(f"a/abbey/{number}.jpg", b"x" * 512),
                entry(f"a/abbey/{number}b.jpg", b"y"),
            ):
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_appended_to_a_tar_are_read_too(tmp_path: Path, mode: str) -> None:
    (tmp_path / "t.tar").write_bytes(tars(3, mode))
    assert unpacked(tmp_path / "t.tar", tmp_path / "out") == {}
    assert len(files_below(tmp_path / "out")) == 6


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("behind", [b"junk", b"j" * 512, b"\x1f\x8b\x08" + b"j" * 2000])
def test_something_else_behind_a_tar_is_reported(tmp_path: Path, mode: str, behind: bytes) -> None:
    (tmp_path / "t.tar").write_bytes(tars(1, mode) + behind)
    with pytest.raises(BadArchive, match=r"end \(after “a/abbey/0b\.jpg”\) stands something else"):
        unpacked(tmp_path / "t.tar", tmp_path / "out")
    assert len(files_below(tmp_path / "out")) == 2


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_zeros_behind_a_tar_do_not_matter(tmp_path: Path, mode: str) -> None:
    (tmp_path / "t.tar").write_bytes(tars(1, mode) + bytes(5000))
    assert unpacked(tmp_path / "t.tar", tmp_path / "out") == {}


def test_a_damaged_header_is_no_end(tmp_path: Path) -> None:
    raw = bytearray(tars(1, "w"))
    raw[1024] ^= 0xFF  # the first byte of the second entry's name: its checksum is wrong
    (tmp_path / "t.tar").write_bytes(raw)
    with pytest.raises(BadArchive, match=r"cut off or damaged after “a/abbey/0\.jpg”"):
        unpacked(tmp_path / "t.tar", tmp_path / "out")
