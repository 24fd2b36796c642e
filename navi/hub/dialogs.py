"""The connect dialog: which fields a provider asks for, how to get them, and what came of the try."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import Http404
from django.urls import reverse

from credentials.models import Connection, ConnectRequest
from credentials.resolve import candidates
from integrations import policy, registry
from integrations.registry import Entry
from integrations.runtime import cli_logins, connect, oauth_apps
from integrations.sdk import Auth, Cli, OAuth2
from integrations.sdk.recognise import foreign_beginnings
from navi.audit.problems import Problem
from navi.hub import fields, oauth
from navi.hub.answers import Refusal, said
from navi.hub.cards import may_reconnect, url_in
from navi.hub.doors import ProjectRequest
from navi.hub.fields import Field, Form, Option
from navi.hub.oauth import Ticks
from navi.hub.tiles import tile

LONGEST_LABEL = 160
# What a browser's regular expressions do not know of Python's; such a pattern is only checked here.
ONLY_PYTHON = ("(?P", "(?#", "\\A", "\\Z", "(?i", "(?s", "(?x", "(?m", "(?a", "(?L", "(?u")


@dataclass(frozen=True)
class Setup:
    """One person connecting one provider, afresh or again."""

    request: ProjectRequest
    entry: Entry
    auth: Auth
    rows: Sequence[Connection]
    reconnects: Connection | None = None
    asked: ConnectRequest | None = None  # an agent asked, and said where it is to live

    @property
    def is_direct(self) -> bool:
        """Is it done with what is typed here?"""
        return not isinstance(self.auth, OAuth2 | Cli)

    @property
    def is_oauth(self) -> bool:
        """Is it done at the vendor's own page?"""
        return isinstance(self.auth, OAuth2)

    @property
    def asks_scope(self) -> bool:
        """A custom provider belongs to its project, and an account stays where it is."""
        is_free = self.reconnects is None and self.asked is None
        return is_free and not self.entry.provider.custom_id and not isinstance(self.auth, Cli)

    @cached_property
    def app(self) -> dict[str, Any]:
        """The OAuth app that people here sign in through."""
        return oauth.app_told(self.request, self.entry)

    def form(self) -> Form:
        asked = [credential(item, self.entry.slug) for item in self.auth.fields]
        if asked:
            asked[0] = replace(asked[0], autofocus=True)
        if self.reconnects is None and not isinstance(self.auth, Cli):
            asked.append(label_field())
        if self.asks_scope:
            is_everywhere = not self.is_oauth or self.app["serves_all_projects"]
            asked.append(scope_field(self.request.project.name, everywhere=is_everywhere))
        return Form(*asked)

    def ticks(self) -> Ticks:
        """What is ticked when the dialog opens."""
        if self.reconnects and not {"services", "scopes"} & set(self.request.GET):
            return Ticks()
        return oauth.wanted_in(self.entry, self.request.GET, asked=self.asked.scopes if self.asked else ())

    def offer(self, form: Form) -> connect.Offer:
        """What the person hands in, and where it is to live."""
        values = form.values
        return connect.Offer(
            entry=self.entry,
            project=self.request.project,
            fields={item.key: values.get(item.key, "") for item in self.auth.fields},
            for_user=self.owner(values.get("scope", "project")),
            label=self.reconnects.label if self.reconnects else values.get("label", "")[:LONGEST_LABEL],
            reconnects=self.reconnects,
            auth_kind=self.auth.kind,
        )

    def owner(self, scope: str) -> uuid.UUID | None:
        """None for the project; the person for all their projects."""
        if self.reconnects:
            return self.reconnects.user_id
        if self.asked:
            return self.asked.for_user_id
        return self.request.user.pk if scope in {"user", "global"} else None

    def address(self, name: str) -> str:
        again = {"reconnect": str(self.reconnects.pk)} if self.reconnects else {}
        return url_in(self.request, name, self.entry.slug, kind=self.auth.kind, **again)

    @property
    def action_url(self) -> str:
        """Where the dialog is sent."""
        if self.asked:
            address = reverse("hub:connect-request", args=[self.asked.pk])
            return f"{address}?{urlencode({'kind': self.auth.kind})}"
        return self.address("oauth-start" if self.is_oauth else "connect")

    def other_way(self, auth: Auth) -> str:
        """The same dialog for another way of signing in."""
        return replace(self, auth=auth).action_url if self.asked else url_in(
            self.request, "connect", self.entry.slug, kind=auth.kind
        )  # fmt: skip


