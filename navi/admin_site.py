"""The operators' door: the stock Django admin, with Navi's theme and first page."""

from __future__ import annotations

from datetime import datetime
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache

NOT_AN_OPERATOR = (
    "The admin is for operators, and this account is none. Ask an operator if you should be one."
)

FIRST = ["credentials", "integrations", "jobs", "projects", "audit"]
NOT_SHOWN = {"axes"}


class NaviAdminConfig(AdminConfig):
    default_site = "navi.admin_site.NaviAdminSite"


class NaviAdminSite(AdminSite):
    site_header = site_title = "Navi"
    index_title = "Overview"
    index_template = "admin/index.html"
    site_url = "/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """All but what axes keeps: it shows what people typed as their name, which may be their password."""
        models = model_or_iterable if isinstance(model_or_iterable, list | tuple) else [model_or_iterable]
        ours = [model for model in models if model._meta.app_label not in NOT_SHOWN]
        super().register(ours, admin_class, **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """What operators come for first."""
        found = super().get_app_list(request, app_label)
        return sorted(
            found, key=lambda app: FIRST.index(app["app_label"]) if app["app_label"] in FIRST else 99
        )

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """As Django's, but whoever is signed in and no operator meets 403, not another sign-in."""
        opened = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            self.refuse_others(request)
            return opened(request, *args, **kwargs)

        return update_wrapper(guarded, opened)

    def refuse_others(self, request: HttpRequest) -> None:
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied(NOT_AN_OPERATOR)

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Everybody signs in at the hub: one form, one throttle."""
        self.refuse_others(request)
        wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
        is_ours = url_has_allowed_host_and_scheme(
            wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
        page = wanted if is_ours else reverse("admin:index")
        if not request.user.is_authenticated:
            page = f"{settings.LOGIN_URL}?{urlencode({REDIRECT_FIELD_NAME: page})}"
        return redirect(page)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("hub:password")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from navi.admin_dashboard import overview  # models are not loaded yet when the site is made

        return super().index(request, {"overview": overview(request), **(extra_context or {})})


def ago(at: datetime | None, now: datetime) -> str:
    """A moment as an age, or as what is left until it: "3 min ago", "in 2 h"."""
    if at is None:
        return "–"
    seconds = (now - at).total_seconds()
    words = span(abs(seconds))
    if not words:
        return "now"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def span(seconds: float) -> str:
    """Whole minutes, hours or days; nothing for less than a minute."""
    for unit, length, least in (("days", 86400, 2), ("h", 3600, 2), ("min", 60, 1)):
        if seconds >= least * length:
            return f"{seconds // length:,.0f} {unit}"
    return ""


def moment(at: datetime | None, now: datetime | None = None) -> SafeString | str:
    """An age with the full time behind it."""
    if at is None:
        return "–"
    full = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, ago(at, now or timezone.now())
    )


def mark(state: str, word: str) -> SafeString:
    """A status as the hub shows it, by shape, colour and word: healthy, degraded, failed, unknown, disabled."""
    return format_html(
        '<span class="health health-{0}"><svg class="shape" aria-hidden="true">'
        '<use href="{1}#status-{0}"/></svg>{2}</span>',
        state, static("hub/icons.svg"), word,
    )  # fmt: skip
