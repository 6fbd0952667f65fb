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
from django.contrib.humanize.templatetags.humanize import intcomma
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from formats.json_text import from_json
from formats.storage import failure_of
from formats.texts import text_of
from hashtags_site.backup.backups import LAST
from hashtags_site.doctor.findings import FAIL, OK, WARN, Check, Finding
from hashtags_site.health import FREE_BYTES, needed_migrations, try_to_write
from hashtags_site.places import BACKEND, INSTALL, lacks_package
from jobs.code_version import code_version
from jobs.machines import Machine
from jobs.models import Job, Worker
from mapping.lexicon import wordnet
from notices.words import shown
from people.models import Letter
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import EngineError, WeightsError
from trainer.engine.manifests import read_manifest
from trainer.models import TrainedModel
from trainer.registry.files import at_hand
from trainer.registry.packages import BadPackage, check_hashes
from trainer.registry.serving import active_model
from trainer.registry.starter import NAMES

LOW_BYTES = 5 * 10**9  # a training's checkpoints or an archive of photos may be that large
LATE = timedelta(minutes=10)  # for a queued job to wait while a worker is free
CLOCK_WARN, CLOCK_FAIL = timedelta(seconds=2), timedelta(seconds=10)
MIGRATE = gettext_noop("Run: python manage.py migrate")
OLD = timedelta(days=7)
BACKUP = gettext_noop("Run every night: python manage.py backup FOLDER --keep 14")
WORKER = gettext_noop("Start one: celery -A hashtags_site worker --pool threads")


def look_at_settings() -> Finding:
    if settings.DEBUG:
        return Finding(
            "settings", WARN, _("DEBUG is on: errors show the program's insides."), _("Set DEBUG=0.")
        )
    names = [name for name in settings.ALLOWED_HOSTS if name not in ("localhost", "127.0.0.1", "[::1]")]
    if names and not settings.HTTPS:
        advice = _("Put a proxy with TLS in front and set HTTPS=1: docs/deploy.md.")
        return Finding("settings", WARN, _("%(host)s is served without https.") % {"host": names[0]}, advice)
    fact = _("Version %(version)s, https.") if settings.HTTPS else _("Version %(version)s, local.")
    return Finding("settings", OK, fact % {"version": code_version()})


def look_at_database() -> Finding:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA journal_mode")
            mode = cursor.fetchone()[0]
            cursor.execute("SELECT sqlite_version()")
            fact = _("SQLite %(version)s, journal mode %(mode)s.") % {
                "version": cursor.fetchone()[0],
                "mode": mode,
            }
            if mode != "wal":
                advice = _("Keep the database on a local disk: without WAL, readers wait for each write.")
                return Finding("database", WARN, fact, advice)
            return Finding("database", OK, fact)
        names = ("server_version", "transaction_isolation", "synchronous_commit", "fsync")
        values = []
        for name in names:
            cursor.execute(f"SHOW {name}")
            values.append(str(cursor.fetchone()[0]))
    version, isolation, *durable = values
    fact = _("PostgreSQL %(version)s, isolation %(level)s.") % {"version": version, "level": isolation}
    if isolation != "read committed":
        advice = _(
            "Leave default_transaction_isolation at “read committed”, which the program is tested with."
        )
        return Finding("database", WARN, fact, advice)
    if "off" in durable:
        advice = _("Set fsync and synchronous_commit to on.")
        return Finding("database", WARN, f"{fact} {_('A power cut may lose votes.')}", advice)
    return Finding("database", OK, fact)


def look_at_migrations() -> Finding:
    applied = set(MigrationRecorder(connection).applied_migrations())
    needed = needed_migrations()
    if missing := sorted(needed - applied):
        names = ", ".join(".".join(one) for one in missing[:3]) + (", …" if len(missing) > 3 else "")
        return Finding(
            "migrations",
            FAIL,
            _("%(n)s not applied: %(names)s.") % {"n": len(missing), "names": names},
            _(MIGRATE),
        )
    apps = {app for app, _ in needed}
    if newer := sorted(one for one in applied - needed if one[0] in apps):
        fact = _("The database has migrations that this program lacks: %(name)s.") % {
            "name": ".".join(newer[0])
        }
        return Finding(
            "migrations", WARN, fact, _("Start the newer program, which has migrated the database.")
        )
    return Finding("migrations", OK, _("All %(n)s are applied.") % {"n": len(needed)})