def setup(request: ProjectRequest, provider: str, *, reconnects: Connection | None = None) -> Setup:
    """What is to be connected, as the address says. Raises Problem, Http404."""
    entry = registry.entry(provider, request.project.pk)
    effective = policy.standing(entry, project_id=request.project.pk, user_id=request.user.pk).effective
    if effective.is_blocked:
        raise Problem("blocked", f"An operator has blocked {entry.name}.", provider=entry.slug)
    rows = candidates(entry.slug, project_id=request.project.pk, user_id=request.user.pk)
    if wanted := request.GET.get("reconnect"):
        reconnects = one_of(rows, wanted)
    if reconnects and not may_reconnect(request, reconnects):
        raise Http404("There is nothing here.")
    kind = reconnects.auth_kind if reconnects else request.GET.get("kind")
    return Setup(request, entry, way_in(request, entry, kind), rows, reconnects)


def one_of(rows: Sequence[Connection], wanted: str) -> Connection:
    found = next((row for row in rows if wanted in {str(row.pk), row.pk.hex}), None)
    if found is None:
        raise Http404("There is nothing here.")
    return found


def way_in(request: ProjectRequest, entry: Entry, kind: str | None) -> Auth:
    """The asked-for way of signing in; else the one that asks least of a person here and now."""
    try:
        return entry.provider.auth_of(kind) if kind else easiest(request, entry)
    except KeyError:
        raise Http404("There is no such way of signing in.") from None


def easiest(request: ProjectRequest, entry: Entry) -> Auth:
    """OAuth where an app is set up, else what can be finished on this page."""
    way, ways = oauth.way_of(entry), entry.provider.auth
    if way and (len(ways) == 1 or oauth_apps.serving(entry, request.project)):
        return way
    return next((auth for auth in ways if not isinstance(auth, OAuth2 | Cli)), ways[0])


# --- fields


def credential(item: Any, provider: str, *, required: bool | None = None) -> Field:
    """A field as the provider declares it, checked while typing where it has a pattern."""
    about: dict[str, Any] = {
        "required": item.required if required is None else required,
        "placeholder": item.placeholder,
        "hint": item.hint,
        "help_url": item.help_url if urlsplit(item.help_url).scheme in {"https", "http"} else "",
        "pattern": "" if any(mark in item.pattern for mark in ONLY_PYTHON) else item.pattern,
        "pattern_hint": item.hint,
    }
    if item.type == "password":
        return fields.secret(item.key, item.label, foreign_prefixes=foreign_beginnings(provider), **about)
    return fields.text(item.key, item.label, type=item.type, **about)


def label_field(value: str = "", *, required: bool = False) -> Field:
    return fields.text(
        "label", "Name for this account", value=value, required=required, placeholder="Work",
        hint="Helps when there is more than one." if not required else "",
    )  # fmt: skip


def scope_field(project: str, *, everywhere: bool = True) -> Field:
    """Where the account will live. `everywhere` is False where only this project has an OAuth app."""
    hint = "Every project of yours, until one says otherwise. Only your agents use it, without syncs and webhooks."
    if not everywhere:
        hint = "Needs an OAuth app of the whole instance, which an operator adds."
    choices = (
        Option("user", "All my projects", hint, disabled=not everywhere),
        Option(
            "project",
            "Only this project",
            f"Every agent of {project}, and no other project. Syncs and webhooks work.",
        ),
    )
    value = "user" if everywhere else "project"
    return fields.choice("scope", "Where it may be used", choices, value, look="cards")


# --- the dialog


