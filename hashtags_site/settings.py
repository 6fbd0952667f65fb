"""Every setting, from the environment. docs/settings.md lists the variables a real installation sets."""

import os
import secrets
import tempfile
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zlib import crc32

import django_stubs_ext
import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from formats import spans
from hashtags_site.places import read_place

django_stubs_ext.monkeypatch()  # makes ModelForm[X], QuerySet[X] subscriptable
env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.str("SCENETAG_VAR", str(BASE_DIR / "var")))  # all that the program writes
VAR_DIR.mkdir(parents=True, exist_ok=True)


def _read_secret_key() -> str:
    """A random key, made once and stored beside the data, so that nobody runs with a published key."""
    path = VAR_DIR / "secret_key"
    try:
        with path.open("x") as new:
            path.chmod(0o600)
            new.write(secrets.token_urlsafe(64))
    except FileExistsError:
        pass
    return path.read_text()


# --- Security ---------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "") or _read_secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("HTTPS", False)  # the site is reached by https, directly or through a proxy
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Probes and Prometheus ask a process itself, without the proxy that gives it https.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if env.bool("BEHIND_PROXY", False):  # only a proxy that sets the header itself may be believed
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Scripts, styles and pictures are our own files: pages work in a closed network, and an injected
# script does not run. style-src allows attributes, which size the bars of charts.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "style-src": [SELF, "'unsafe-inline'"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

DEMO = env.bool("SCENETAG_DEMO", False)  # a made-up crowd may vote: validation.made_up

# --- Limits on uploads ------------------------------------------------------------------------
MAX_PHOTO_BYTES = env.int("MAX_PHOTO_MB", 15) * 2**20  # one photo, by page or API
MAX_PHOTO_PIXELS = env.int("MAX_PHOTO_MEGAPIXELS", 100) * 10**6  # before decoding: bounds memory
MAX_ARCHIVE_BYTES = env.int("MAX_ARCHIVE_MB", 2048) * 2**20  # a photo set uploaded as a tar
MAX_MODEL_BYTES = env.int("MAX_MODEL_MB", 1024) * 2**20  # a model imported from a file
UPLOAD_PIECE_BYTES = env.int("UPLOAD_PIECE_MB", 8) * 2**20  # dropped files come in pieces of this size
MAX_UPLOADS = env.int("MAX_UPLOADS", 2000)  # dropped files of one person that no intake has taken yet
MAX_UPLOADS_BYTES = env.int("MAX_UPLOADS_MB", 10_240) * 2**20  # of these together
UPLOAD_KEPT = timedelta(hours=env.float("UPLOAD_HOURS", 24))  # after its last piece
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20  # a request's fields; files go to disk instead
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000  # of one form
MAX_BULK_CLASSES = 1_000  # that one form may decide; Django limits a form's number of fields, too
DATA_UPLOAD_MAX_NUMBER_FIELDS = MAX_BULK_CLASSES + 100
LEARN_BESIDE = True  # the suggester learns in a thread; not in tests, whose transactions no thread sees
WRITE_USE_BESIDE = True  # the use of tokens is written in a thread; not in tests, as above
WORK_BESIDE = True  # answers are counted, and shown to a shadow model, in threads: not in tests either
COUNT_SECONDS = 5.0  # after which counts of answers are stored
HASHTAG_MIN_POSTS = env.int("HASHTAG_MIN_POSTS", 10_000_000)  # hashtags with fewer posts are not offered

FEEDBACK_RATE = env.str("FEEDBACK_RATE", "600/minute")  # per API token; a request has up to 1,000 events
FEEDBACK_DAYS = env.int("FEEDBACK_DAYS", 30)  # for which feedback about an answer is taken
CHECKED_POSTS_DAYS = env.int("CHECKED_POSTS_DAYS", 30)  # for which checked posts are kept for moderators
SUGGEST_RATE = env.str("SUGGEST_RATE", "600/minute")  # photos per API token
MAX_REQUEST_PHOTOS = 32  # in one request for hashtags
MAX_REQUEST_BYTES = env.int("MAX_REQUEST_MB", 100) * 2**20  # of these photos together
MAX_STREAM_PHOTOS = 500  # in one request that is answered line by line
MAX_STREAM_BYTES = env.int("MAX_STREAM_MB", 1024) * 2**20
SUGGEST_CACHE_SECONDS = env.int("SUGGEST_CACHE_SECONDS", 3600)  # 0: no answer is remembered
SUGGEST_CACHE_ENTRIES = env.int("SUGGEST_CACHE_ENTRIES", 100_000)  # photos at most, half a kilobyte each
NEW_GUESTS_RATE = env.str("NEW_GUESTS_RATE", "60/hour")  # people who start voting by a link, per address
WRONG_PASSWORDS = env.int("WRONG_PASSWORDS", 10)  # for an account from one address: hashtags_site.guessing
WRONG_PASSWORDS_PAUSE = timedelta(minutes=env.float("WRONG_PASSWORDS_PAUSE_MINUTES", 15))
GUEST_VOTES_RATE = env.str("GUEST_VOTES_RATE", "120/minute")  # per guest
PROXIES = env.int("PROXIES", 0)  # in front of the site, each adding to X-Forwarded-For