def look_at_broker() -> Finding:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3, retry=None) as client:
        facts = client.info()
    name, limit = facts.get("server_name", "redis").title(), facts.get("maxmemory", 0)
    version = facts.get("valkey_version") or facts["redis_version"]
    used = f"{facts['used_memory'] / 2**20:.0f}"
    fact = _("%(name)s, %(used)s MB used.") % {"name": f"{name} {version}", "used": used}
    if limit and facts.get("maxmemory_policy", "noeviction") != "noeviction":
        advice = _(
            "Set maxmemory-policy to noeviction; otherwise messages may be dropped, and jobs start late."
        )
        return Finding("broker", WARN, f"{fact} {_('It drops what it has no memory for.')}", advice)
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
            advice = _("Give the site's account the right to write to %(folder)s, or mount its disk.") % {
                "folder": folder
            }
            fact = _("The folder of %(name)s takes no file: %(error)s.")
            yield Finding("storage", FAIL, fact % {"name": name, "error": error.strerror}, advice)
            return
    yield Finding("storage", OK, _("Writable: %(names)s.") % {"names": ", ".join(there)})


def look_at_bucket() -> Finding:
    """A file is written, read and deleted: the keys may allow less."""
    if lacks_package():
        fact = _("boto3, which talks to the bucket, is not installed.")
        return Finding("storage", FAIL, fact, _("Run: %(command)s") % {"command": INSTALL})
    bucket = settings.STORAGES["default"]["OPTIONS"]["bucket_name"]
    try:
        name = default_storage.save(f"doctor-{uuid4().hex}", ContentFile(b"x"))
        with default_storage.open(name, "rb") as file:
            file.read()
        default_storage.delete(name)
    except Exception as error:
        if failure := failure_of(error):
            advice = _("Check that it is there, and what its keys allow: read, write, list and delete.")
            fact = _("The bucket %(name)s cannot be used: %(error)s") % {"name": bucket, "error": failure}
            return Finding("storage", FAIL, fact[:300], advice)
        raise
    fact = _("The bucket %(name)s takes files, gives them back and deletes them.") % {"name": bucket}
    return Finding("storage", OK, fact)


def look_at_disk() -> Finding:
    folders = [settings.VAR_DIR, settings.MODELS_DIR, settings.RUNS_DIR, settings.PHOTO_SETS_DIR]
    there = [Path(folder) for folder in (*folders, settings.MEDIA_ROOT) if Path(folder).is_dir()]
    free, folder = min((shutil.disk_usage(folder).free, str(folder)) for folder in there)
    fact = _("%(n)s GB free at %(folder)s.") % {"n": floatformat(free / 1e9, 1), "folder": folder}
    if free >= LOW_BYTES:
        return Finding("disk", OK, fact)
    advice = _("Free space: lower RUNS_DISK_GB, delete runs and models, or run manage.py remove_orphans.")
    return Finding("disk", FAIL if free < FREE_BYTES else WARN, fact, advice)


def look_at_static_files() -> Finding:
    manifest = getattr(staticfiles_storage, "manifest_name", "")
    if manifest and not staticfiles_storage.exists(manifest) and not settings.DEBUG:
        advice = _("Run: python manage.py collectstatic --noinput")
        return Finding("static files", FAIL, _("They were not collected, so pages cannot be shown."), advice)
    return Finding("static files", OK, _("Collected."))


