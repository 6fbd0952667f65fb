"""The storage of `collectstatic`: it compresses scripts, styles and pictures and names them by content."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

FOLDERS = ("site", "mapping", "trainer", "validation", "serving", "people")  # below the static/ of our apps
_, IMPORTS = CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """A module imports others by their hashed names, too; otherwise browsers would keep an old one.

    Django's switch for this, `support_js_module_import_aggregation`, reads the scripts of every package and
    takes a comment of htmx for an import. Therefore its patterns apply to our own folders only.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        *((f"{folder}/*.js", IMPORTS) for folder in FOLDERS),
    )
