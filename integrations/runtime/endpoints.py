"""Where vendors call: made, given new secrets, paused, removed; registered at the vendor where it has an API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from credentials.resolve import choose, usable
from credentials.vault import VaultSealed
from integrations import policy, registry, ruling
from integrations.models import WebhookEndpoint
from integrations.registry import Entry
from integrations.runtime import hearing, lines, registering
from integrations.runtime.lines import Line, url_of
from integrations.runtime.pacing import spread
from integrations.sdk import Plugin, SignedJwt, Webhook
from integrations.sdk.schemes import SCHEMES, webhook_of
from integrations.sdk.signatures import new_secret
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.jobs import ledger

OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
GREETING_WINDOW = timedelta(hours=24)
MOST = 500  # of a project
STATES = WebhookEndpoint.State


@dataclass(frozen=True, repr=False)
class Made:
    """An endpoint, and its secret where a person must carry it to the vendor: shown now and never again."""

    endpoint: WebhookEndpoint
    secret: str | None = None

    @property
    def url(self) -> str:
        return url_of(self.endpoint)


def in_project(project: Any) -> Any:
    """The project's endpoints with what a page shows of them."""
    return WebhookEndpoint.objects.in_project(project).select_related("project", "connection")


# --- adding one


def create(
    project: Any,
    plugin_slug: str,
    actor: Actor,
    *,
    connection: str | None = None,
    resource: str = "",
    scheme: str = "",
    label: str = "",
    secret: str = "",
    by_hand: bool = False,
) -> Made:
    """An address for this plugin's vendor, registered there where that can be done by its API.

    `connection`: id or label, else the project's default. `scheme`: one of SCHEMES, for custom providers.
    `secret`: the vendor's, where the vendor makes it and shows it to people. `by_hand`: a person enters the
    address at the vendor, also where Navi could. Raises Problem, VendorError; then nothing is stored.
    """
    entry, plugin = registry.plugin(plugin_slug, project.pk)
    webhook = webhook_for(entry, plugin, scheme)
    registers = webhook.register_function is not None and not by_hand
    check_permitted(entry, plugin, project, actor, registers=registers)
    account = account_for(entry, project, connection)
    check_place(webhook, plugin, project, account, resource, registers=registers)
    endpoint = WebhookEndpoint(
        project=project, provider=entry.slug, plugin=plugin.slug, connection=account, resource=resource,
        scheme=scheme if plugin.webhook is None else "", label=label.strip()[:160], created_by=actor.label[:160],
    )  # fmt: skip
    made = first_secret(webhook, secret)
    endpoint.secrets = lines.with_secret({}, made, overlap=0) if made else {"live": []}
    line = inserted(endpoint, actor)
    if registers:
        registering.first_time(line, actor)
        return Made(endpoint)
    return Made(endpoint, None if secret else made)


def check_permitted(entry: Entry, plugin: Plugin, project: Any, actor: Actor, *, registers: bool) -> None:
    """To register is to write at the vendor: nothing that is off does, and no agent that a rule watches.

    Raises Problem: blocked, disabled.
    """
    standing = policy.standing(entry, project_id=project.pk, user_id=None)
    policy.check_open(entry, standing.effective_of(plugin))
    if registers:
        ruling.check_uncovered(actor, entry, project.pk)


def webhook_for(entry: Entry, plugin: Plugin, scheme: str) -> Webhook:
    """How its vendor calls. Raises Problem."""
    if plugin.webhook is not None:
        return plugin.webhook
    if not entry.provider.custom_id:
        raise Problem(
            "invalid_input", f"{plugin.name} takes no webhooks.", field="plugin", provider=entry.slug
        )
    if scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise Problem(
            "invalid_input", f"Say how it signs: one of {known}.", field="scheme", provider=entry.slug
        )
    return webhook_of(SCHEMES[scheme])


def account_for(entry: Entry, project: Any, wanted: str | None) -> Connection | None:
    """The project's account that the deliveries belong to. Raises Problem."""
    rows = Connection.objects.standing().of_project(project.pk).filter(provider=entry.slug)
    found = choose(list(rows.select_related("current", "app").in_order_of_resolution()), wanted)
    if found.connection is None and entry.provider.custom_id:
        return None
    if found.connection is None:
        words = f"Webhooks belong to a project: connect {entry.name} for this project, not for all of yours."
        raise Problem("not_connected", words, provider=entry.slug)
    return usable(found, provider=entry.slug, name=entry.name)


def check_place(
    webhook: Webhook,
    plugin: Plugin,
    project: Any,
    account: Connection | None,
    resource: str,
    *,
    registers: bool,
) -> None:
    """Raises Problem where there is one already, or too many, or it is not said what for."""
    if webhook.resource and not resource and registers:
        raise Problem("invalid_input", f"Say for which of the {webhook.resource}.", field="resource")
    # Plugins put it into a path: a question mark would cut off what makes the path one of webhooks.
    if len(resource) > 300 or "?" in resource or not (resource.isprintable() or not resource):
        raise Problem("invalid_input", "This is no name of a resource.", field="resource")
    rows = WebhookEndpoint.objects.in_project(project)
    if rows.count() >= MOST:
        raise Problem("conflict", f"This project has {MOST} webhooks. Remove some.")
    same = rows.filter(plugin=plugin.slug, connection=account, resource=resource)
    if registers and same.exists():
        raise Problem("conflict", "There is a webhook for this already.", provider=plugin.provider)