# --- Parts ------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "hashtags_site",
    "serving",
    "validation",
    "trainer",
    "mapping",
    "jobs",
    "notices",
    "people",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "simple_history",
    "csp",
    "whitenoise.runserver_nostatic",
    # Without "allauth" itself, whose templates are not of our design: a page that lacks ours is an error.
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "hashtags_site.metrics.requests.Watch",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "hashtags_site.language.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",  # closed unless a view says otherwise
    "hashtags_site.gate.RefuseUnreadable",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "people.middleware.Sender",
    "people.signin.required.RequireSecondFactor",
    "allauth.account.middleware.AccountMiddleware",
    "hashtags_site.guessing.LimitGuesses",
    "hashtags_site.outages.Outages",
]
if spans.is_on():
    MIDDLEWARE.insert(1, "hashtags_site.tracing.Trace")
X_FRAME_OPTIONS = "DENY"
ROOT_URLCONF = "hashtags_site.urls"
WSGI_APPLICATION = "hashtags_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "jobs.context.worker_banner",
                "people.installation.names",
                "hashtags_site.help.page_help",
            ],
            "builtins": [
                "django.contrib.humanize.templatetags.humanize",
                "django.templatetags.i18n",
                "django.templatetags.static",
            ],
        },
    }
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
AUTHENTICATION_BACKENDS = [
    "hashtags_site.guessing.LimitedBackend",
    "django.contrib.auth.backends.ModelBackend",  # for the sessions of guests, who have no password
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# --- Signing in: docs/people.md ---------------------------------------------------------------
SITE_URL = env.str("SITE_URL", "").rstrip("/")  # https://tags.example.org: links in e-mails begin with it
EMAIL_URL = env.str("EMAIL_URL", "")  # empty: the site sends no e-mail
if EMAIL_URL:
    if not SITE_URL:
        raise ImproperlyConfigured("EMAIL_URL needs SITE_URL, with which the links in e-mails begin")
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", "scenetag@localhost")

OIDC_ISSUER = env.str("OIDC_ISSUER", "").rstrip("/")  # empty: nobody signs in elsewhere
OIDC_NAME = env.str("OIDC_NAME", "single sign-on")  # on the button
_oidc = {
    "provider_id": "oidc",  # in the addresses
    "name": OIDC_NAME,
    "client_id": env.str("OIDC_CLIENT_ID", ""),
    "secret": env.str("OIDC_CLIENT_SECRET", ""),
    "settings": {"server_url": OIDC_ISSUER, "oauth_pkce_enabled": True},
}
if OIDC_ISSUER and not (_oidc["client_id"] and _oidc["secret"]):
    raise ImproperlyConfigured("OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET")
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_oidc] if OIDC_ISSUER else []}}
SOCIALACCOUNT_ADAPTER = "people.signin.adapters.OpenIDAdapter"

# Roles that must have a second factor. "admin" is short for "trainer admin".
_roles = {"admin": "trainer admin"}
REQUIRE_SECOND_FACTOR = [_roles.get(name, name) for name in env.list("REQUIRE_SECOND_FACTOR", default=[])]
for _name in REQUIRE_SECOND_FACTOR:
    if _name not in ("administrator", "trainer admin", "curator", "viewer", "validator"):
        raise ImproperlyConfigured(f"REQUIRE_SECOND_FACTOR: there is no role {_name!r}")

ACCOUNT_ADAPTER = "people.signin.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "people.signin.forms.SignInForm", "reset_password": "people.signin.forms.ResetForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]  # nobody can: the adapter closes it
ACCOUNT_EMAIL_VERIFICATION = "none"  # is asked for where an address is entered, not at the sign-in
ACCOUNT_CHANGE_EMAIL = True  # a person has one address, and keeps it until the new one is confirmed
ACCOUNT_PREVENT_ENUMERATION = "strict"  # who enters another's address is not told that it is known
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_SESSION_REMEMBER = True
# Wrong passwords and codes are counted by hashtags_site.guessing, which is stricter.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
MFA_ADAPTER = "people.signin.adapters.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "hashtags_site.codes.SignInCode",
    "reauthenticate": "hashtags_site.codes.AgainCode",
    "activate_totp": "hashtags_site.codes.FirstCode",
    "login_webauthn": "people.signin.passkeys.AloneForm",
    "authenticate_webauthn": "people.signin.passkeys.SecondForm",
    "reauthenticate_webauthn": "people.signin.passkeys.AgainForm",
    "add_webauthn": "people.signin.passkeys.AddForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an address that waits for its confirmation holds nothing up
