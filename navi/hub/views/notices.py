"""How a project's people are told that a connection goes or returns: the Notices of its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from integrations.models import NoticeDelivery, NoticeSettings
from integrations.runtime import notice_settings
from navi.audit.problems import Problem
from navi.hub import replies
from navi.hub.answers import toast
from navi.hub.doors import ProjectRequest, in_project
from navi.hub.fields import Form, text

ENDED = (NoticeDelivery.State.SENT, NoticeDelivery.State.FAILED)
LOOKED_BACK = 50  # a project with many people has a mail for each


# --- the section


def section(request: ProjectRequest) -> dict[str, Any]:
    """What templates/hub/_notices.html shows: two ways, their state, and what this person may do."""
    chosen = notice_settings.of(request.project)
    last = last_told(request.project.pk)
    return {
        "may_change": request.may("project.update"),
        "email": email_told(request, chosen, last.get(NoticeDelivery.Channel.EMAIL)),
        "webhook": webhook_told(request, chosen, last.get(NoticeDelivery.Channel.WEBHOOK)),
        "help_url": "/help/notices",
        "refresh_url": url_in(request, "notices"),
    }


def last_told(project_id: UUID) -> dict[str, NoticeDelivery]:
    """The last delivery of each channel that has ended: one query."""
    rows = NoticeDelivery.objects.filter(project=project_id, state__in=ENDED).defer("news")
    return {row.channel: row for row in reversed(rows.order_by("-created_at")[:LOOKED_BACK])}


def email_told(
    request: ProjectRequest, chosen: NoticeSettings, last: NoticeDelivery | None
) -> dict[str, Any]:
    switch = {
        "id": "notices-email",
        "label": "E-mail",
        "name": "email",
        "on": chosen.email_enabled,
        "url": url_in(request, "notices-email"),
        "disabled": not request.may("project.update"),
        "hint": "Goes to owners, admins and whoever connected the account",
    }
    return {
        "is_set_up": settings.EMAIL_IS_SET_UP,
        "is_on": notice_settings.mails(chosen),
        "switch": switch,
        "test_url": url_in(request, "notices-test-email"),
        "last": last_words(last),
    }


def webhook_told(
    request: ProjectRequest, chosen: NoticeSettings, last: NoticeDelivery | None
) -> dict[str, Any]:
    return {
        "host": chosen.webhook_host,
        "test_url": url_in(request, "notices-test-webhook"),
        "edit_url": url_in(request, "notices-webhook"),
        "rotate_url": url_in(request, "notices-rotate"),
        "remove_url": url_in(request, "notices-remove"),
        "last": last_words(last) if chosen.has_webhook else None,
    }


def last_words(delivery: NoticeDelivery | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    is_sent = delivery.state == NoticeDelivery.State.SENT
    return {
        "state": "healthy" if is_sent else "failed",
        "at": delivery.ended_at,
        "error": delivery.last_error,
    }


def url_in(request: ProjectRequest, name: str) -> str:
    return reverse(f"hub:{name}", args=[request.project.slug])


def back_to(request: ProjectRequest) -> str:
    return page_of(request) + "#notices"


def page_of(request: ProjectRequest) -> str:
    """Its top, where words about what was done stand."""
    return url_in(request, "project-settings")


def shown(request: ProjectRequest, **more: Any) -> HttpResponse:
    return render(request, "hub/_notices.html", {"notices": {**section(request), **more}})


@in_project(GET="project.view")
def notices(request: ProjectRequest) -> HttpResponse:
    """The section alone, for htmx; anybody else finds it among the settings."""
    return shown(request) if replies.wants_fragment(request) else replies.see_other(back_to(request))


# --- e-mail


@in_project(POST="project.update")
def switch_email(request: ProjectRequest) -> HttpResponse:
    is_on = "on" in request.POST.getlist("email")
    notice_settings.switch_email(request.project, is_on, actor=request.actor)
    words = f"Notices by e-mail are {'on' if is_on else 'off'}."
    if replies.wants_fragment(request):
        return toast(shown(request), words)
    return replies.go(request, words, to=page_of(request))


@in_project(POST="project.update")
def test_email(request: ProjectRequest) -> HttpResponse:
    found = notice_settings.test_email(request.project, request.user, actor=request.actor)
    return tested(request, "email_result", found)


@in_project(POST="project.update")
def test_webhook(request: ProjectRequest) -> HttpResponse:
    return tested(
        request, "webhook_result", notice_settings.test_webhook(request.project, actor=request.actor)
    )


def tested(request: ProjectRequest, place: str, found: notice_settings.Outcome) -> HttpResponse:
    """The section with what the test found in its place."""
    if replies.wants_fragment(request):
        return shown(request, **{place: {"ok": found.ok, "message": found.message}})
    (messages.success if found.ok else messages.error)(request, found.message)
    return replies.see_other(page_of(request))


# --- webhook


@in_project(GET="project.update", POST="project.update")
def webhook(request: ProjectRequest) -> HttpResponse:
    """Its address. A first one brings the secret, which is shown this once."""
    chosen = notice_settings.of(request.project)
    form = webhook_form(chosen)
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            secret = notice_settings.put_webhook(request.project, form.values["url"], actor=request.actor)
        except Problem as problem:
            form = form.refused(problem)
        else:
            return put(request, secret)
    dialog = {
        "title": "Change the webhook" if chosen.has_webhook else "Add a webhook",
        "action_url": request.path,
        "cancel_url": back_to(request),
        "button": "Save" if chosen.has_webhook else "Add webhook",
        "error": form.error,
    }
    status = 422 if form.is_wrong else 200
    return answer(request, "hub/_webhook_dialog.html", {"dialog": dialog, "form": form}, status=status)


def webhook_form(chosen: NoticeSettings) -> Form:
    hint = "Navi sends a signed POST here when a connection goes and when it returns."
    if chosen.has_webhook:
        hint = f"Now at {chosen.webhook_host}. Type the whole address anew; the secret stays."
    field = text(
        "url", "Address", type="url", mono=True, trim=True, autofocus=True, hint=hint,
        placeholder="https://alerts.example.org/navi",
    )  # fmt: skip
    return Form(field)


def put(request: ProjectRequest, secret: str) -> HttpResponse:
    if secret:
        return shown_once(request, secret)
    words = "The webhook has a new address."
    return replies.done(request, words, to=page_of(request), events=("notices-changed",))


@in_project(GET="project.update", POST="project.update")
def rotate(request: ProjectRequest) -> HttpResponse:
    if request.method == "POST":
        try:
            secret = notice_settings.rotate(request.project, actor=request.actor)
        except Problem as problem:
            return replies.again(request, problem.message, to=page_of(request), is_wrong=True)
        return shown_once(request, secret, rotated=True)
    confirm = {
        "title": "Rotate the secret",
        "message": "You see the new secret once, right after this.",
        "points": ["For 24 hours each call is signed with the old secret too."],
        "action_url": request.path,
        "cancel_url": back_to(request),
        "button": "Rotate",
        "keep": "Cancel",
    }
    return answer(request, "hub/_confirm_dialog.html", {"confirm": confirm})


@in_project(GET="project.update", POST="project.update")
def remove(request: ProjectRequest) -> HttpResponse:
    if request.method == "POST":
        notice_settings.remove_webhook(request.project, actor=request.actor)
        words = "The webhook is removed."
        return replies.done(request, words, to=page_of(request), events=("notices-changed",))
    confirm = {
        "title": "Remove the webhook",
        "message": "Its receiver hears nothing more from this project, and its secret is deleted.",
        "action_url": request.path,
        "cancel_url": back_to(request),
        "button": "Remove",
    }
    return answer(request, "hub/_confirm_dialog.html", {"confirm": confirm})


def shown_once(request: ProjectRequest, secret: str, *, rotated: bool = False) -> HttpResponse:
    """The only answer that ever holds the secret."""
    made = {"secret": secret, "rotated": rotated, "close_url": back_to(request)}
    response = answer(request, "hub/_webhook_secret.html", {"made": made})
    response["HX-Trigger"] = "notices-changed"
    return response


def answer(
    request: ProjectRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    back = {"url": back_to(request), "label": "Settings"}
    return replies.dialog(request, template, context, back=back, status=status)
