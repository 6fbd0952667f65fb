"""What is looked at, part by part. No fact holds a secret: admins read them in the browser."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import redis
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from formats.json_text import from_json
from formats.storage import failure_of
from hashtags_site.backup.backups import LAST
from hashtags_site.doctor.findings import FAIL, OK, WARN, Check, Finding
from hashtags_site.health import FREE_BYTES, needed_migrations, try_to_write
from hashtags_site.places import BACKEND, INSTALL, lacks_package
from jobs.code_version import code_version
from jobs.models import Job, Worker
from mapping.lexicon import wordnet
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import EngineError, WeightsError
from trainer.engine.serving.predict import read_manifest
from trainer.models import TrainedModel
from trainer.registry.files import at_hand
from trainer.registry.packages import BadPackage, check_hashes
from trainer.registry.serving import active_model
from trainer.registry.starter import NAMES

LOW_BYTES = 5 * 10**9  # a training's checkpoints or an archive of photos may be that large
LATE = timedelta(minutes=10)  # for a queued job to wait while a worker is free
CLOCK_WARN, CLOCK_FAIL = timedelta(seconds=2), timedelta(seconds=10)
MIGRATE = "Run: python manage.py migrate"
OLD = timedelta(days=7)
BACKUP = "Run every night: python manage.py backup FOLDER --keep 14"
WORKER = "Start one: celery -A hashtags_site worker --pool threads"


def look_at_settings() -> Finding:
    if settings.DEBUG:
        return Finding("settings", WARN, "DEBUG is on: errors show the program's insides.", "Set DEBUG=0.")
    names = [name for name in settings.ALLOWED_HOSTS if name not in ("localhost", "127.0.0.1", "[::1]")]
    if names and not settings.HTTPS:
        advice = "Put a proxy with TLS in front and set HTTPS=1: docs/deploy.md."
        return Finding("settings", WARN, f"{names[0]} is served without https.", advice)
    return Finding("settings", OK, f"Version {code_version()}, {'https' if settings.HTTPS else 'local'}.")


def look_at_database() -> Finding:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA journal_mode")
            mode = cursor.fetchone()[0]
            cursor.execute("SELECT sqlite_version()")
            fact = f"SQLite {cursor.fetchone()[0]}, journal mode {mode}."
            if mode != "wal":
                advice = "Keep the database on a local disk: without WAL, readers wait for each write."
                return Finding("database", WARN, fact, advice)
            return Finding("database", OK, fact)
        names = ("server_version", "transaction_isolation", "synchronous_commit", "fsync")
        values = []
        for name in names:
            cursor.execute(f"SHOW {name}")
            values.append(str(cursor.fetchone()[0]))
    version, isolation, *durable = values
    fact = f"PostgreSQL {version}, isolation {isolation}."
    if isolation != "read committed":
        advice = "Leave default_transaction_isolation at “read committed”, which the program is tested with."
        return Finding("database", WARN, fact, advice)
    if "off" in durable:
        advice = "Set fsync and synchronous_commit to on."
        return Finding("database", WARN, f"{fact} A power cut may lose votes.", advice)
    return Finding("database", OK, fact)


def look_at_migrations() -> Finding:
    applied = set(MigrationRecorder(connection).applied_migrations())
    needed = needed_migrations()
    if missing := sorted(needed - applied):
        names = ", ".join(".".join(one) for one in missing[:3]) + (", …" if len(missing) > 3 else "")
        return Finding("migrations", FAIL, f"{len(missing)} not applied: {names}.", MIGRATE)
    apps = {app for app, _ in needed}
    if newer := sorted(one for one in applied - needed if one[0] in apps):
        fact = f"The database has migrations that this program lacks: {'.'.join(newer[0])}."
        return Finding("migrations", WARN, fact, "Start the newer program, which has migrated the database.")
    return Finding("migrations", OK, f"All {len(needed)} are applied.")


def look_at_broker() -> Finding:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, retry=None) as client:
        facts = client.info()
    name, limit = facts.get("server_name", "redis").title(), facts.get("maxmemory", 0)
    version = facts.get("valkey_version") or facts["redis_version"]
    fact = f"{name} {version}, {facts['used_memory'] / 2**20:.0f} MB used."
    if limit and facts.get("maxmemory_policy", "noeviction") != "noeviction":
        advice = "Set maxmemory-policy to noeviction; otherwise messages may be dropped, and jobs start late."
        return Finding("broker", WARN, f"{fact} It drops what it has no memory for.", advice)
    return Finding("broker", OK, fact)


def look_at_storage() -> Iterator[Finding]:
    folders = {
        "var": settings.VAR_DIR,
        "uploads": settings.FILE_UPLOAD_TEMP_DIR,
        "models": settings.MODELS_DIR,
    }
    folders |= {"runs": settings.RUNS_DIR, "photo sets": settings.PHOTO_SETS_DIR}
    if settings.STORAGES["default"]["BACKEND"] == BACKEND:
        yield look_at_bucket()
    else:
        folders["photos"] = Path(default_storage.path(""))
    there = {name: Path(folder) for name, folder in folders.items() if Path(folder).is_dir()}
    for name, folder in there.items():
        try:
            try_to_write(folder)
        except OSError as error:
            advice = f"Give the site's account the right to write to {folder}, or mount its disk."
            yield Finding("storage", FAIL, f"The folder of {name} takes no file: {error.strerror}.", advice)
            return
    yield Finding("storage", OK, f"Writable: {', '.join(there)}.")


def look_at_bucket() -> Finding:
    """A file is written, read and deleted: the keys may allow less."""
    if lacks_package():
        return Finding(
            "storage", FAIL, "boto3, which talks to the bucket, is not installed.", f"Run: {INSTALL}"
        )
    bucket = settings.STORAGES["default"]["OPTIONS"]["bucket_name"]
    try:
        name = default_storage.save(f"doctor-{uuid4().hex}", ContentFile(b"x"))
        with default_storage.open(name, "rb") as file:
            file.read()
        default_storage.delete(name)
    except Exception as error:
        if failure := failure_of(error):
            advice = "Check that it is there, and what its keys allow: read, write, list and delete."
            return Finding("storage", FAIL, f"The bucket {bucket} cannot be used: {failure}"[:300], advice)
        raise
    return Finding("storage", OK, f"The bucket {bucket} takes files, gives them back and deletes them.")


def look_at_disk() -> Finding:
    folders = [settings.VAR_DIR, settings.MODELS_DIR, settings.RUNS_DIR, settings.PHOTO_SETS_DIR]
    there = [Path(folder) for folder in (*folders, settings.MEDIA_ROOT) if Path(folder).is_dir()]
    free, folder = min((shutil.disk_usage(folder).free, str(folder)) for folder in there)
    fact = f"{free / 1e9:.1f} GB free at {folder}."
    if free >= LOW_BYTES:
        return Finding("disk", OK, fact)
    advice = "Free space: lower RUNS_DISK_GB, delete runs and models, or run manage.py remove_orphans."
    return Finding("disk", FAIL if free < FREE_BYTES else WARN, fact, advice)


def look_at_static_files() -> Finding:
    manifest = getattr(staticfiles_storage, "manifest_name", "")
    if manifest and not staticfiles_storage.exists(manifest) and not settings.DEBUG:
        advice = "Run: python manage.py collectstatic --noinput"
        return Finding("static files", FAIL, "They were not collected, so pages cannot be shown.", advice)
    return Finding("static files", OK, "Collected.")


def look_at_workers() -> Iterator[Finding]:
    workers = list(Worker.objects.live().order_by("name"))
    oldest = Job.objects.filter(state=Job.State.QUEUED).order_by("created_at").first()
    if not workers:
        yield Finding("workers", FAIL if oldest else WARN, "No worker is running.", WORKER)
        return
    own = code_version()
    others = [worker for worker in workers if worker.version != own]
    fact = f"{len(workers)} running: {', '.join(worker.name for worker in workers[:5])}."
    if others:
        other = others[0]
        fact += f" {other.name} has version {other.version or 'unknown'}, this program {own}."
        advice = "Restart that worker: it gives its jobs back and they continue elsewhere."
        yield Finding("workers", WARN, fact, advice)
    else:
        yield Finding("workers", OK, fact)
    if oldest and timezone.now() - oldest.created_at > LATE:
        minutes = (timezone.now() - oldest.created_at).total_seconds() / 60
        fact = f"“{oldest.title}” has waited for {minutes:,.0f} min."
        yield Finding("queue", WARN, fact, "Start another worker, or wait if the machine's slots are taken.")


def look_at_clock() -> Finding:
    """Leases end by the clocks of the machines, so these must agree."""
    now = timezone.now()
    ahead = timedelta(0)
    if newest := Worker.objects.order_by("-seen_at").first():
        ahead = max(ahead, newest.seen_at - now)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            ahead = max(ahead, abs(cursor.fetchone()[0] - datetime.now(UTC)))
    fact = f"This machine, the database and the workers differ by {ahead.total_seconds():.1f} s."
    if ahead < CLOCK_WARN:
        return Finding("clock", OK, fact)
    advice = "Let every machine follow a time server: leases end by these clocks."
    return Finding("clock", FAIL if ahead > CLOCK_FAIL else WARN, fact, advice)


def look_at_wordnet() -> Finding:
    table = wordnet.DATA_DIR / wordnet.TABLE
    if table.is_file():
        return Finding("WordNet", OK, "Its table of nouns is there.")
    wordnet.reader()  # raises WordNetMissing
    return Finding("WordNet", OK, "Its data is there; the table of nouns is built at first use.")


def look_at_model() -> Finding:
    """The file on disk is the one that was promoted."""
    model = active_model()
    if model is None:
        return Finding(
            "model", WARN, "No model is active, so there are no suggestions.", "Promote one: page Models."
        )
    advice = "Promote another model, or copy its folder from a backup."
    try:
        with at_hand(model) as folder:
            manifest = read_manifest(folder)
            check_hashes(folder, manifest)
    except (BadPackage, EngineError, FileNotFoundError) as error:
        return Finding("model", FAIL, f"“{model.name}” is active, but {error}", advice)
    if manifest["sha256"] != model.manifest["sha256"]:
        return Finding("model", FAIL, f"The files of “{model.name}” are those of another model.", advice)
    return Finding("model", OK, f"“{model.name}” is active; its files are whole.")


def look_at_starters() -> Finding:
    installed = set(TrainedModel.objects.filter(manifest__has_key="starter").values_list("name", flat=True))
    missing = [speed for speed, name in NAMES.items() if name not in installed]
    if not missing:
        return Finding("starters", OK, f"Installed: {', '.join(NAMES)}.")
    commands = set()
    for backbone in BACKBONES.values():
        try:
            backbone.weights()
        except WeightsError as error:
            commands.add(error.hint)
    advice = f"Run: {', then '.join([*sorted(commands), 'python manage.py prepare'])}"
    return Finding("starters", WARN, f"Not installed: {', '.join(missing)}.", advice)


def look_at_gpu() -> Finding:
    """Without importing torch, which takes seconds and a gigabyte."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("GPU", OK, "None on this machine: training uses the processor.")
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=6, check=False)
    if result.returncode:
        words = (result.stdout or result.stderr).strip().splitlines()
        return Finding("GPU", WARN, (words or ["nvidia-smi fails."])[0][:200], "Check the driver: nvidia-smi")
    fact = "; ".join(result.stdout.strip().splitlines())
    if _torch_has_cuda():
        return Finding("GPU", OK, fact)
    advice = "Install the build of torch for CUDA, or training will not use it."
    return Finding("GPU", WARN, f"{fact}; but torch is a build for processors only.", advice)


