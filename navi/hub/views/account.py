"""People come in, and look after their own account."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django_htmx.http import HttpResponseClientRedirect

from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.hub import replies
from navi.hub.doors import PersonRequest, public, signed_in
from navi.hub.fields import Form, email, password, text
from navi.hub.navigation import section_url
from navi.hub.sign_in import HOME, SignInForm, next_address
from navi.projects import people, roles
from navi.projects.address import address_of
from navi.projects.checks import checked_name
from navi.projects.errors import AlreadyMember, InvitationClosed
from navi.projects.models import Invitation, User

# axes lets people in only through its own backend; a fresh account goes past it.
BACKEND = "django.contrib.auth.backends.ModelBackend"
ROLE_TEXTS = {
    roles.OWNER: "Owners do all that admins do, and archive the project.",
    roles.ADMIN: "Admins switch integrations, invite people and see everybody's tokens and the activity.",
    roles.MEMBER: "Members connect their own accounts and make tokens for their agents.",
    roles.VIEWER: "Viewers see what is connected and how it is, and change nothing.",
}
NEW_LINK = "make run"

# --- in and out


@sensitive_post_parameters("password")
@public(GET="public", POST="public")
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ten wrong passwords from one address rest the name there for 15 minutes: axes answers instead."""
    if replies.wants_fragment(request):
        return to_sign_in(request)
    if request.user.is_authenticated:
        return redirect(next_address(request))
    form = SignInForm(request, data=request.POST if request.method == "POST" else None)
    if form.is_valid():
        login(request, form.get_user())
        return replies.see_other(next_address(request))
    context = {
        "page_title": "Sign in",
        "form": form,
        "action_url": reverse("hub:sign-in"),
        "next": next_address(request),
        "needs_set_up": not form.is_bound and not User.objects.operators().exists(),
    }
    return render(request, "hub/sign_in.html", context, status=422 if form.is_bound else 200)


def to_sign_in(request: Any) -> HttpResponse:
    """The session ended while a page was open: htmx takes the whole page here, and back afterwards."""
    back = urlencode({"next": request.htmx.current_url_abs_path or HOME})
    return HttpResponseClientRedirect(f"{reverse('hub:sign-in')}?{back}")


@public(POST="public")
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return replies.see_other(reverse("hub:sign-in"))


# --- links that make an account


@sensitive_post_parameters("password")
@public(GET="public", POST="public")
def set_up(request: HttpRequest, code: str) -> HttpResponse:
    """The first operator's account, by the one-time link of the first start."""
    form = Form(
        text("name", "Your name", autocomplete="name", autofocus=True),
        email(autocomplete="username"),
        password(new=True),
    )
    try:
        people.open_set_up(code)
        if request.method == "POST":
            form = form.filled(request.POST)
            return make_operator(request, code, form)
    except InvitationClosed:
        return set_up_closed(request)
    except Problem as problem:
        form = form.refused(problem)
    context = {"page_title": "Set up", "form": form, "action_url": request.path, "error": form.error}
    return render(request, "hub/set_up.html", context, status=422 if form.is_wrong else 200)


def make_operator(request: HttpRequest, code: str, form: Form) -> HttpResponse:
    operator = people.make_operator(code, **form.values, ip=address_of(request))
    login(request, operator, backend=BACKEND)
    return replies.see_other(reverse("hub:new-project"))


def set_up_closed(request: HttpRequest) -> HttpResponse:
    """Used, unknown, too old, or not needed any more."""
    is_needed = not User.objects.operators().exists()
    context = {
        "page_title": "Set up",
        "expired": True,
        "command": NEW_LINK if is_needed else "",
        "sign_in_url": reverse("hub:sign-in"),
    }
    return render(request, "hub/set_up.html", context, status=404)


@sensitive_post_parameters("password")
@public(GET="public", POST="public")
def invitation(request: HttpRequest, code: str) -> HttpResponse:
    """Join a project: with the account at hand, or with a new one."""
    try:
        invited = people.open_invitation(code)
    except InvitationClosed:
        return invitation_closed(request)
    form = Form() if request.user.is_authenticated else sign_up_form(invited)
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            return join(request, code, invited, form)
        except InvitationClosed:
            return invitation_closed(request)
        except Problem as problem:
            form = form.refused(problem)
    context = {
        "page_title": "Invitation",
        "invitation": told(invited),
        "form": form,
        "error": form.error,
        "action_url": request.path,
        "sign_in_url": f"{reverse('hub:sign-in')}?{urlencode({'next': request.path})}",
        "sign_out_url": reverse("hub:sign-out"),
        "signed_in_as": str(request.user) if request.user.is_authenticated else "",
    }
    return render(request, "hub/invitation.html", context, status=422 if form.is_wrong else 200)


