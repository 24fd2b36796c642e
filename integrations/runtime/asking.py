"""An agent asks a person to connect a service: a link, a code, and an answer to wait for."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials import waiting
from credentials.models import Connection, ConnectRequest
from integrations.registry import Entry
from integrations.runtime.plan import lacking_of
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record

LIFE = timedelta(minutes=30)
POLL_SECONDS = 0.5
WRONG_CODES_MOST = 5
# No vowels: no words; nothing that is mistaken for something else.
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def ask(
    entry: Entry, project: Any, actor: Actor, *, for_user: uuid.UUID | None, scopes: Sequence[str] = (),
    reconnects: Connection | None = None,
) -> ConnectRequest:  # fmt: skip
    """A request that lives half an hour and is finished once, by a person."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    with transaction.atomic():
        asked = ConnectRequest.objects.create(
            provider=entry.slug, project=project, for_user_id=for_user, reconnects=reconnects, scopes=list(scopes),
            asked_by=actor.label, token_public_id=actor.id, user_code=f"{letters[:4]}-{letters[4:]}",
            expires_at=timezone.now() + LIFE,
        )  # fmt: skip
        record(
            "connect_request.created", actor=actor, project=project, provider=entry.slug,
            detail={"id": str(asked.pk)},
        )  # fmt: skip
    return asked


def told(asked: ConnectRequest) -> dict[str, Any]:
    return {
        "id": str(asked.pk),
        "url": f"{settings.BASE_URL}/connect/{asked.pk}",
        "userCode": asked.user_code,
        "expiresAt": asked.expires_at.isoformat().replace("+00:00", "Z"),
        "pollUrl": f"{settings.BASE_URL}/api/credentials/connect/{asked.pk}",
    }


def wait_for(pk: uuid.UUID, project: Any, actor: Actor, seconds: float) -> dict[str, Any]:
    """The request's state, when it ends or the seconds are over. Raises Problem `unknown`, `busy`."""
    state = state_of(pk, project, actor)
    if seconds <= 0 or state["state"] != ConnectRequest.State.PENDING:
        return state
    with waiting.place(Problem("busy", "Too many agents are waiting. Ask again in a few seconds.")):
        return polled(pk, project, actor, until=time.monotonic() + seconds)


def polled(pk: uuid.UUID, project: Any, actor: Actor, *, until: float) -> dict[str, Any]:
    while True:
        state = state_of(pk, project, actor)
        if state["state"] != ConnectRequest.State.PENDING or time.monotonic() >= until:
            return state
        time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))


def state_of(pk: uuid.UUID, project: Any, actor: Actor) -> dict[str, Any]:
    """The state, for the project's agents; of a request for one person's own account only for theirs."""
    for_them = Q(for_user=None) | Q(for_user_id=actor.user_id)
    asked = ConnectRequest.objects.filter(for_them, pk=pk, project=project).first()
    if asked is None:
        raise Problem("unknown", "There is no such request.")
    is_late = asked.state == ConnectRequest.State.PENDING and not asked.is_open
    return {"id": str(asked.pk), "state": "expired" if is_late else asked.state, **asked.result}


def check_code(asked: ConnectRequest, given: str) -> None:
    """Is it the code that the agent shows? After five wrong ones the request is over. Raises Problem."""
    same = secrets.compare_digest(normal(given).encode(), normal(asked.user_code).encode())
    if same and asked.is_open:
        return
    if not asked.is_open:
        raise Problem("unknown", "This request is over. Let your agent ask again.")
    ConnectRequest.objects.filter(pk=asked.pk).update(wrong_codes=F("wrong_codes") + 1)
    asked.refresh_from_db(fields=["wrong_codes"])
    if asked.wrong_codes >= WRONG_CODES_MOST:
        asked.close(ConnectRequest.State.FAILED, result={"reason": "The code was wrong five times."})
        raise Problem(
            "unknown", "The code was wrong five times, so this request is over. Let your agent ask again."
        )
    raise Problem("invalid_input", "This is not the code that your agent shows.", field="user_code")


def normal(code: str) -> str:
    return "".join(letter for letter in code.upper() if letter.isalnum())


def finish(asked: ConnectRequest, entry: Entry, connection: Connection, actor: Actor) -> bool:
    """Tell the agent that it is done. False: it was over already."""
    result = {
        "account": connection.label,
        "connection": str(connection.pk),
        **capabilities(entry, connection),
    }
    done = asked.close(ConnectRequest.State.DONE, connection=connection, result=result)
    if done:
        record(
            "connect_request.finished",
            actor=actor,
            project=asked.project,
            provider=entry.slug,
            connection=connection,
        )
    return done


def decline(asked: ConnectRequest, actor: Actor) -> bool:
    declined = asked.close(ConnectRequest.State.FAILED, result={"reason": f"{actor.label} declined."})
    if declined:
        record("connect_request.declined", actor=actor, project=asked.project, provider=asked.provider)
    return declined


def capabilities(entry: Entry, connection: Connection) -> dict[str, Any]:
    """What this account can and cannot do here: action ids, and the scopes that are missing."""
    actions = [action for plugin in entry.plugins for action in plugin.actions.values()]
    lacking = {action.id: lacking_of(action.scopes, connection, entry) for action in actions}
    return {
        "capabilities": [action.id for action in actions if not lacking[action.id]],
        "missingScopes": {name: scopes for name, scopes in lacking.items() if scopes},
    }