def _torch_has_cuda() -> bool:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda[^=]*= *['\"]", text, re.MULTILINE) is not None


def look_at_backup() -> Finding:
    """When `manage.py backup` was last complete; who copies by other means need not mind."""
    file = Path(settings.VAR_DIR) / LAST
    if not file.is_file():
        return Finding("backup", WARN, "None was made from here.", BACKUP)
    last = from_json(file.read_text(encoding="utf-8"))
    age = timezone.now() - datetime.fromisoformat(last["created"])
    fact = f"{age.days} days old: {last['folder']}" if age.days else f"Made today: {last['folder']}"
    return Finding("backup", WARN if age > OLD else OK, fact, BACKUP if age > OLD else "")


CHECKS = (
    Check("settings", look_at_settings, "See docs/settings.md."),
    Check("database", look_at_database, "Check that it runs and that DATABASE_URL names it."),
    Check("migrations", look_at_migrations, MIGRATE),
    Check(
        "broker", look_at_broker, "Check that Redis runs and that REDIS_URL names it; jobs wait meanwhile."
    ),
    Check("storage", look_at_storage, "Check the disks and, with STORAGE_URL, the bucket and its keys."),
    Check("disk", look_at_disk, "Check that the disk is mounted and answers."),
    Check("static files", look_at_static_files, "Run: python manage.py collectstatic --noinput"),
    Check("workers", look_at_workers, WORKER),
    Check("clock", look_at_clock, "Check the database first."),
    Check("WordNet", look_at_wordnet, "Get it: python scripts/get_wordnet.py"),
    Check("model", look_at_model, "Promote another model, or copy its folder from a backup."),
    Check("starters", look_at_starters, "Run: python manage.py prepare"),
    Check("backup", look_at_backup, BACKUP),
    Check("GPU", look_at_gpu, "Check the driver: nvidia-smi"),
)