MFA_TOTP_TOLERANCE = 1  # a code is good for 30 s before and after: clocks of phones differ

# --- Database: SQLite until DATABASE_URL names a PostgreSQL -----------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
# A thread keeps its connection: opening one costs milliseconds, and forgets the statements it has prepared.
DATABASES["default"]["CONN_MAX_AGE"] = 60
LOCK_SECONDS = 20  # that a write waits for another's lock; then the site answers 503
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # wait for the write lock at BEGIN, where waiting is possible
        "timeout": LOCK_SECONDS,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    _options["options"] = f"{_options.get('options', '')} -c lock_timeout={LOCK_SECONDS}s".strip()
    _options.setdefault("connect_timeout", 2)
    # After so many uses the server keeps the plan of a query of validation.prepared, for each connection.
    # 0: it does not, which poolers need that hand one connection to several clients.
    _options.setdefault("prepare_threshold", env.int("PREPARE_AFTER", 2) or None)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue and cache --------------------------------------------------------------------------
# Without REDIS_URL, `manage.py up` starts an embedded Valkey on this socket.
VALKEY_SOCKET = VAR_DIR / "valkey.sock"
if len(str(VALKEY_SOCKET)) > 100:  # a socket's path has at most 107 characters
    VALKEY_SOCKET = Path(tempfile.gettempdir()) / f"scenetag-{crc32(str(VAR_DIR).encode()):08x}.sock"
REDIS_URL = env.str("REDIS_URL", f"unix://{VALKEY_SOCKET}?db=0")
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
CELERY_TASK_IGNORE_RESULT = True  # a job's state lives in our own table, which no restart loses
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what a busy worker keeps, no other can take
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    # A message not acknowledged for this long is delivered again, which is harmless. Tests set it to seconds.
    "visibility_timeout": env.float("VISIBILITY_TIMEOUT_SECONDS", 3600),
}
CELERY_TASK_ACKS_LATE = env.bool("TASK_ACKS_LATE", False)
# For which a request waits for Redis, once: after a failure nobody asks again for a while (jobs.broker).
BROKER_SECONDS = 1.0
_redis = {"LOCATION": REDIS_URL, "OPTIONS": {"socket_timeout": BROKER_SECONDS}}
CACHES = {
    "default": {"BACKEND": "hashtags_site.cache.FallbackCache", **_redis},  # counts for rate limits
    # What every process has to see, or else nobody: raises an error while Redis is away.
    "shared": {"BACKEND": "hashtags_site.cache.SharedCache", **_redis},
}

# A holder that does not renew its lease for this long loses the job: see docs/jobs.md.
JOB_LEASE = timedelta(seconds=env.float("JOB_LEASE_SECONDS", 20))
TRAINING_SLOTS = env.int("TRAINING_SLOTS", 1)  # trainings at once on one machine; others wait for their turn
FAKE_GPUS = env.int("FAKE_GPUS", 0)  # pretended, to try out how runs are placed: jobs.machines
# Threads of a machine that help with other workers' shards at once, beside the jobs that its workers hold.
SHARD_HELPERS = env.int("SHARD_HELPERS", 1)
SHARD_PHOTOS = env.int("SHARD_PHOTOS", 256)  # so many at most are done again when a worker dies
if SHARD_HELPERS < 0 or SHARD_PHOTOS < 1:
    raise ImproperlyConfigured("SHARD_HELPERS must be 0 or more, and SHARD_PHOTOS 1 or more")

# --- Files ------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "tmp"
FILE_UPLOAD_TEMP_DIR.mkdir(exist_ok=True)
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "hashtags_site.storage.StaticStorage"},
}
# What machines share goes to a bucket, if there is one: hashtags_site.places.
STORAGE_URL = env.str("STORAGE_URL", "")
# For which a link to a photo in the bucket lives. 0: photos come through the site.
STORAGE_LINK_SECONDS = env.int("STORAGE_LINK_SECONDS", 0)
if bucket := env.str("S3_BUCKET", ""):  # the photos only
    if STORAGE_URL:
        raise ImproperlyConfigured("Set STORAGE_URL or S3_BUCKET, not both")
    if STORAGE_LINK_SECONDS:
        raise ImproperlyConfigured("STORAGE_LINK_SECONDS needs STORAGE_URL instead of S3_BUCKET")
    STORAGES["default"] = {"BACKEND": "hashtags_site.bucket.Bucket", "OPTIONS": {"bucket_name": bucket}}
