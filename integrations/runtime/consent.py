"""A person grants access at the vendor's own page: begin, come back, be connected.

Each try is a row (credentials.models.OAuthAttempt): bound to a person and a project, open for ten minutes,
taken once. Several may be under way at a time, in other tabs and for other projects.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from credentials import social, waiting
from credentials.asker import app_of
from credentials.grant import SCOPE, Denied, Garbled, Grant, read
from credentials.models import Connection, ConnectRequest, OAuthApp, OAuthAttempt
from credentials.models.oauth import OPEN_FOR
from credentials.vault import Unreadable, VaultSealed
from integrations import policy, registry
from integrations.registry import Entry
from integrations.runtime import asking, connect, revoking
from integrations.sdk import OAuth2, Remote, TryLater, VendorError
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue
from navi.net.answer import Response
from navi.projects import roles
from navi.projects.rights import actor_for

CUT_OFF_AFTER = timedelta(minutes=3)  # longer than any finish takes
KEPT_FOR = timedelta(days=1)
SLOWER = 5  # seconds more between two looks, when the vendor asks for that (RFC 8628)
State = OAuthAttempt.State


@dataclass(frozen=True)
class Wish:
    """What a person wants to be connected. `scopes` come on top of what the vendor is always asked for."""

    entry: Entry
    project: Any
    user: Any
    for_all_projects: bool = False
    scopes: Sequence[str] = ()
    reconnects: Connection | None = None
    asked: ConnectRequest | None = None
    label: str = ""
    make_default: bool = False

    @property
    def facts(self) -> OAuth2:
        return oauth_of(self.entry)

    @property
    def remote(self) -> Remote:
        return self.entry.remote(auth_kind="oauth")

    def all_scopes(self) -> list[str]:
        """A grant is widened, never narrowed: what an account has granted is asked for again."""
        held = self.reconnects.scopes if self.reconnects and self.reconnects.auth_kind == "oauth" else []
        known = {**self.facts.scopes, **self.facts.user_scopes}
        kept = [scope for scope in held if not known or scope in known]
        return self.facts.asked([*kept, *self.scopes])


def oauth_of(entry: Entry) -> OAuth2:
    """The provider's OAuth facts. Raises Problem where it has none."""
    for way in entry.provider.auth:
        if isinstance(way, OAuth2):
            return way
    words = f"{entry.name} is not connected by OAuth."
    raise Problem("invalid_input", words, provider=entry.slug)


def redirect_uri(entry: Entry) -> str:
    """The address to register at the vendor's: one of their own for custom providers, against mix-up."""
    custom = entry.provider.custom_id
    return f"{settings.BASE_URL}/oauth/callback{'/' + custom if custom else ''}"


def serving_app(entry: Entry, project: Any, *, for_all_projects: bool = False) -> OAuthApp:
    """The OAuth app to ask with: the project's, else the instance's; for all projects only that. Raises Problem."""
    app = OAuthApp.objects.serving(entry.slug, None if for_all_projects else project.pk)
    if app is None or (entry.provider.custom_id and app.project_id is None):
        words = f"No OAuth app is set up for {entry.name} yet. An admin of the project, or the operator, adds it once."
        raise Problem("oauth_app_missing", words, provider=entry.slug)
    return app


# --- begin


def begin(wish: Wish, actor: Actor) -> tuple[OAuthAttempt, str]:
    """A new attempt, and the vendor's address for the person's browser. Raises Problem."""
    check(wish)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    app = serving_app(wish.entry, wish.project, for_all_projects=wish.for_all_projects)
    kept = {"verifier": verifier, "redirect_uri": redirect_uri(wish.entry)}
    attempt = begun(wish, app, state_hash=hash_of(state), kept=kept)
    record_of(attempt, actor, "consent.began")
    return attempt, social.authorize_url(
        wish.remote, app_of(app, wish.remote), asking_of(attempt, wish, state)
    )