def first_secret(webhook: Webhook, given: str) -> str:
    """The vendor's where a person brings it, else a fresh one; "" where it comes another way. Raises Problem."""
    if len(given) > 500 or not given.isascii() or not (given.isprintable() or not given):
        raise Problem("invalid_input", "This does not look like a secret.", field="secret")
    if given.strip():
        return given.strip()
    is_ours = webhook.secret_from == "navi" and not isinstance(webhook.proof, SignedJwt)
    return new_secret(webhook.proof) if is_ours else ""


def inserted(endpoint: WebhookEndpoint, actor: Actor) -> Line:
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
            note("webhook.created", endpoint, actor)
    except VaultSealed as problem:
        raise Problem("sealed", f"Navi cannot seal secrets now: {problem}") from None
    return lines.line_of(endpoint)


def note(event: str, endpoint: WebhookEndpoint, actor: Actor, **facts: Any) -> None:
    registering.note(event, endpoint, actor, **facts)


# --- secrets


def rotate(
    endpoint: WebhookEndpoint, actor: Actor, *, overlap: timedelta = OVERLAP, secret: str = ""
) -> Made:
    """A new secret; the one before counts until the overlap ends. `secret`: the vendor's own new one.

    Where the vendor makes it, the next handshake brings it. Raises Problem, VendorError; then all stays.
    """
    line = lines.line_of(endpoint)
    webhook = line.webhook
    if isinstance(webhook.proof, SignedJwt) or webhook.secret_from not in {"navi", "vendor"}:
        words = f"{line.entry.name} uses the secret of the connection. Change it there, and reconnect."
        raise Problem("invalid_input", words, provider=line.entry.slug)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise Problem("invalid_input", "The overlap is between nothing and seven days.", field="overlap")
    if endpoint.registration:
        check_permitted(line.entry, line.plugin, endpoint.project, actor, registers=True)
    made = first_secret(webhook, secret)
    if endpoint.registration:
        registering.anew(line, actor, secret=made, overlap=overlap)
    elif made:
        registering.change_secrets(endpoint, made, overlap=overlap)
    else:
        registering.open_for_greeting(endpoint, GREETING_WINDOW)
    note("webhook.rotated", endpoint, actor, detail={"overlapHours": overlap.total_seconds() / 3600})
    return Made(endpoint, None if secret or endpoint.registration else made or None)


@transaction.atomic
def take_shown(endpoint: WebhookEndpoint) -> str | None:
    """The secret that a vendor's handshake brought, for a person to paste back there: once."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    held = lines.kept(row)
    shown: str | None = held.pop("to_show", None)
    if shown is not None:
        row.secrets = held
        row.save(update_fields=["secrets"])
    return shown


def has_something_to_show(endpoint: WebhookEndpoint) -> bool:
    """Did a handshake bring a secret that nobody has looked at yet?"""
    return "to_show" in lines.kept(endpoint)


# --- pause, resume, remove


def pause(endpoint: WebhookEndpoint, actor: Actor) -> None:
    """Refuse all that comes; vendors retry for a while, and what is lost is read when it goes on."""
    with transaction.atomic():
        if WebhookEndpoint.objects.filter(pk=endpoint.pk, is_paused=False).update(is_paused=True):
            note("webhook.paused", endpoint, actor)
    endpoint.is_paused = True


def resume(endpoint: WebhookEndpoint, actor: Actor) -> None:
    with transaction.atomic():
        if WebhookEndpoint.objects.filter(pk=endpoint.pk, is_paused=True).update(is_paused=False):
            note("webhook.resumed", endpoint, actor)
            hearing.catch_up(endpoint, "It was paused")
    endpoint.is_paused = False


def delete(endpoint: WebhookEndpoint, actor: Actor) -> str:
    """Remove it with its inbox. A sentence where the vendor could not be told; empty where all is done."""
    left_to_do = registering.ended(endpoint)
    with transaction.atomic():
        note("webhook.deleted", endpoint, actor, detail={"leftToDo": left_to_do} if left_to_do else None)
        endpoint.delete()
    return left_to_do


def end_all_of(connection: Connection, actor: Actor) -> None:
    """Before an account is disconnected: while its access still works, the vendor is told to stop calling."""
    for endpoint in connection.webhook_endpoints.select_related("project", "connection__current"):
        delete(endpoint, actor)


def enqueue_renewals() -> None:
    """Each minute: what the vendor will end soon."""
    now = timezone.now()
    rows = WebhookEndpoint.objects.to_renew(now).order_by("renew_at").values_list("pk", "provider")
    ledger.enqueue_all("webhook_renew", spread(rows[:500], at=now))
