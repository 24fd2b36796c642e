"""What `check --deploy` refuses: settings that are fine on a desk and wrong in the world."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def fit_for_the_world(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        *detours(),
        *files_of_others(),
        *plain_address(),
        *behind_a_proxy(),
        *debugging(),
        *queue(),
        *failing(),
    ]


def detours() -> Iterator[CheckMessage]:
    if settings.UPSTREAMS:
        where = ", ".join(sorted(settings.UPSTREAMS))
        yield Error(
            f"NAVI_UPSTREAMS sends the traffic of {where}, credentials included, elsewhere.",
            hint="It is for tests. Unset it.",
            id="navi.E001",
        )


def files_of_others() -> Iterator[CheckMessage]:
    databases = sorted(settings.DATA_DIR.glob("navi.sqlite3*"))
    for path in (*(settings.DATA_DIR / name for name in ("keyring", "pepper", "secret_key")), *databases):
        # Inside a folder of its own nobody else can read anything.
        is_inside = stat.S_IMODE(settings.DATA_DIR.stat().st_mode) & 0o077 == 0 and path in databases
        if path.exists() and not is_inside and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Error(f"{path} can be read by others.", hint=f"Run: chmod 600 {path}", id="navi.E002")


def plain_address() -> Iterator[CheckMessage]:
    if not settings.IS_PUBLIC:
        yield Error(
            f"NAVI_BASE_URL is {settings.BASE_URL}: sign-in and tokens would travel in clear.",
            hint="Put TLS in front and set NAVI_BASE_URL to the https address.",
            id="navi.E003",
        )


def behind_a_proxy() -> Iterator[CheckMessage]:
    if settings.IS_PUBLIC and not settings.TRUSTED_PROXIES:
        yield Error(
            "NAVI_BASE_URL is https, but no proxy is trusted: Navi would take every visitor for the proxy.",
            hint="Set NAVI_TRUSTED_PROXIES to the number of reverse proxies in front.",
            id="navi.E005",
        )


def debugging() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error("NAVI_DEBUG shows settings and source to visitors.", hint="Unset it.", id="navi.E006")


def queue() -> Iterator[CheckMessage]:
    cluster: Any = settings.Q_CLUSTER
    if cluster["retry"] <= cluster["timeout"]:
        yield Error("Q_CLUSTER: retry must be longer than timeout, or work is done twice.", id="navi.E004")


def failing() -> Iterator[CheckMessage]:
    if settings.FAILPOINTS:
        yield Error(
            f"NAVI_FAILPOINTS makes Navi fail on purpose at {', '.join(sorted(settings.FAILPOINTS))}.",
            hint="It is for tests. Unset it.",
            id="navi.E007",
        )
