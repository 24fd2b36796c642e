"""Projects: which one, a new one, and the settings of the one at hand."""

from __future__ import annotations

from typing import Any

from django.db.models import F, OuterRef, Q
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from credentials.models import Connection
from navi.audit.problems import Problem
from navi.hub import replies
from navi.hub.doors import PersonRequest, ProjectRequest, in_project, signed_in
from navi.hub.fields import Form, text
from navi.hub.navigation import LAST_PROJECT, counted, section_url, with_attention
from navi.hub.views import notices
from navi.projects import people, roles
from navi.projects.models import AgentToken, Membership, Project

# --- which one


@signed_in("GET")
def home(request: PersonRequest) -> HttpResponse:
    """The project looked at last, or the only one; with several the list, with none a first one."""
    slugs = list(Project.objects.of(request.user).values_list("slug", flat=True))
    last = request.session.get(LAST_PROJECT)
    if last in slugs or len(slugs) == 1:
        return redirect(section_url(last if last in slugs else slugs[0]))
    return redirect("hub:projects" if slugs else "hub:new-project")


@in_project(GET="project.view")
def front(request: ProjectRequest) -> HttpResponse:
    return redirect(section_url(request.project.slug))


@signed_in("GET", "POST")
def projects(request: PersonRequest) -> HttpResponse:
    if request.method == "POST":
        return create_project(request)
    memberships = with_counts(Membership.objects.filter(user=request.user, project__archived_at=None))
    context = {
        "page_title": "Projects",
        "projects": [told(membership) for membership in memberships],
        "create_url": reverse("hub:new-project"),
    }
    return render(request, "hub/projects.html", context)


def with_counts(memberships: Any) -> Any:
    """Each with its connections, the person's own among them, and its agents: one query."""
    reachable = Connection.objects.standing().filter(
        Q(project=OuterRef("project_id")) | Q(user=OuterRef("user_id"))
    )
    living = AgentToken.objects.living(timezone.now()).filter(
        project=OuterRef("project_id"), replaced_by=None
    )
    rows = with_attention(memberships).annotate(connected=counted(reachable), agents=counted(living))
    return rows.select_related("project").order_by(Lower(F("project__name")))


def told(membership: Any) -> dict[str, Any]:
    project = membership.project
    return {
        "name": project.name,
        "slug": project.slug,
        "url": section_url(project.slug),
        "role_label": roles.LABELS[membership.role],
        "connected": membership.connected,
        "agents": membership.agents,
        "attention": membership.attention,
    }


# --- a new one


@signed_in("GET")
def new_project(request: PersonRequest) -> HttpResponse:
    return project_form(request, name_form())


def create_project(request: PersonRequest) -> HttpResponse:
    form = name_form().filled(request.POST)
    try:
        project = people.create_project(form.values["name"], request.user, actor=request.actor)
    except Problem as problem:
        return project_form(request, form.refused(problem))
    return replies.see_other(section_url(project.slug))


def name_form() -> Form:
    hint = "For one team, client or piece of work. You can change it later."
    return Form(text("name", "Name", placeholder="Apollo", hint=hint, autofocus=True))


def project_form(request: PersonRequest, form: Form) -> HttpResponse:
    is_first = not request.user.memberships.exists()
    context = {
        "page_title": "First project" if is_first else "New project",
        "form": form,
        "error": form.error,
        "first": is_first,
        "action_url": reverse("hub:projects"),
        "cancel_url": "" if is_first else reverse("hub:projects"),
    }
    return render(request, "hub/first_project.html", context, status=422 if form.is_wrong else 200)


# --- the one at hand


@in_project(GET="project.view", POST="project.update")
def project_settings(request: ProjectRequest) -> HttpResponse:
    form = Form(text("name", "Name", value=request.project.name))
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            people.rename(request.project, form.values["name"], actor=request.actor)
        except Problem as problem:
            form = form.refused(problem)
        else:
            return replies.go(request, "The name is changed.", to=request.path)
    context = {
        "page_title": "Settings",
        "form": form,
        "error": form.error,
        "action_url": request.path,
        "may_change": request.may("project.update"),
        "facts": facts_of(request.project),
        "notices": notices.section(request),
        "danger": dangers(request),
    }
    return render(request, "hub/project_settings.html", context, status=422 if form.is_wrong else 200)


def facts_of(project: Project) -> list[dict[str, str]]:
    return [
        {"label": "Short name", "value": project.slug},
        {"label": "Id", "value": str(project.pk)},
        {"label": "Made", "value": f"{project.created_at:%-d %b %Y}"},
    ]


def dangers(request: ProjectRequest) -> list[dict[str, str]]:
    slug = request.project.slug
    found = [
        {
            "title": "Leave this project",
            "text": "Your agents' tokens here end at once. Your keys for all projects leave with you.",
            "label": "Leave",
            "url": reverse("hub:leave", args=[slug]),
        }
    ]
    if request.may("project.delete"):
        archive = {
            "title": "Archive this project",
            "text": "It leaves everybody's list, and no token opens it. An operator can bring it back.",
            "label": "Archive project",
            "url": reverse("hub:archive-project", args=[slug]),
        }
        found.append(archive)
    return found


@in_project(GET="project.delete", POST="project.delete")
def archive(request: ProjectRequest) -> HttpResponse:
    project, error = request.project, None
    if request.method == "POST":
        if request.POST.get("confirm", "").strip() == project.slug:
            people.archive(project, actor=request.actor)
            return replies.go(request, f"{project.name} is archived.", to=reverse("hub:projects"))
        error = {"message": f"Type {project.slug} to confirm.", "fix": "Nothing has been changed."}
    settings_url = reverse("hub:project-settings", args=[project.slug])
    confirm = {
        "title": f"Archive {project.name}",
        "message": "Nothing is deleted, but for everybody in it the project is gone.",
        "points": [
            "It leaves the lists of all members.",
            "Tokens of its agents open nothing any more.",
            "Only an operator can bring it back.",
        ],
        "action_url": request.path,
        "cancel_url": settings_url,
        "button": "Archive project",
        "confirm_word": project.slug,
        "error": error,
    }
    back = {"url": settings_url, "label": "Settings"}
    return replies.dialog(
        request, "hub/_confirm_dialog.html", {"confirm": confirm}, back=back, status=422 if error else 200
    )
