"""Settings of the authorization server; the tests say by its environment where it lives and who its clients are."""

import os
from pathlib import Path

FOLDER = Path(os.environ["AUTHORIZATION_SERVER_FOLDER"])
ORIGIN = os.environ["AUTHORIZATION_SERVER_ORIGIN"]

SECRET_KEY = "of-the-tests-authorization-server"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.real.authorization_server.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "authorization_server.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "oauth2_provider",
]
# Tables as the models are, without the way there: starting takes half the time.
MIGRATION_MODULES = {app.rpartition(".")[2]: None for app in INSTALLED_APPS}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # also of the clients' secrets
LOGIN_URL = "/sign-in/"

OAUTH2_PROVIDER = {
    "SCOPES": {
        "openid": "Know who you are",
        "offline_access": "Keep the access",
        "profile": "Read your name",
        "notes:read": "Read notes",
        "notes:write": "Write notes",
    },
    "OIDC_ISS_ENDPOINT": ORIGIN,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "PKCE_REQUIRED": True,
    # What the Security Best Current Practice asks for, and the next version will do by itself.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
}