def look_at_workers() -> Iterator[Finding]:
    workers = list(Worker.objects.live().order_by("name"))
    oldest = Job.objects.filter(state=Job.State.QUEUED).order_by("created_at").first()
    if not workers:
        yield Finding("workers", FAIL if oldest else WARN, _("No worker is running."), _(WORKER))
        return
    own = code_version()
    others = [worker for worker in workers if worker.version != own]
    names = ", ".join(_with_machine(worker) for worker in workers[:5])
    fact = _("%(n)s running: %(names)s.") % {"n": len(workers), "names": names}
    if others:
        other = others[0]
        fact += " " + _("%(name)s has version %(other)s, this program %(own)s.") % {
            "name": other.name,
            "other": other.version or _("unknown"),
            "own": own,
        }
        advice = _("Restart that worker: it gives its jobs back and they continue elsewhere.")
        yield Finding("workers", WARN, fact, advice)
    else:
        yield Finding("workers", OK, fact)
    for job in Job.objects.filter(state=Job.State.QUEUED).exclude(needs={}).order_by("created_at")[:20]:
        if words := job.misfit:
            fact = _("“%(title)s” fits no worker. %(why)s") % {"title": job.shown_title, "why": words}
            yield Finding("queue", WARN, fact, _("Start a worker on a larger machine, or cancel it."))
            break
    if oldest and timezone.now() - oldest.created_at > LATE:
        minutes = (timezone.now() - oldest.created_at).total_seconds() / 60
        fact = _("“%(title)s” has waited for %(n)s min.") % {
            "title": oldest.shown_title,
            "n": intcomma(round(minutes)),
        }
        yield Finding(
            "queue", WARN, fact, _("Start another worker, or wait if the machine's slots are taken.")
        )


def _with_machine(worker: Worker) -> str:
    """Its name and what it has, such as "host:12 (2 GPUs, 16 cores)"."""
    if not worker.machine:
        return worker.name
    machine = Machine(**worker.machine)
    parts = [ngettext("%(n)s core", "%(n)s cores", machine.cores) % {"n": machine.cores}]
    if machine.gpus:
        parts = [ngettext("%(n)s GPU", "%(n)s GPUs", len(machine.gpus)) % {"n": len(machine.gpus)}, *parts]
    return f"{worker.name} ({', '.join(parts)})"


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
    seconds = floatformat(ahead.total_seconds(), 1)
    fact = _("This machine, the database and the workers differ by %(n)s s.") % {"n": seconds}
    if ahead < CLOCK_WARN:
        return Finding("clock", OK, fact)
    advice = _("Let every machine follow a time server: leases end by these clocks.")
    return Finding("clock", FAIL if ahead > CLOCK_FAIL else WARN, fact, advice)


def look_at_wordnet() -> Finding:
    table = wordnet.DATA_DIR / wordnet.TABLE
    if table.is_file():
        return Finding("WordNet", OK, _("Its table of nouns is there."))
    wordnet.reader()  # raises WordNetMissing
    return Finding("WordNet", OK, _("Its data is there; the table of nouns is built at first use."))


def look_at_model() -> Finding:
    """The file on disk is the one that was promoted."""
    model = active_model()
    if model is None:
        return Finding(
            "model",
            WARN,
            _("No model is active, so there are no suggestions."),
            _("Promote one: page Models."),
        )
    advice = _("Promote another model, or copy its folder from a backup.")
    try:
        with at_hand(model) as folder:
            manifest = read_manifest(folder)
            check_hashes(folder, manifest)
    except (BadPackage, EngineError, FileNotFoundError) as error:
        return Finding(
            "model",
            FAIL,
            _("“%(name)s” is active, but %(error)s") % {"name": model.name, "error": shown(text_of(error))},
            advice,
        )
    if manifest["sha256"] != model.manifest["sha256"]:
        fact = _("The files of “%(name)s” are those of another model.")
        return Finding("model", FAIL, fact % {"name": model.name}, advice)
    return Finding("model", OK, _("“%(name)s” is active; its files are whole.") % {"name": model.name})


def look_at_starters() -> Finding:
    installed = set(TrainedModel.objects.filter(manifest__has_key="starter").values_list("name", flat=True))
    missing = [speed for speed, name in NAMES.items() if name not in installed]
    if not missing:
        return Finding("starters", OK, _("Installed: %(names)s.") % {"names": ", ".join(NAMES)})
    commands = set()
    for backbone in BACKBONES.values():
        try:
            backbone.weights()
        except WeightsError as error:
            commands.add(error.hint)
    command = _(", then ").join([*sorted(commands), "python manage.py prepare"])
    advice = _("Run: %(command)s") % {"command": command}
    return Finding("starters", WARN, _("Not installed: %(names)s.") % {"names": ", ".join(missing)}, advice)