def check(wish: Wish) -> None:
    policy.check_not_blocked(wish.entry)
    policy.check_approved(wish.entry)
    known = {**wish.facts.scopes, **wish.facts.user_scopes}
    unknown = [scope for scope in wish.scopes if (known and scope not in known) or not SCOPE.fullmatch(scope)]
    if unknown:
        words = f"{wish.entry.name} has no permission called {', '.join(unknown)}."
        raise Problem("invalid_input", words, field="scopes", provider=wish.entry.slug)
    if wish.entry.provider.custom_id and wish.for_all_projects:
        words = f"{wish.entry.name} belongs to this project, so its credentials do too."
        raise Problem("invalid_input", words, field="scope", provider=wish.entry.slug)


def begun(wish: Wish, app: OAuthApp, *, kept: dict[str, Any], **facts: Any) -> OAuthAttempt:
    try:
        return OAuthAttempt.objects.create(
            provider=wish.entry.slug, bound_to=wish.entry.bound_to, project=wish.project, user=wish.user,
            for_all_projects=wish.for_all_projects, app=app, reconnects=wish.reconnects, asked=wish.asked,
            scopes=wish.all_scopes(), label=wish.label, make_default=wish.make_default, kept=kept,
            **{"expires_at": timezone.now() + OPEN_FOR, **facts},
        )  # fmt: skip
    except VaultSealed as problem:
        words = f"Navi cannot seal secrets now: {problem}"
        raise Problem("sealed", words, provider=wish.entry.slug) from None


def asking_of(attempt: OAuthAttempt, wish: Wish, state: str) -> social.Asking:
    kept, facts = attempt.kept.reveal(), wish.facts
    asked = list(attempt.scopes)
    return social.Asking(
        state=state, verifier=kept["verifier"], redirect_uri=kept["redirect_uri"],
        scopes=[scope for scope in asked if scope not in facts.user_scopes],
        user_scopes=[scope for scope in asked if scope in facts.user_scopes],
        is_wider=wish.reconnects is not None,
    )  # fmt: skip


