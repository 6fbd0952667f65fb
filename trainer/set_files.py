"""The photos of our own sets: unpacked archives, and corrected photos. With a bucket, a machine that works
with a set has a copy of it. Folders that were registered in place stay where they are.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from formats.files import is_inside
from trainer.models import PhotoSet
from trainer.shared import AT_ONCE, MARK, Index, Tree, is_shared, is_whole, mark, marked

KIND = "photo_sets"
UPLOADS = "uploads"
CORRECTED = "corrected"  # the sets that lose photos: validation.photos.corrections


def root_of(folder: Path) -> str:
    """What a set's row says of its folder: with a bucket, a path that holds on every machine."""
    own = Path(settings.PHOTO_SETS_DIR)
    if is_shared() and is_inside(folder, own):
        return folder.relative_to(own).as_posix()
    return str(folder)


def tree_of(root: str) -> Tree | None:
    """None for a set that is not shared: one registered in place, or from before there was a bucket."""
    is_own = is_shared() and root and not Path(root).is_absolute()
    return Tree(KIND, root.replace("/", "-")) if is_own else None


def publish(photo_set: PhotoSet) -> None:
    """Store the set's photos for all machines. Raises StorageFailure."""
    if tree := tree_of(photo_set.root):
        folder = photo_set.folder
        files = (file for file in folder.rglob("*") if file.is_file() and file.name != MARK)
        names = (file.relative_to(folder).as_posix() for file in files)
        mark(folder, tree.store(folder, names, at_once=AT_ONCE))


def bring(photo_set: PhotoSet) -> None:
    """Fetch what this machine lacks of the set, and delete what was withdrawn. Raises StorageFailure."""
    tree = tree_of(photo_set.root)
    if tree is None or (index := tree.index()) is None:
        return
    folder = photo_set.folder
    known = (marked(folder) or Index()).files
    lacking = {
        path: content
        for path, content in index.files.items()
        if known.get(path) != content or not _has_size(folder / path, content.size)
    }
    tree.fetch_all({path: c for path, c in lacking.items() if not is_whole(folder / path, c)}, folder)
    _delete_others(folder, index)
    mark(folder, index)


def bring_photo(photo_set: PhotoSet, path: str) -> None:
    """Fetch one photo, if the bucket has it: for a page that shows some. Raises StorageFailure."""
    tree = tree_of(photo_set.root)
    if tree is None or (photo_set.folder / path).is_file():
        return
    if content := (tree.index() or Index()).files.get(path):
        tree.fetch(content, photo_set.folder / path)


def tidy() -> None:
    """Delete from this machine's copies what was withdrawn on another machine. Raises StorageFailure."""
    for photo_set in PhotoSet.objects.filter(root__startswith=f"{CORRECTED}/") if is_shared() else ():
        folder, tree = photo_set.folder, tree_of(photo_set.root)
        if tree and folder.is_dir():
            _delete_others(folder, tree.index() or Index())


def _delete_others(folder: Path, index: Index) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and file.name != MARK and file.relative_to(folder).as_posix() not in index.files:
            file.unlink(missing_ok=True)


def _has_size(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False


# --- uploaded archives ------------------------------------------------------------------------


def publish_upload(photo_set: PhotoSet) -> None:
    """Store an uploaded archive, for whichever machine unpacks it: this one keeps none. Raises
    StorageFailure.
    """
    if tree_of(photo_set.source):
        tree = Tree(KIND, f"{UPLOADS}-{photo_set.pk}")
        archive = photo_set.archive
        tree.store(archive.parent, [archive.name])
        archive.unlink()
        archive.parent.rmdir()


def bring_upload(photo_set: PhotoSet) -> None:
    """Raises StorageFailure."""
    if tree_of(photo_set.source) is None:
        return
    tree, archive = Tree(KIND, f"{UPLOADS}-{photo_set.pk}"), photo_set.archive
    if index := tree.index():
        content = index.files[archive.name]
        if not is_whole(archive, content):
            tree.fetch(content, archive)


def remove_upload(photo_set: PhotoSet) -> None:
    """Raises StorageFailure."""
    if tree_of(photo_set.source):
        Tree(KIND, f"{UPLOADS}-{photo_set.pk}").delete()