def look_at_gpu() -> Finding:
    """Without importing torch, which takes seconds and a gigabyte."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("GPU", OK, _("None on this machine: training uses the processor."))
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=6, check=False)
    if result.returncode:
        words = (result.stdout or result.stderr).strip().splitlines()
        return Finding(
            "GPU", WARN, (words or [_("nvidia-smi fails.")])[0][:200], _("Check the driver: nvidia-smi")
        )
    fact = "; ".join(result.stdout.strip().splitlines())
    if _torch_has_cuda():
        return Finding("GPU", OK, fact)
    advice = _("Install the build of torch for CUDA, or training will not use it.")
    return Finding(
        "GPU", WARN, _("%(gpu)s; but torch is a build for processors only.") % {"gpu": fact}, advice
    )


def _torch_has_cuda() -> bool:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda[^=]*= *['\"]", text, re.MULTILINE) is not None


def look_at_mail() -> Iterator[Finding]:
    """Signs in at the mail server, and sends nothing."""
    if not settings.EMAIL_URL:
        yield Finding("e-mail", OK, _("Not configured: the site sends none."))
        return
    with get_connection():
        yield Finding("e-mail", OK, _("The mail server answers."))
    if failed := Letter.objects.filter(state=Letter.State.FAILED).first():
        words = {"subject": failed.subject, "person": failed.user, "error": failed.error}
        fact = _("“%(subject)s” to %(person)s was not sent: %(error)s") % words
        yield Finding("e-mail", WARN, fact, _("Check the person's address on the page People."))


def look_at_backup() -> Finding:
    """When `manage.py backup` was last complete; who copies by other means need not mind."""
    file = Path(settings.VAR_DIR) / LAST
    if not file.is_file():
        return Finding("backup", WARN, _("None was made from here."), _(BACKUP))
    last = from_json(file.read_text(encoding="utf-8"))
    age = timezone.now() - datetime.fromisoformat(last["created"])
    fact = ngettext("%(n)s day old: %(folder)s", "%(n)s days old: %(folder)s", age.days)
    fact = (fact if age.days else _("Made today: %(folder)s")) % {"n": age.days, "folder": last["folder"]}
    return Finding("backup", WARN if age > OLD else OK, fact, _(BACKUP) if age > OLD else "")


CHECKS = (
    Check(gettext_noop("settings"), look_at_settings, gettext_noop("See docs/settings.md.")),
    Check(
        gettext_noop("database"),
        look_at_database,
        gettext_noop("Check that it runs and that DATABASE_URL names it."),
    ),
    Check(gettext_noop("migrations"), look_at_migrations, MIGRATE),
    Check(
        gettext_noop("broker"),
        look_at_broker,
        gettext_noop("Check that Redis runs and that REDIS_URL names it; jobs wait meanwhile."),
    ),
    Check(
        gettext_noop("storage"),
        look_at_storage,
        gettext_noop("Check the disks and, with STORAGE_URL, the bucket and its keys."),
    ),
    Check(gettext_noop("disk"), look_at_disk, gettext_noop("Check that the disk is mounted and answers.")),
    Check(
        gettext_noop("static files"),
        look_at_static_files,
        gettext_noop("Run: python manage.py collectstatic --noinput"),
    ),
    Check(gettext_noop("workers"), look_at_workers, WORKER),
    Check(gettext_noop("clock"), look_at_clock, gettext_noop("Check the database first.")),
    Check(gettext_noop("WordNet"), look_at_wordnet, gettext_noop("Get it: python scripts/get_wordnet.py")),
    Check(
        gettext_noop("model"),
        look_at_model,
        gettext_noop("Promote another model, or copy its folder from a backup."),
    ),
    Check(gettext_noop("starters"), look_at_starters, gettext_noop("Run: python manage.py prepare")),
    Check(
        gettext_noop("e-mail"),
        look_at_mail,
        gettext_noop("Check that the mail server runs and that EMAIL_URL names it."),
    ),
    Check(gettext_noop("backup"), look_at_backup, BACKUP),
    Check(gettext_noop("GPU"), look_at_gpu, gettext_noop("Check the driver: nvidia-smi")),
)