def sign_up_form(invited: Invitation) -> Form:
    """An invitation for one address does not ask for it."""
    asked = [] if invited.email else [email(autocomplete="username")]
    return Form(text("name", "Your name", autocomplete="name", autofocus=True), *asked, password(new=True))


def join(request: HttpRequest, code: str, invited: Invitation, form: Form) -> HttpResponse:
    ip, project = address_of(request), invited.project
    assert project is not None  # noqa: S101  (open_invitation saw to it)
    words = f"You are a member of {project.name} now."
    if isinstance(request.user, User):
        try:
            people.accept(code, request.user, ip)
        except AlreadyMember as problem:
            words = problem.message
    else:
        user = people.sign_up(code, **{"email": invited.email, **form.values}, ip=ip)
        login(request, user, backend=BACKEND)
    return replies.go(request, words, to=section_url(project.slug))


def told(invited: Invitation) -> dict[str, str | datetime | None]:
    return {
        "state": "open",
        "project": str(invited.project),
        "role_label": roles.LABELS[invited.role],
        "role_text": ROLE_TEXTS[invited.role],
        "invited_by": str(invited.invited_by or "An operator"),
        "email": invited.email,
        "expires_at": invited.expires_at,
    }


def invitation_closed(request: HttpRequest) -> HttpResponse:
    """Unknown, used, expired and withdrawn links get the same answer."""
    context = {"invitation": {"state": "closed"}, "sign_in_url": reverse("hub:sign-in")}
    return render(request, "hub/invitation.html", {"page_title": "Invitation", **context}, status=404)


# --- one's own account


@signed_in("GET", "POST")
def account(request: PersonRequest) -> HttpResponse:
    name = text(
        "name",
        "Your name",
        value=request.user.name,
        autocomplete="name",
        hint="What others in your projects see.",
    )
    form = Form(name)
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            rename(request.user, form.values["name"], actor=request.actor)
        except Problem as problem:
            form = form.refused(problem)
        else:
            return replies.go(request, "Your name is changed.", to=reverse("hub:account"))
    context = {
        "page_title": "Your account",
        "form": form,
        "error": form.error,
        "action_url": reverse("hub:account"),
        "facts": [
            {"label": "Email", "value": request.user.email},
            {"label": "Here since", "value": f"{request.user.date_joined:%-d %b %Y}"},
            *([{"label": "Also", "value": "Operator of this Navi"}] if request.user.is_superuser else []),
        ],
    }
    return render(request, "hub/account.html", context, status=422 if form.is_wrong else 200)


def rename(user: User, name: str, *, actor: Actor) -> None:
    """Somebody's own name."""
    name = checked_name(name, most=120)
    with transaction.atomic():
        record("user.updated", actor=actor, detail={"user": str(user.pk), "changed": ["name"]})
        user.name = name
        user.save(update_fields=["name"])


@sensitive_post_parameters("old_password", "new_password1", "new_password2")
@signed_in("GET", "POST")
def password_change(request: PersonRequest) -> HttpResponse:
    """All other sessions end: a session holds a hash of the password it began with."""
    form = PasswordChangeForm(request.user, data=request.POST if request.method == "POST" else None)
    form.fields["old_password"].label = "Password now"
    form.fields["new_password2"].label = "New password again"
    form.fields["new_password1"].help_text = "At least 10 characters. A sentence is easy to remember."
    form.fields["new_password2"].help_text = ""
    if form.is_valid():
        with transaction.atomic():
            record("password.changed", actor=request.actor, detail={"user": str(request.user.pk)})
            form.save()
        update_session_auth_hash(request, request.user)
        return replies.go(request, "Your password is changed.", to=reverse("hub:account"))
    context = {
        "page_title": "Change password",
        "form": form,
        "action_url": reverse("hub:password"),
        "cancel_url": reverse("hub:account"),
    }
    return render(request, "hub/password_change.html", context, status=422 if form.is_bound else 200)
