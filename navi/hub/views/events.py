"""Events: where vendors call, and everything that they said there."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from integrations.models import Delivery
from integrations.runtime import hearing
from navi.audit.problems import Problem
from navi.hub import deliveries, endpoints, replies
from navi.hub.answers import explained, toast
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest, in_project, own

AT_ONCE = 500


@in_project(GET="integrations.view")
def webhooks(request: ProjectRequest) -> HttpResponse:
    """The page, its list of deliveries alone, or its list of webhooks alone."""
    if replies.wants_fragment(request) and request.htmx.target == "endpoints":
        return render(request, "hub/_endpoints.html", {"endpoints": endpoints.section(request)})
    section = endpoints.section(request)
    form = deliveries.filters(request, section["rows"])
    listing = deliveries.listing(request, form)
    if replies.wants_fragment(request):
        return render(request, "hub/_deliveries.html", {"deliveries": listing})
    context = {"page_title": "Events", "endpoints": section, "filters": list(form), "deliveries": listing}
    return render(request, "hub/webhooks.html", context)


def row_in(request: ProjectRequest, pk: uuid.UUID) -> Delivery:
    rows = Delivery.objects.in_project(request.project).select_related(
        "endpoint__connection", "endpoint__project"
    )
    found: Delivery = own(rows, pk)
    return found


@in_project(GET="integrations.view")
def delivery(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """One delivery with its content, inside its row or as a page."""
    row = row_in(request, pk)
    context: dict[str, Any] = {"delivery": deliveries.detail(request, row)}
    if replies.wants_fragment(request):
        return render(request, "hub/_delivery_detail.html", context)
    title = f"{row.event_type or 'Delivery'} of {deliveries.placed(row.endpoint)[1]}"
    context |= {"page_title": title, "title": title, "back_url": url_in(request, "webhooks")}
    return render(request, "hub/delivery.html", context)


@in_project(POST="integrations.manage")
@explained
def replay(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """Process it again; what it had written is written over."""
    row = row_in(request, pk)
    hearing.replay(row, request.actor)
    words = "It will be processed again in a moment."
    if not replies.wants_fragment(request):
        return replies.again(request, words, to=url_in(request, "delivery", row.pk))
    row.refresh_from_db()
    answer = render(request, "hub/_delivery_detail.html", {"delivery": deliveries.detail(request, row)})
    return toast(answer, words)


@in_project(POST="integrations.manage")
@explained
def replay_all(request: ProjectRequest) -> HttpResponse:
    """Everything that was given up, once more; what has no content any longer stays."""
    rows = Delivery.objects.in_project(request.project).filter(state=Delivery.State.DEAD)
    count = sum(
        replayed(row, request)
        for row in rows.select_related("endpoint__project", "endpoint__connection")[:AT_ONCE]
    )
    words = (
        f"{count} will be processed again in a moment." if count else "None of them could be processed again."
    )
    if not replies.wants_fragment(request):
        return replies.again(request, words, to=url_in(request, "webhooks"), is_wrong=not count)
    listing = deliveries.listing(request, deliveries.filters(request, []))
    answer = render(request, "hub/_deliveries.html", {"deliveries": listing})
    return toast(answer, words, "good" if count else "warn")


def replayed(row: Delivery, request: ProjectRequest) -> bool:
    try:
        hearing.replay(row, request.actor)
    except Problem:
        return False
    return True
