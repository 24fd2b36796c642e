"""One settings file. Values come from the environment (navi/env.py); docs/operating.md lists them."""

from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from navi import env
from navi.keyring import KeyFiles

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("NAVI_DATA_DIR") or BASE_DIR / "var").resolve()
try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as problem:
    raise ImproperlyConfigured(
        f"NAVI_DATA_DIR is {DATA_DIR}, which cannot be made ({problem.strerror}); name a folder that can be written."
    ) from None

# --- addresses

HOST = env.text("HOST", "127.0.0.1")
PORT = env.number("PORT", 8000, least=1, most=65535)
MCP_PORT = env.number("MCP_PORT", PORT + 1, least=1, most=65535)
BASE_URL = (env.text("NAVI_BASE_URL") or f"http://{HOST}:{PORT}").rstrip("/")
MCP_URL = (env.text("NAVI_MCP_URL") or f"http://{HOST}:{MCP_PORT}").rstrip("/")
_base = urlsplit(BASE_URL)
if _base.scheme not in {"http", "https"} or not _base.hostname or _base.path:
    raise ImproperlyConfigured(
        f"NAVI_BASE_URL is {BASE_URL!r}; write it as https://navi.example, without a path."
    )
IS_PUBLIC = _base.scheme == "https"

# --- Django

DEBUG = env.flag("NAVI_DEBUG")
SECRET_KEY = env.secret_file(DATA_DIR / "secret_key", variable="NAVI_SECRET_KEY")
ALLOWED_HOSTS = sorted(
    {_base.hostname, "127.0.0.1", "localhost", "[::1]"}
    - ({"127.0.0.1", "localhost", "[::1]"} if IS_PUBLIC else set())
)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ROOT_URLCONF = "navi.urls"
WSGI_APPLICATION = "navi.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "projects.User"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

INSTALLED_APPS = [
    "navi.admin_site.NaviAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "template_partials",
    "csp",
    "axes",
    "django_q",
    "navi.audit",
    "navi.projects",
    "navi.jobs",
    "credentials",
    "integrations",
    "navi.api",
    "navi.hub",
]

MIDDLEWARE = [
    "navi.audit.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "navi.hub.navigation.navigation",
            ],
        },
    }
]

# --- data

DATABASES = {"default": env.database(env.text("DATABASE_URL"), data_dir=DATA_DIR)}
REDIS_URL = env.text("REDIS_URL")
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}
NAVI_KEYS = KeyFiles(DATA_DIR)

# --- people

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in"
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_PUBLIC
SESSION_COOKIE_NAME = "__Host-navi_session" if IS_PUBLIC else "navi_session"
CSRF_COOKIE_NAME = "__Host-navi_csrf" if IS_PUBLIC else "navi_csrf"
CSRF_FAILURE_VIEW = "navi.hub.views.errors.csrf_failure"
# Locked by name and address together, and by address: a lock by name alone lets an outsider lock people out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_CALLABLE = "navi.hub.views.errors.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# --- what a browser may do

SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 31536000 if IS_PUBLIC else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
TRUSTED_PROXIES = env.number("NAVI_TRUSTED_PROXIES", 0, most=10)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
AXES_IPWARE_PROXY_COUNT = TRUSTED_PROXIES or None
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}

# The operator's reverse proxy decides about sub-domains, preloading and the redirect to https.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

# --- static files: no Node, nothing from elsewhere

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

TOKENS_MAY_LIVE_FOREVER = env.flag("NAVI_TOKENS_MAY_LIVE_FOREVER")

# --- API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["navi.api.authentication.AgentTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["navi.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["navi.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "navi.api.negotiation.AnyAccept",
    "UNICODE_JSON": False,  # half a surrogate pair in a vendor's answer has no UTF-8
    "DEFAULT_SCHEMA_CLASS": "navi.api.openapi.AgentSchema",
    "EXCEPTION_HANDLER": "navi.api.errors.handle",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Navi",
    "DESCRIPTION": "What agents may ask of Navi. Send `Authorization: Bearer navi_at_…`.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "navi.api.openapi.tidied"],
}

# --- the way out

OUTBOUND_ALLOW = env.outbound("NAVI_OUTBOUND_ALLOW")
OWN_SERVICES = env.own_services(HOST, PORT, MCP_PORT, DATABASES["default"], REDIS_URL)
UPSTREAMS = env.origins("NAVI_UPSTREAMS", example="todoist=http://127.0.0.1:9001")
FAILPOINTS = env.pairs("NAVI_FAILPOINTS", example="refresh.after_response=kill")  # credentials/failpoints.py
CLI_LOGINS = env.lists("NAVI_CLI_LOGINS", example="gh=acme,gh=website")
PLUGIN_DIRS = [Path(part) for part in env.text("NAVI_PLUGIN_DIRS").split(":") if part]

# --- mail: the one exception to the way out, and only to the operator's own server

MAIL_SERVER = env.mail_server("NAVI_EMAIL_URL")
EMAIL_IS_SET_UP = MAIL_SERVER is not None
DEFAULT_FROM_EMAIL = env.sender("NAVI_EMAIL_FROM", needed_by="NAVI_EMAIL_URL" if MAIL_SERVER else "")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL_SERVER else 'dummy'}.EmailBackend"
EMAIL_TIMEOUT = 15
if MAIL_SERVER:
    EMAIL_HOST, EMAIL_PORT = MAIL_SERVER.host, MAIL_SERVER.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER.user, MAIL_SERVER.password
    EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SERVER.starttls, MAIL_SERVER.ssl

# --- jobs: django-q2 is the doorbell, navi.jobs the ledger

Q_CLUSTER = {
    "name": "navi",
    "label": "Doorbell",
    "workers": env.number("NAVI_WORKERS", 2, least=1, most=32),
    "timeout": 300,
    "retry": 3600,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,  # a bell says nothing worth keeping
    "queue_limit": 4,
    "recycle": 500,
    "poll": 1,
    "log_level": "WARNING",
    # A Redis that does not answer must not hold up whoever rings.
    **(
        {"redis": f"{REDIS_URL}{'&' if '?' in REDIS_URL else '?'}socket_connect_timeout=2"}
        if REDIS_URL
        else {"orm": "default"}
    ),
}

# --- words

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {"()": "navi.audit.redact.RedactingFilter"},
        # An answer of 503 is no news; an exception that nobody expected is.
        "unexpected": {"()": "django.utils.log.CallbackFilter", "callback": lambda line: line.exc_info},
    },
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]},
    },
    "root": {
        "handlers": ["console"],
        "level": env.one_of("NAVI_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
    "loggers": {
        "django.server": {"handlers": ["console"], "propagate": False},
        "axes": {"level": "ERROR"},
        "django.request": {
            "level": "ERROR",
            "filters": ["unexpected"],
        },  # what is refused stands in the audit
        "django-q": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
    },
}
