"""Where vendors call, and what they said: endpoints and their inbox."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import policy, registry
from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import endpoints, hearing, inbox, lines, reading
from navi.api import answers, serializers
from navi.api.base import AgentView, answer
from navi.api.errors import iso
from navi.audit.problems import Problem
from navi.projects import roles
from navi.projects.rules import Rule

VERB = "webhooks"


class WebhookView(AgentView):
    """Reaches endpoints of the token's project and of providers that the token may use."""

    is_list = True  # the provider stands in the row, not in the address

    def endpoint(self, pk: uuid.UUID) -> WebhookEndpoint:
        found = endpoints.in_project(self.project).filter(pk=pk).first()
        if found is None:
            raise Problem("unknown", "There is no such webhook here.")
        policy.check_scope(self.actor, VERB, found.provider)
        return found  # type: ignore[no-any-return]

    def delivery(self, pk: uuid.UUID, delivery: uuid.UUID) -> Delivery:
        rows = Delivery.objects.select_related("endpoint__project", "endpoint__connection__current")
        found = rows.filter(pk=delivery, endpoint=self.endpoint(pk)).first()
        if found is None:
            raise Problem("unknown", "There is no such delivery at this webhook.")
        return found


class Webhooks(WebhookView):
    navi_rule = Rule({"GET": "scope:webhooks", "POST": "scope:webhooks"})
    answers = {"GET": answers.WEBHOOKS, "POST": answers.WEBHOOK_MADE}
    statuses = {"POST": 201}

    @extend_schema(operation_id="listWebhooks", tags=["webhooks"])
    def get(self, request: Request) -> Response:
        """The project's webhooks."""
        rows = endpoints.in_project(self.project)
        seen = [row for row in rows if roles.allows(self.actor.scopes, VERB, row.provider)]
        return answer({"webhooks": [webhook(row) for row in seen]})

    @extend_schema(operation_id="addWebhook", tags=["webhooks"], request=serializers.NewWebhook)
    def post(self, request: Request) -> Response:
        """An address for a vendor to call. Registered there where its API allows; else `secret`, shown only now,
        is entered there by a person."""
        asked = self.body(serializers.NewWebhook).validated_data
        provider, _ = inbox.provider_of(asked["plugin"], self.project)
        policy.check_scope(self.actor, VERB, provider)
        made = endpoints.create(
            self.project, asked["plugin"], self.actor, connection=asked["connection"], resource=asked["resource"],
            scheme=asked["scheme"], label=asked["label"], secret=asked["secret"], by_hand=asked["byHand"],
        )  # fmt: skip
        return answer({**webhook(made.endpoint), "secret": made.secret}, 201, is_private=True)


class Webhook(WebhookView):
    navi_rule = Rule({"GET": "scope:webhooks", "DELETE": "scope:webhooks"})
    answers = {"GET": answers.WEBHOOK, "DELETE": None}
    statuses = {"DELETE": 204}

    @extend_schema(operation_id="getWebhook", tags=["webhooks"])
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """One webhook."""
        return answer(webhook(self.endpoint(pk)))

    @extend_schema(operation_id="removeWebhook", tags=["webhooks"], request=None)
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Remove it with its inbox; the vendor is told where its API allows."""
        endpoints.delete(self.endpoint(pk), self.actor)
        return Response(status=204)


class Rotate(WebhookView):
    navi_rule = Rule({"POST": "scope:webhooks"})
    answers = {"POST": answers.WEBHOOK_MADE}

    @extend_schema(operation_id="rotateWebhook", tags=["webhooks"], request=serializers.RotateWebhook)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """A new secret, shown only now; the one before counts until the overlap ends."""
        asked = self.body(serializers.RotateWebhook).validated_data
        overlap = timedelta(hours=asked["overlapHours"])
        made = endpoints.rotate(self.endpoint(pk), self.actor, overlap=overlap, secret=asked["secret"])
        return answer({**webhook(made.endpoint), "secret": made.secret}, is_private=True)


class Pause(WebhookView):
    navi_rule = Rule({"POST": "scope:webhooks"})
    answers = {"POST": answers.WEBHOOK}

    @extend_schema(operation_id="pauseWebhook", tags=["webhooks"], request=None)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Refuse what comes until it is resumed; then everything is read anew."""
        found = self.endpoint(pk)
        endpoints.pause(found, self.actor)
        return answer(webhook(found))