def dialog_context(
    made: Setup,
    form: Form,
    *,
    error: Refusal | None = None,
    test_result: Mapping[str, Any] | None = None,
    mode: str = "",
    ticks: Ticks | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What _connect_dialog.html takes."""
    form, words = explained_in(form, error) if error else (form, None)
    mode = mode or ("reconnect" if made.reconnects else "connect")
    dialog = {
        "mode": mode,
        "kind": made.auth.kind,
        "provider": tile(made.entry),
        "lead": lead(made, mode),
        "action_url": made.action_url,
        "test_url": made.address("connect-test") if made.is_direct else None,
        "cancel_url": url_in(made.request, "provider", made.entry.slug),
        "error": words,
        "test_result": test_result,
        "guide": guide(made),
        "chat": {"sentence": sentence_for_chat(made)},
        "ways": ways(made),
        "oauth": at_the_vendor(made, ticks or made.ticks()) if made.is_oauth and mode != "edit" else None,
        "cli": on_their_machine(made) if isinstance(made.auth, Cli) else None,
        **more,
    }
    scope = form["scope"] if "scope" in form.fields else None
    return {
        "page_title": f"{made.entry.name}: {mode}",
        "dialog": dialog,
        "form": [field for field in form if field.name != "scope"],
        "scope_field": scope,
    }


def explained_in(form: Form, error: Refusal) -> tuple[Form, dict[str, Any]]:
    """The words at the field that is wrong, or above the form; never what was typed."""
    words = said(error)
    field = getattr(error, "field", None) or ""
    if field in form.fields:
        told = {"message": "Nothing was saved.", "fix": "Correct the marked field, then try again."}
        return form.wrong(field, words["message"]), told
    return form, {"message": words["message"], "fix": f"Nothing was saved. {words['fix']}".strip()}


def lead(made: Setup, mode: str) -> str:
    if mode == "reconnect":
        who = made.reconnects.label if made.reconnects else ""
        what = "same account, new key" if made.is_direct else "sign in with the same account"
        return f"{who}: {what}. Agents go on where they stopped.".removeprefix(": ")
    if mode == "edit" and made.reconnects:
        return made.reconnects.label
    return made.entry.provider.guide.enables or made.entry.provider.description


def guide(made: Setup) -> dict[str, Any] | None:
    """How to get the key; closed for somebody who has done it before."""
    known, every = made.entry.provider.guide, made.entry.provider.auth
    # Where there are several ways, the guide tells of the key.
    if not (known.steps or known.trouble) or not (made.is_direct or len(every) == 1):
        return None
    has_done_it = any(row.created_by_id == made.request.user.pk for row in made.rows)
    steps = [
        {"text": step.text, "url": step.url, "url_label": step.url.removeprefix("https://")}
        for step in known.steps
    ]
    trouble = [{"what": what, "why": why} for what, why in known.trouble.items()]
    return {
        "title": "How it goes" if made.is_oauth else "How to get it", "steps": steps, "trouble": trouble,
        "minutes": (len(steps) + 2) // 3, "open": not has_done_it,
    }  # fmt: skip


def sentence_for_chat(made: Setup) -> str:
    return (
        f"Connect {made.entry.name} for the project {made.request.project.name} with navi-integrations, "
        "and explain each step to me."
    )


def ways(made: Setup) -> list[dict[str, Any]]:
    """The ways of signing in to choose from; an account that is there keeps its own."""
    every = made.entry.provider.auth
    if made.reconnects or len(every) < 2:
        return []
    return [
        {"label": auth.label, "url": made.other_way(auth), "current": auth is made.auth} for auth in every
    ]


def at_the_vendor(made: Setup, ticks: Ticks) -> dict[str, Any]:
    """What the dialog shows of OAuth."""
    return {
        **oauth.offered(made.entry, ticks, made.reconnects),
        "app": made.app,
        "elsewhere_url": "" if made.asked else elsewhere(made),
        "app_url": "" if made.asked else made.app["url"],
    }


def elsewhere(made: Setup) -> str:
    """This dialog's address, to open on another device."""
    return f"{settings.BASE_URL}{made.address('connect')}"


def on_their_machine(made: Setup) -> dict[str, Any]:
    assert isinstance(made.auth, Cli)  # noqa: S101 - asked for what is a Cli
    return {
        "command": made.auth.auth_command,
        "check": f"navi-integrations test {made.entry.slug}",
        "is_here": cli_logins.is_offered(made.entry, made.request.project),
    }


# --- after it worked


def connected_context(
    request: ProjectRequest, entry: Entry, row: Connection, *, latency_ms: int | None, **more: Any
) -> dict[str, Any]:
    """What _connected.html takes."""
    from navi.hub.details import actions_of, first_try_of, snippets_of, used_by

    told = actions_of(request, entry, row)
    return {
        "page_title": f"{entry.name} is connected",
        "done": {
            "provider": tile(entry),
            "account": row.label,
            "scope_label": "all my projects" if row.user_id else "this project",
            "latency_ms": latency_ms,
            "can": [one["title"] for one in told if one["allowed"]] or ["Call it through the proxy"],
            "cannot": [{"text": one["title"], "why": one["why_not"]} for one in told if not one["allowed"]],
            "try": first_try_of(request, entry, row),
            "snippets": snippets_of(entry),
            "used_by": used_by(request, entry),
            "rating_url": url_in(request, "satisfaction", entry.slug),
            "provider_url": url_in(request, "provider", entry.slug),
            "close_url": url_in(request, "integrations"),
            **more,
        },
    }