if STORAGE_URL:
    try:
        _place = read_place(STORAGE_URL)
    except ValueError as error:
        raise ImproperlyConfigured(f"STORAGE_URL: {error}") from error
    STORAGES |= _place.storages(link_seconds=STORAGE_LINK_SECONDS)
    if STORAGE_LINK_SECONDS:
        CONTENT_SECURITY_POLICY["DIRECTIVES"]["img-src"] += _place.origins
WHITENOISE_USE_FINDERS = DEBUG
MODELS_DIR = VAR_DIR / "models"  # exported models
# With STORAGE_URL: copies of models on this machine; the one asked last is the last to go.
MODELS_CACHE_BYTES = round(env.float("MODELS_CACHE_GB", 10) * 10**9)
# Which starter model becomes active in a new installation: "accurate", "fast" or "cascade". Without the
# weights of CLIP (make clip) only the fast one can be installed.
STARTER = env.str("STARTER", "accurate")
if STARTER not in ("accurate", "fast", "cascade"):
    raise ImproperlyConfigured(f"STARTER is {STARTER!r}; it must be accurate, fast or cascade")
RUNS_DIR = VAR_DIR / "runs"  # checkpoints and reports
RUNS_DISK_BYTES = round(
    env.float("RUNS_DISK_GB", 20) * 10**9
)  # weights of all runs together: trainer.runs.disk
PHOTO_SETS_DIR = VAR_DIR / "photo_sets"  # unpacked tars
FEATURE_CACHE_DIR = VAR_DIR / "features"
LOOK_AT_PHOTOS = env.bool("LOOK_AT_PHOTOS", True)  # of new sets, to help curators: trainer.looks
# Folders on the server that an admin may register photos from, in the browser.
PHOTO_ROOTS = [Path(p) for p in env.list("PHOTO_ROOTS", default=[str(VAR_DIR / "incoming")])]

# --- Language, time, logs ---------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ru", "Русский")]
# The apps whose pages are translated as a whole; the pages of others are English: docs/translating.md.
TRANSLATED = ["hashtags_site", "jobs", "mapping", "notices", "people", "serving", "trainer", "validation"]
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_TZ = True
LOG_FORMAT = env.str("LOG_FORMAT", "line")
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; it must be line or json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "hashtags_site.logs.Line",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"class": "hashtags_site.logs.Object"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    # A line for every request is for programs that read logs.
    "loggers": {
        "scenetag.requests": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
        "botocore": {"level": "WARNING"},  # it tells each thread where the keys were found
    },
}

# --- Errors: to a Sentry of one's own, without personal data ----------------------------------
if _dsn := env.str("SENTRY_DSN", ""):
    try:
        import sentry_sdk
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN needs a package: pip install -r requirements-sentry.txt"
        ) from error
    sentry_sdk.init(dsn=_dsn, send_default_pii=False)

# --- Traces: to an OpenTelemetry collector of one's own, without personal data -----------------
if spans.is_on():
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT needs packages: pip install -r requirements-otel.txt"
        ) from error

# --- Hooks: private networks, such as 10.0.0.0/8, that they may reach, also without https -------
try:
    HOOK_NETWORKS = [ip_network(text) for text in env.list("HOOK_NETWORKS", default=[])]
except ValueError as error:
    raise ImproperlyConfigured(f"HOOK_NETWORKS: {error}") from error

# --- Metrics: who may read /metrics, besides trainer admins -----------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
try:
    METRICS_NETWORKS = [ip_network(text) for text in env.list("METRICS_NETWORKS", default=[])]
except ValueError as error:
    raise ImproperlyConfigured(f"METRICS_NETWORKS: {error}") from error
# Every process counts in a mapped file. In memory: a full disk would kill who writes to such a file.
_shared = Path("/dev/shm")  # noqa: S108
_name = f"scenetag-{os.getuid()}-{crc32(str(VAR_DIR).encode()):08x}"
METRICS_DIR = Path(
    env.str("METRICS_DIR", str(_shared / _name if os.access(_shared, os.W_OK) else VAR_DIR / "metrics"))
)
METRICS_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # read when prometheus_client is imported

# --- API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "people.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {
        "suggest": SUGGEST_RATE,
        "feedback": FEEDBACK_RATE,
        "new_guests": NEW_GUESTS_RATE,
        "guest_votes": GUEST_VOTES_RATE,
    },
    "NUM_PROXIES": PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Scenetag API",
    "DESCRIPTION": "A popular hashtag that fits what a photo shows, or silence.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,  # what is sent has other rules: files are files, and texts not blank
    "ENUM_NAME_OVERRIDES": {  # what is called kind, but of different things
        "KindEnum": "mapping.releases.KINDS",
        "QuestionKindEnum": "validation.models.Question.Kind",
        "CampaignKindEnum": "validation.models.Campaign.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
