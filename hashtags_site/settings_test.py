"""The settings of the test suite: the same, on folders of its own. One set per pytest-xdist worker."""

import atexit
import os
import shutil
import tempfile

# Several processes test at once: numeric libraries that each use every core would slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A Celery worker that the tests start inherits the folder; each pytest-xdist process takes one inside it.
if "SCENETAG_VAR" not in os.environ:
    os.environ["SCENETAG_VAR"] = tempfile.mkdtemp(prefix="scenetag-test-")
    atexit.register(shutil.rmtree, os.environ["SCENETAG_VAR"], ignore_errors=True)
process = os.environ.get("PYTEST_XDIST_WORKER", "")
if process and not os.environ["SCENETAG_VAR"].endswith(process):
    os.environ["SCENETAG_VAR"] += f"/{process}"

os.environ["METRICS_DIR"] = os.environ["SCENETAG_VAR"] + "/metrics"

from hashtags_site.settings import *  # noqa: F403
from hashtags_site.settings import DATABASES, STATIC_ROOT, STORAGES, VAR_DIR

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: the worker and the live server are other processes and threads.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # signing in costs nothing
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns of a missing one at every request
WORK_BESIDE = False
LEARN_BESIDE = False  # a thread would not see rows that the test has not committed
WRITE_USE_BESIDE = False
LOOK_AT_PHOTOS = False  # a test that wants looks turns it on: each starts the engine
