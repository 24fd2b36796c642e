"""What stands around every page: the project's sections, the other projects, the person's own menu.

Nothing is asked of the database until a page is drawn: a fragment costs nothing, a page one query.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

from django.db.models import Case, Exists, F, Func, IntegerField, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce, Lower
from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from credentials.models import Connection, Health, State
from integrations.models import Approval
from navi.projects import roles
from navi.projects.models import AgentToken, Membership, Project, User

SWITCHER = 20
LAST_PROJECT = "last_project"
# In the order of the bar: the label, the end of the address, and the right it takes to look.
SECTIONS = (
    ("Integrations", "integrations", "integrations.view"),
    ("MCP", "mcp", "integrations.view"),
    ("Activity", "activity", "audit.view"),
    ("Events", "webhooks", "integrations.view"),
    ("Approvals", "approvals", "integrations.view"),
    ("Agents", "agents", "tokens.own"),
    ("Members", "members", "members.view"),
    ("Settings", "settings", "project.view"),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The context processor: names of base.html's head comment."""
    user = getattr(request, "user", None)
    if not isinstance(user, User) and not getattr(user, "is_authenticated", False):
        return {}
    around = Around(request)
    return {
        "project": around.project_told,
        "projects": later(lambda: around.others),
        "nav": later(lambda: around.sections) if around.project else [],
        "projects_url": reverse("hub:projects"),
        "account": account_told(request.user),  # type: ignore[arg-type]
    }


def later(work: Callable[[], Any]) -> Any:
    return SimpleLazyObject(work)


class Around:
    """The surroundings of one page."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.project: Project | None = getattr(request, "project", None)

    @property
    def project_told(self) -> dict[str, str] | None:
        if self.project is None:
            return None
        return {"name": self.project.name, "slug": self.project.slug, "url": section_url(self.project.slug)}

    @cached_property
    def memberships(self) -> list[Membership]:
        """The person's projects, the current one first, with how many connections need somebody: one query."""
        note_project(self.request, self.project)
        here = Case(When(project=self.project, then=0), default=1, output_field=IntegerField())
        rows = with_attention(Membership.objects.filter(user=self.request.user, project__archived_at=None))  # type: ignore[misc]
        return list(rows.select_related("project").order_by(here, Lower("project__name"))[:SWITCHER])

    @property
    def others(self) -> list[dict[str, Any]]:
        by_name = sorted(self.memberships, key=lambda membership: membership.project.name.lower())
        return [self.told(membership) for membership in by_name]

    def told(self, membership: Any) -> dict[str, Any]:
        slug = membership.project.slug
        is_current = membership.project == self.project
        facts = {"url": section_url(slug), "current": is_current, "attention": membership.attention}
        return {"name": membership.project.name, "slug": slug, **facts}

    @property
    def sections(self) -> list[dict[str, Any]]:
        assert self.project is not None  # noqa: S101  (navigation() saw to it)
        counts = {"integrations": self.attention, "approvals": self.waiting}
        role = getattr(self.request, "role", None)
        return [
            self.section(label, part, counts.get(part, 0))
            for label, part, right in SECTIONS
            if roles.may(role, right) and is_built(part)
        ]

    def section(self, label: str, part: str, count: int) -> dict[str, Any]:
        url = section_url(self.project.slug, part)  # type: ignore[union-attr]
        is_current = self.request.path == url or self.request.path.startswith(f"{url}/")
        return {"label": label, "url": url, "current": is_current, "count": count}

    @property
    def attention(self) -> int:
        return next((m.attention for m in self.memberships if m.project == self.project), 0)  # type: ignore[attr-defined]

    @property
    def waiting(self) -> int:
        """How many calls wait for this person's word here."""
        here = next((m for m in self.memberships if m.project == self.project), None)
        if here is None:
            return 0
        return here.all_waiting if roles.may(here.role, "integrations.manage") else here.own_waiting  # type: ignore[attr-defined, no-any-return]


def section_url(slug: str, part: str = "integrations") -> str:
    return f"/p/{slug}/{part}"


@lru_cache
def is_built(part: str) -> bool:
    """Is there such a section yet?"""
    try:
        resolve(section_url("any", part))
    except Resolver404:
        return False
    return True


NEEDS_SOMEBODY = Q(enabled=True) & (
    Q(state__in=[State.REAUTH_REQUIRED, State.UNREADABLE]) | Q(health=Health.FAILED) | Q(refusals__gt=1)
)


def with_attention(memberships: Any) -> Any:
    """Each membership with the number of connections that need somebody, the project's and the person's, and
    of calls that wait: all of the project's, and those of the person's own agents."""
    reachable = Connection.objects.standing().filter(NEEDS_SOMEBODY)
    reachable = reachable.filter(Q(project=OuterRef("project_id")) | Q(user=OuterRef("user_id")))
    waiting = Approval.objects.waiting(timezone.now()).filter(run__project=OuterRef("project_id"))
    own = AgentToken.objects.filter(owner=OuterRef(OuterRef("user_id")), public_id=OuterRef("run__actor_id"))
    return memberships.annotate(
        attention=counted(reachable),
        all_waiting=counted(waiting),
        own_waiting=counted(waiting.filter(Exists(own))),
    )


def counted(rows: Any) -> Any:
    """How many rows, as a part of another query."""
    count = rows.order_by().annotate(n=Func(F("pk"), function="COUNT", output_field=IntegerField()))
    return Coalesce(Subquery(count.values("n"), output_field=IntegerField()), 0)


def note_project(request: HttpRequest, project: Project | None) -> None:
    """The last project somebody looked at is where Navi opens next time."""
    session = getattr(request, "session", None)
    if project is not None and session is not None and session.get(LAST_PROJECT) != project.slug:
        session[LAST_PROJECT] = project.slug


def account_told(user: User) -> dict[str, str]:
    return {
        "name": str(user),
        "email": user.email,
        "initials": initials(str(user)),
        "url": reverse("hub:account"),
        "password_url": reverse("hub:password"),
        "sign_out_url": reverse("hub:sign-out"),
        "admin_url": reverse("admin:index") if user.is_staff else "",
    }


def initials(name: str) -> str:
    """AL for Ada Lovelace, A for ada@example.org."""
    words = name.partition("@")[0].split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"
