"""Agent tokens: listed, created and shown once, rotated with an overlap, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import trigger_client_event

from credentials.models import Connection
from integrations import registry
from navi.audit.problems import Problem
from navi.hub import replies
from navi.hub.doors import ProjectRequest, in_project, own
from navi.hub.fields import Form, Option, choice, text
from navi.projects import roles, tokens
from navi.projects.models import AgentToken

SOON = timedelta(days=14)
REMEMBERED = timedelta(days=30)  # how long an ended token stays in the list
EXPIRIES = (("7", "In 7 days"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
OVERLAPS = {
    "0": ("At once", timedelta(0)),
    "1": ("In an hour", timedelta(hours=1)),
    "24": ("In a day", timedelta(days=1)),
    "168": ("In a week", timedelta(days=7)),
}
PRESETS = (
    ("Everyday", roles.DEFAULT_SCOPES, "Reads, writes and asks for what is missing"),
    ("Only read", ("read", "run"), "Changes nothing anywhere"),
)
# What a person should think about before ticking it.
RISKS = {"write": "write", "proxy": "write", "credentials": "write", "manage": "write"}
RISKS |= {"destructive": "destroy", "secret": "destroy"}
# These are about the project as a whole; all others may be given for single integrations.
FOR_ALL = frozenset({"mcp", "audit", "global"})


# --- the list


@in_project(GET="tokens.own")
def agents(request: ProjectRequest) -> HttpResponse:
    """One's own tokens; with `tokens.manage` everybody's."""
    slug = request.project.slug
    context = {
        "page_title": "Agents",
        "tokens": [told(token, request) for token in listed(request)],
        "may_create": True,
        "create_url": reverse("hub:new-token", args=[slug]),
        "refresh_url": reverse("hub:agents", args=[slug]),
        "base_url": settings.BASE_URL,
    }
    if replies.wants_fragment(request):
        return render(request, "hub/_tokens.html", {**context, "is_fragment": True})
    return render(request, "hub/agents.html", context)


def in_reach(request: ProjectRequest) -> Any:
    """The tokens this person may see here."""
    rows = AgentToken.objects.filter(project=request.project).select_related("owner")
    return rows if request.may("tokens.manage") else rows.filter(owner=request.user)


def listed(request: ProjectRequest) -> list[AgentToken]:
    """The newest token of each family, living ones first. Those that ended long ago are left out."""
    at = timezone.now()
    lately = Q(revoked_at=None) | Q(revoked_at__gt=at - REMEMBERED)
    unexpired = Q(expires_at=None) | Q(expires_at__gt=at - REMEMBERED)
    rows = in_reach(request).filter(lately, unexpired, replaced_by=None).prefetch_related("replaces")
    return sorted(rows, key=lambda token: token.state_at(at) not in {"active", "rotating"})


def told(token: AgentToken, request: ProjectRequest) -> dict[str, Any]:
    at, slug = timezone.now(), request.project.slug
    state, word = health_of(token, at)
    is_living = token.is_living
    return {
        "id": str(token.pk),
        "name": token.name,
        "hint": f"navi_at_{token.public_id}_…",
        "state": state,
        "word": word,
        "scopes": token.scopes,
        "owner": str(token.owner),
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "overlap_until": overlap_of(token, at),
        "rotate_url": reverse("hub:rotate-token", args=[slug, token.pk]),
        "revoke_url": reverse("hub:revoke-token", args=[slug, token.pk]),
        "may_rotate": is_living and token.owner == request.user,
        "may_revoke": is_living,
        "activity_url": activity_of(token, request),
    }


def health_of(token: AgentToken, at: datetime) -> tuple[str, str]:
    """State and word, as the page shows them."""
    if token.revoked_at:
        return "disabled", "Revoked"
    if token.expires_at and token.expires_at <= at:
        return "failed", "Expired"
    if token.expires_at and token.expires_at <= at + SOON:
        return "degraded", "Expires soon"
    return ("healthy", "Active") if token.last_used_at else ("unknown", "Never used")


def overlap_of(token: AgentToken, at: datetime) -> datetime | None:
    """Until when the secret from before the rotation works."""
    living = [old.expires_at for old in token.replaces.all() if old.state_at(at) == "rotating"]
    return max((end for end in living if end), default=None)


def activity_of(token: AgentToken, request: ProjectRequest) -> str:
    if not request.may("audit.view"):
        return ""
    return reverse("hub:activity", args=[request.project.slug]) + f"?actor={token.public_id}"


# --- a new one


@in_project(GET="tokens.own", POST="tokens.own")
def new_token(request: ProjectRequest) -> HttpResponse:
    form = token_form(request)
    chosen: Iterable[str] = roles.cut(request.role, roles.DEFAULT_SCOPES)
    if request.method == "POST":
        form, chosen = form.filled(request.POST), request.POST.getlist("scopes")
        try:
            return create(request, form, chosen)
        except Problem as problem:
            form = form.refused(problem, names={"expires_at": "expires"})
    here = reverse("hub:agents", args=[request.project.slug])
    context = {
        "token_form": {"action_url": request.path, "cancel_url": here, "error": form.error},
        "form": form,
        "scopes": scopes_told(request.role, set(chosen)),
        "presets": [
            {"label": label, "scopes": " ".join(scopes), "hint": hint} for label, scopes, hint in PRESETS
        ],
    }
    status = 422 if form.is_wrong else 200
    back = {"url": here, "label": "Agents"}
    return replies.dialog(request, "hub/_token_form.html", context, back=back, status=status)


def create(request: ProjectRequest, form: Form, chosen: Iterable[str]) -> HttpResponse:
    token, secret = tokens.issue(
        request.project,
        request.user,
        form.values["name"],
        narrowed(chosen, form.values.get("providers", [])),
        expiry(form.values["expires"]),
        actor=request.actor,
    )
    return shown_once(request, token, secret)


def token_form(request: ProjectRequest) -> Form:
    never = [("never", "Never")] if settings.TOKENS_MAY_LIVE_FOREVER else []
    fields = [
        text("name", "Name", placeholder="claude-code on my laptop", autofocus=True),
        choice("expires", "Expires", [*EXPIRIES, *never], "90"),
    ]
    if connected := connected_providers(request):
        hint = "Choose none for all, also those connected later."
        fields.append(
            choice("providers", "Integrations", connected, (), look="checkboxes", hint=hint, required=False)
        )
    return Form(*fields)


def connected_providers(request: ProjectRequest) -> list[Option]:
    """What is connected here, by name."""
    rows = Connection.objects.reachable(project_id=request.project.pk, user_id=request.user.pk)
    slugs = set(rows.order_by().values_list("provider", flat=True).distinct())
    if not slugs:
        return []
    return [
        Option(entry.slug, entry.name)
        for entry in registry.entries(request.project.pk)
        if entry.slug in slugs
    ]


def narrowed(verbs: Iterable[str], providers: Iterable[str]) -> list[str]:
    """The scopes chosen, each for the integrations chosen: `run:linear`. Without any, for all."""
    only = list(providers)
    pairs = ([verb] if verb in FOR_ALL or not only else [f"{verb}:{slug}" for slug in only] for verb in verbs)
    return [scope for group in pairs for scope in group]


def expiry(chosen: str) -> tokens.Expiry:
    """The moment chosen. Another value than those offered is the usual life."""
    if chosen == "never":
        return "never"
    return timezone.now() + timedelta(days=int(chosen)) if chosen in dict(EXPIRIES) else None


def scopes_told(role: str, chosen: set[str]) -> list[dict[str, Any]]:
    """All scopes; those the role may not grant say so."""
    beyond = set(roles.beyond(role, roles.SCOPES))
    return [
        {
            "value": scope,
            "label": f"{words}.",
            "checked": scope in chosen and scope not in beyond,
            "disabled": scope in beyond,
            "why_not": "Admins grant this.",
            "risk": RISKS.get(scope, ""),
        }
        for scope, words in roles.SCOPES.items()
    ]


def shown_once(request: ProjectRequest, token: AgentToken, secret: str, **more: Any) -> HttpResponse:
    """The only answer that ever holds the token."""
    here = reverse("hub:agents", args=[request.project.slug])
    created = {
        "name": token.name,
        "token": secret,
        "snippets": snippets(),
        "close_url": here,
        **more,
    }
    back = {"url": here, "label": "Agents"}
    response = replies.dialog(request, "hub/_token_created.html", {"created": created}, back=back)
    return trigger_client_event(response, "tokens-changed", {})


def snippets() -> list[dict[str, str]]:
    """They read the token from the environment; none holds it."""
    base = settings.BASE_URL
    curl = f'curl -H "Authorization: Bearer $NAVI_TOKEN" \\\n  {base}/api/integrations/status'
    python = (
        "import json, os, urllib.request\n\n"
        f'request = urllib.request.Request("{base}/api/integrations/status")\n'
        'request.add_header("Authorization", f"Bearer {os.environ[\'NAVI_TOKEN\']}")\n'
        "print(json.load(urllib.request.urlopen(request)))"
    )
    return [
        {"id": "curl", "label": "curl", "code": curl},
        {"id": "python", "label": "Python", "code": python},
    ]


# --- rotated, revoked


@in_project(GET="tokens.own", POST="tokens.own")
def rotate_token(request: ProjectRequest, pk: UUID) -> HttpResponse:
    token = own(in_reach(request), pk)
    form = Form(overlap_field())
    if request.method == "POST":
        form = form.filled(request.POST)
        _, overlap = OVERLAPS.get(form.values["overlap"], OVERLAPS["24"])
        try:
            fresh, secret = tokens.rotate(token, overlap, actor=request.actor)
        except Problem as problem:
            form = form.refused(problem)
        else:
            return shown_once(request, fresh, secret, rotated=True, overlap_until=ends_at(token))
    here = reverse("hub:agents", args=[request.project.slug])
    rotate = {"name": token.name, "action_url": request.path, "cancel_url": here, "error": form.error}
    context = {"rotate": rotate, "form": form}
    status = 422 if form.is_wrong else 200
    back = {"url": here, "label": "Agents"}
    return replies.dialog(request, "hub/_token_rotate.html", context, back=back, status=status)


def overlap_field() -> Any:
    choices = [(value, label) for value, (label, _) in OVERLAPS.items()]
    hint = "Long enough to put the new one in place."
    return choice("overlap", "The token of today ends", choices, "24", look="radio", hint=hint)


def ends_at(old: AgentToken) -> datetime | None:
    """When the old secret ends; None where it has ended."""
    return old.expires_at if old.expires_at and old.expires_at > timezone.now() else None


@in_project(GET="tokens.own", POST="tokens.own")
def revoke_token(request: ProjectRequest, pk: UUID) -> HttpResponse:
    token = own(in_reach(request), pk)
    here = reverse("hub:agents", args=[request.project.slug])
    if request.method == "POST":
        tokens.revoke(token, actor=request.actor)
        return replies.done(request, f"{token.name} is revoked.", to=here, events=("tokens-changed",))
    confirm = {
        "title": f"Revoke {token.name}",
        "message": "The agent that carries this token stops at its next call. This cannot be undone.",
        "points": revoke_points(token, request),
        "action_url": request.path,
        "cancel_url": here,
        "button": "Revoke",
    }
    back = {"url": here, "label": "Agents"}
    return replies.dialog(request, "hub/_confirm_dialog.html", {"confirm": confirm}, back=back)


def revoke_points(token: AgentToken, request: ProjectRequest) -> list[str]:
    used = (
        f"Last used {token.last_used_at:%-d %b %Y, %H:%M} UTC."
        if token.last_used_at
        else "Never used so far."
    )
    others = [] if token.owner == request.user else [f"It belongs to {token.owner}."]
    return [*others, used, "If it was rotated, the secret from before ends too."]