class Resume(WebhookView):
    navi_rule = Rule({"POST": "scope:webhooks"})
    answers = {"POST": answers.WEBHOOK}

    @extend_schema(operation_id="resumeWebhook", tags=["webhooks"], request=None)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Take what comes again, and let the syncs read what was missed."""
        found = self.endpoint(pk)
        endpoints.resume(found, self.actor)
        return answer(webhook(found))


class Deliveries(WebhookView):
    navi_rule = Rule({"GET": "scope:webhooks"})
    answers = {"GET": answers.DELIVERIES}

    @extend_schema(
        operation_id="listDeliveries",
        tags=["webhooks"],
        parameters=[
            OpenApiParameter("state", str, description="received, processed, ignored or dead"),
            OpenApiParameter("cursor", str, description="`next` of the page before."),
        ],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """What the vendor sent, the newest first, without its content."""
        query = request.query_params
        page = inbox.page(self.endpoint(pk), state=query.get("state", ""), cursor=query.get("cursor", ""))
        return answer({"deliveries": [delivery(row) for row in page.deliveries], "next": page.next or None})


class OneDelivery(WebhookView):
    navi_rule = Rule({"GET": "scope:webhooks"})
    answers = {"GET": answers.DELIVERY_DETAIL}

    @extend_schema(operation_id="getDelivery", tags=["webhooks"])
    def get(self, request: Request, pk: uuid.UUID, delivery: uuid.UUID) -> Response:
        """One delivery with its headers and content; what looks like a secret is masked."""
        found = self.delivery(pk, delivery)
        entry, plugin = registry.plugin(found.endpoint.plugin, self.project.pk)
        reading.check_readable(self.actor, self.project, entry, plugin)
        return answer(detail(found), is_private=True)


class Replay(WebhookView):
    navi_rule = Rule({"POST": "scope:webhooks"})
    answers = {"POST": answers.DELIVERY}

    @extend_schema(operation_id="replayDelivery", tags=["webhooks"], request=None)
    def post(self, request: Request, pk: uuid.UUID, delivery: uuid.UUID) -> Response:
        """Process it again. Records are written over, so nothing happens twice."""
        found = self.delivery(pk, delivery)
        hearing.replay(found, self.actor)
        return answer(shape(found))


# --- how they are told


def webhook(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "url": lines.url_of(row),
        "plugin": row.plugin,
        "provider": row.provider,
        "connection": str(row.connection_id) if row.connection_id else None,
        "resource": row.resource or None,
        "label": row.label or None,
        "scheme": row.scheme or None,
        "state": row.state,
        "reason": row.state_reason or None,
        "paused": row.is_paused,
        "registered": bool(row.registration),
        "expiresAt": iso(row.expires_at),
        "lastDeliveryAt": iso(row.last_delivery_at),
        "caughtUpAt": iso(row.caught_up_at),
        "refused": row.refused_count,
        "createdAt": iso(row.created_at),
    }


def delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "vendorId": row.vendor_id,
        "type": row.event_type or None,
        "state": row.state,
        "summary": row.summary or None,
        "attempts": row.attempts,
        "repeats": row.repeats,
        "replays": row.replays,
        "size": row.size,
        "error": row.last_error or None,
        "receivedAt": iso(row.received_at),
        "processedAt": iso(row.processed_at),
    }


shape = delivery


def detail(row: Delivery) -> dict[str, Any]:
    content = inbox.content(row)
    return {**delivery(row), "headers": content.headers, "payload": content.payload}