def hash_of(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


# --- come back


def finish(params: Mapping[str, str], *, user: Any, actor: Actor, custom_id: str = "") -> OAuthAttempt:
    """What the vendor sent the browser back with. The attempt says how it ended, also where it failed.

    Raises Problem, and touches no attempt, where the state is unknown, used, too old, or somebody else's.
    """
    attempt = attempt_for(params.get("state", ""), user=user, custom_id=custom_id)
    with waiting.place(
        Problem("busy", "Many sign-ins are being finished. Load this page again in a moment.")
    ):
        if not attempt.consume():
            raise over()
        try:
            wish = wish_of(attempt)
            code = checked_code(params, wish)
            granted = exchanged(attempt, wish, params["state"], code)
            return connected(attempt, wish, granted, actor)
        except Exception as error:
            return failed(attempt, error, actor)


def finish_pasted(address: str, *, user: Any, actor: Actor) -> OAuthAttempt:
    """The address that a browser on another machine ended at. Raises Problem as `finish` does."""
    parts = urlsplit(address.strip())
    params = dict(parse_qsl(parts.query))
    if "state" not in params:
        words = "This is not the address that the sign-in ended at: it holds no state. Copy it whole."
        raise Problem("invalid_input", words, field="address")
    custom_id = parts.path.rpartition("/oauth/callback")[2].strip("/")
    return finish(params, user=user, actor=actor, custom_id=custom_id)


def attempt_for(state: str, *, user: Any, custom_id: str) -> OAuthAttempt:
    """The open attempt of this state, if it is this person's and came back by its own address."""
    rows = OAuthAttempt.objects.select_related("project", "user", "app", "reconnects", "asked")
    attempt = rows.filter(state_hash=hash_of(state)).first() if 0 < len(state) <= 200 else None
    if attempt is None:
        raise Problem("invalid_input", "Navi does not know this sign-in. Begin it again.", field="state")
    if attempt.user_id != user.pk:
        words = "Somebody else began this sign-in. Sign in to Navi as that person, or begin your own."
        raise Problem("invalid_input", words, field="state")
    if attempt.bound_to.partition(" ")[0] != custom_id:
        raise Problem("invalid_input", "This sign-in came back to the wrong address.", field="state")
    return attempt


def over() -> Problem:
    words = "This sign-in was finished before, or it took longer than ten minutes. Begin it again."
    return Problem("invalid_input", words, field="state")


def wish_of(attempt: OAuthAttempt) -> Wish:
    """What was wished, as things are now. Raises Problem."""
    check_person(attempt)
    entry = registry.entry(attempt.provider, attempt.project_id)
    if entry.bound_to != attempt.bound_to:
        words = f"{entry.name} was changed while you signed in. Begin again."
        raise Problem("invalid_input", words, provider=entry.slug)
    wish = Wish(
        entry, attempt.project, attempt.user, for_all_projects=attempt.for_all_projects, scopes=attempt.scopes,
        reconnects=attempt.reconnects, asked=attempt.asked, label=attempt.label, make_default=attempt.make_default,
    )  # fmt: skip
    check(wish)
    return wish


def check_person(attempt: OAuthAttempt) -> None:
    """May this person still connect here? Raises Problem."""
    role = attempt.project.role_of(attempt.user)
    may = attempt.user.is_active and attempt.project.archived_at is None and role is not None
    row = attempt.reconnects
    is_theirs = row is None or row.user_id in {None, attempt.user_id}
    if not (may and is_theirs and roles.may(role, "integrations.connect")):
        raise Problem("blocked", "You may no longer connect this here.", provider=attempt.provider)
    if attempt.asked and not attempt.asked.is_open:
        words = "The agent's request is over, so nothing was connected for it. Let the agent ask again."
        raise Problem("conflict", words, provider=attempt.provider)


def checked_code(params: Mapping[str, str], wish: Wish) -> str:
    """The code, if the vendor gave one and it is that vendor. Raises Problem."""
    issuer, name = wish.facts.issuer, wish.entry.name
    if issuer and params.get("iss") != issuer:
        raise Problem("invalid_input", f"The answer did not come from {name}. Begin again.", field="iss")
    if error := params.get("error"):
        raise refused(error, name, provider=wish.entry.slug)
    if not params.get("code"):
        raise Problem("invalid_input", f"{name} sent no code. Begin again.", field="code")
    return params["code"]


def refused(error: str, name: str, *, provider: str) -> Problem:
    if error in {"access_denied", "user_denied", "authorization_declined", "user_cancelled"}:
        words = f"Nobody allowed the access at {name}, so nothing was connected."
    else:
        words = f"{name} refused the sign-in ({''.join(filter(str.isprintable, error))[:60]})."
    return Problem("invalid_credentials", words, provider=provider)


def exchanged(attempt: OAuthAttempt, wish: Wish, state: str, code: str) -> Grant:
    keep = partial(keep_answer, attempt)
    asked = asking_of(attempt, wish, state)
    return social.exchange(wish.remote, app_of(attempt.app, wish.remote), asked, code, keep=keep)


def keep_answer(attempt: OAuthAttempt, answer: Response) -> None:
    """Before anything reads it: an exchange cannot be repeated."""
    if answer.status_code >= 300:
        return
    attempt.kept = {**attempt.kept.reveal(), "answer": answer.content.decode("latin-1")}
    try:
        with transaction.atomic():
            attempt.save(update_fields=["kept"])
    except DatabaseError:
        if OAuthAttempt.objects.filter(pk=attempt.pk).exists():
            raise


def connected(attempt: OAuthAttempt, wish: Wish, granted: Grant, actor: Actor) -> OAuthAttempt:
    """Put the grant in force, and tell whoever waits."""
    offer = connect.Offer(
        entry=wish.entry, project=wish.project, fields=granted.fields,
        for_user=wish.user.pk if wish.for_all_projects else None, label=wish.label,
        make_default=wish.make_default, reconnects=wish.reconnects, auth_kind="oauth", attempt=attempt.pk,
        grant=connect.Granted(granted, attempt.app, list(granted.scopes or attempt.scopes)),
    )  # fmt: skip
    try:
        check_still_ours(attempt)
        row = connect.connect(offer, actor).connection
    except Problem:
        revoking.end_orphan(wish.remote, attempt, granted)
        raise
    attempt.end(State.DONE, connection=row)
    if wish.asked:
        asking.finish(wish.asked, wish.entry, row, actor)
    return attempt


def check_still_ours(attempt: OAuthAttempt) -> None:
    """Has nobody disconnected, removed the app, or taken this attempt up meanwhile? Raises Problem."""
    same = OAuthAttempt.objects.filter(pk=attempt.pk, consumed_at=attempt.consumed_at, outcome=State.WORKING)
    if not same.exists():
        words = "While you signed in, the connection or the OAuth app was removed. Begin again."
        raise Problem("conflict", words, provider=attempt.provider)


def failed(attempt: OAuthAttempt, error: Exception, actor: Actor) -> OAuthAttempt:
    """Say in the row why; what nobody foresaw goes on its way after that."""
    problem = as_problem(error, attempt)
    if not attempt.end(State.FAILED, code=problem.code, message=problem.message[:500]):
        with suppress(OAuthAttempt.DoesNotExist):  # it ended otherwise, or is gone
            attempt.refresh_from_db()
        return attempt
    record_of(attempt, actor, "consent.failed", outcome="failed", code=problem.code)
    if problem.code == "internal":
        raise error
    return attempt


def as_problem(error: Exception, attempt: OAuthAttempt) -> Problem:
    if isinstance(error, Problem):
        return error
    code, words = meaning_of(error)
    return Problem(code, words, provider=attempt.provider)


def meaning_of(error: Exception) -> tuple[str, str]:
    """The error's code, and a sentence for the person who waits."""
    match error:
        case VendorError():
            return error.code, error.message
        case Denied(is_of_the_app=True):
            words = f"The vendor does not accept Navi's OAuth app ({error.error}). An admin checks its client ID and secret."
            return "invalid_credentials", words
        case Denied():
            return "invalid_credentials", f"The vendor refused the sign-in ({error.error}). Begin again."
        case Garbled():
            return "vendor_unavailable", f"The vendor answered with no grant ({error}). Begin again."
        case Unreadable() | VaultSealed():
            return "sealed", "Navi cannot open the record of this sign-in now. Begin again."
    return "internal", "Navi failed."


def record_of(attempt: OAuthAttempt, actor: Actor, event: str, **facts: Any) -> None:
    record(
        event, actor=actor, project=attempt.project, provider=attempt.provider,
        connection=attempt.reconnects, detail={"scopes": list(attempt.scopes)}, **facts,
    )  # fmt: skip


def own_attempt(pk: uuid.UUID, user: Any) -> OAuthAttempt:
    """An attempt of this person, for the page that waits for it. Raises Problem."""
    rows = OAuthAttempt.objects.select_related("project", "user", "app", "reconnects", "asked", "connection")
    attempt = rows.filter(pk=pk, user=user).first()
    if attempt is None:
        raise Problem("unknown", "There is no such sign-in.")
    return attempt


# --- a process died between the vendor's answer and the end


def enqueue_cut_off() -> None:
    """Each minute: sign-ins that came back and were not finished."""
    old = timezone.now() - CUT_OFF_AFTER
    for pk in OAuthAttempt.objects.filter(outcome=State.WORKING, consumed_at__lt=old).values_list(
        "pk", flat=True
    ):
        enqueue("consent", str(pk))


def run_job(pk: str) -> None:
    """The ledger's handler: finish with the answer that was saved, or say that it was cut off."""
    now = timezone.now()
    rows = OAuthAttempt.objects.filter(pk=pk, outcome=State.WORKING, consumed_at__lt=now - CUT_OFF_AFTER)
    if not rows.update(consumed_at=now):
        return
    attempt = OAuthAttempt.objects.select_related("project", "user", "app", "reconnects", "asked").get(pk=pk)
    actor = actor_for(attempt.user, attempt.project)
    try:
        connected(attempt, wish_of(attempt), answer_of(attempt), actor)
    except Exception as error:
        failed(attempt, error, actor)


def answer_of(attempt: OAuthAttempt) -> Grant:
    saved = attempt.kept.reveal().get("answer")
    if saved is None:
        raise Problem(
            "vendor_unavailable", "The sign-in was cut off. Begin it again.", provider=attempt.provider
        )
    return read(200, saved.encode("latin-1"), oauth_of(registry.entry(attempt.provider, attempt.project_id)))


def forget_old() -> None:
    """Attempts are for the minutes that they take; what came of them is in the audit."""
    OAuthAttempt.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()


# --- without a browser: the device flow (RFC 8628)


def begin_device(wish: Wish, actor: Actor) -> OAuthAttempt:
    """A code to type at the vendor's page on any device: `user_code`, `verification_url`. Raises Problem, VendorError."""
    check(wish)
    if not wish.facts.device_url:
        words = f"{wish.entry.name} cannot be connected with a code. Use the sign-in in the browser."
        raise Problem("invalid_input", words, provider=wish.entry.slug)
    app = serving_app(wish.entry, wish.project, for_all_projects=wish.for_all_projects)
    try:
        device = social.ask_for_device(wish.remote, app_of(app, wish.remote), wish.all_scopes())
    except (Denied, Garbled) as error:
        raise device_refused(error, wish) from None
    attempt = begun(
        wish, app, state_hash=hash_of(secrets.token_urlsafe(32)), kept={"device_code": device.device_code},
        user_code=device.user_code, verification_url=device.verification_url[:400], poll_every=device.every,
        expires_at=timezone.now() + timedelta(seconds=device.life),
    )  # fmt: skip
    record_of(attempt, actor, "consent.began")
    return attempt


def device_refused(error: Exception, wish: Wish) -> Problem:
    said = error.error if isinstance(error, Denied) else str(error)
    words = f"{wish.entry.name} gave no code ({said}). Is the device flow switched on for its OAuth app?"
    return Problem("invalid_credentials", words, provider=wish.entry.slug)


def poll(attempt: OAuthAttempt, actor: Actor) -> OAuthAttempt:
    """Ask whether the person has agreed, at most as often as the vendor wants; the attempt says how it stands."""
    if attempt.poll_every is None or not attempt.is_open or not may_poll(attempt):
        return attempt
    try:
        wish = wish_of(attempt)
        code = attempt.kept.reveal()["device_code"]
        granted = social.poll_device(
            wish.remote, app_of(attempt.app, wish.remote), code, keep=partial(keep_answer, attempt)
        )
    except TryLater:
        return attempt
    except Denied as denied:
        return not_yet(attempt, denied, actor)
    except Exception as error:
        return failed(attempt, error, actor)
    if not attempt.consume():
        return own_attempt(attempt.pk, attempt.user)
    try:
        return connected(attempt, wish, granted, actor)
    except Exception as error:
        return failed(attempt, error, actor)


def may_poll(attempt: OAuthAttempt) -> bool:
    """One look at a time, and not sooner than allowed."""
    now = timezone.now()
    if attempt.polled_at and now - attempt.polled_at < timedelta(seconds=attempt.poll_every or 0):
        return False
    rows = OAuthAttempt.objects.filter(pk=attempt.pk, polled_at=attempt.polled_at, outcome=State.PENDING)
    taken = bool(rows.update(polled_at=now))
    attempt.polled_at = now
    return taken


def not_yet(attempt: OAuthAttempt, denied: Denied, actor: Actor) -> OAuthAttempt:
    if denied.error == "authorization_pending":
        return attempt
    if denied.error == "slow_down":
        attempt.poll_every = (attempt.poll_every or 0) + SLOWER
        attempt.save(update_fields=["poll_every"])
        return attempt
    if denied.error == "access_denied":
        return failed(attempt, refused("access_denied", attempt.provider, provider=attempt.provider), actor)
    return failed(attempt, denied, actor)
