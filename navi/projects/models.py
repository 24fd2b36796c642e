"""People, projects, who belongs where, and the tokens their agents carry."""

from __future__ import annotations

import hmac
import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from navi.projects import codes, roles
from navi.projects.written_out import WrittenOut

OVERLAP_MOST = timedelta(days=7)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def operators(self) -> models.QuerySet[User]:
        return self.filter(is_superuser=True)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_staff = models.BooleanField("operator", default=False, help_text="May open the admin.")
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def enable(self) -> None:
        self.is_active = True
        self.save(update_fields=["is_active"])

    def disable(self) -> None:
        """They cannot sign in, and their agents' tokens open nothing."""
        self.is_active = False
        self.save(update_fields=["is_active"])

    def become_operator(self) -> None:
        self.is_staff = self.is_superuser = self.is_active = True
        self.save(update_fields=["is_staff", "is_superuser", "is_active"])

    def get_short_name(self) -> str:
        return str(self)

    def get_full_name(self) -> str:
        return str(self)


class ProjectQuerySet(models.QuerySet["Project"]):
    def locked(self, project: Project) -> Project:
        """The project as it is now, locked: changes of its members and tokens happen one after the other."""
        return self.select_for_update(no_key=True).get(pk=project.pk)

    def of(self, user: User) -> ProjectQuerySet:
        """The projects this person is a member of, by name."""
        return self.filter(memberships__user=user, archived_at=None).order_by(Lower("name"))


class Project(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def rename(self, name: str) -> None:
        self.name = name
        self.save(update_fields=["name"])

    def archive(self, *, at: datetime) -> None:
        self.archived_at = at
        self.save(update_fields=["archived_at"])

    def role_of(self, user: User) -> str | None:
        membership = self.memberships.filter(user=user).first()
        return membership.role if membership else None


class Role(models.TextChoices):
    OWNER = roles.OWNER, "Owner"
    ADMIN = roles.ADMIN, "Admin"
    MEMBER = roles.MEMBER, "Member"
    VIEWER = roles.VIEWER, "Viewer"


class MembershipQuerySet(models.QuerySet["Membership"]):
    def owners(self, project: Project) -> MembershipQuerySet:
        """The owners who can sign in."""
        return self.filter(project=project, role=roles.OWNER, user__is_active=True)


class Membership(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_person")]

    def __str__(self) -> str:
        return f"{self.user} in {self.project} ({self.role})"

    def change_role(self, role: str) -> None:
        self.role = role
        self.save(update_fields=["role"])


def secret_digest(code: codes.Code, pepper_id: str | None = None) -> tuple[bytes, str]:
    """The peppered digest of a code and the id of the pepper used."""
    pepper = settings.NAVI_KEYS.pepper()
    pepper_id = pepper_id or pepper.primary
    return codes.digest(code, pepper.derive("pepper", pepper_id)), pepper_id


class CodeQuerySet(models.QuerySet[Any]):
    def by_code(self, code: codes.Code | None) -> Any:
        """The row this code opens, compared in constant time; None where there is none."""
        row = self.filter(public_id=code.public_id).first() if code else None
        return row if row and row.opens_with(code) else None


class InvitationQuerySet(CodeQuerySet):
    def for_operators(self) -> InvitationQuerySet:
        return self.filter(project=None)

    def open(self, at: datetime) -> InvitationQuerySet:
        is_fresh = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(is_fresh, accepted_at=None, revoked_at=None)

    def revoke(self, *, at: datetime) -> int:
        return self.filter(accepted_at=None, revoked_at=None).update(revoked_at=at)


class CodeModel(models.Model):
    """A row opened by a code that is kept only as a peppered digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public_id = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(editable=False)
    pepper_id = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def opens_with(self, code: codes.Code) -> bool:
        try:
            expected, _ = secret_digest(code, self.pepper_id)
        except KeyError:
            return False
        return hmac.compare_digest(bytes(self.digest), expected)

    def keep(self, code: codes.Code) -> None:
        """Take over a fresh code: its id and digest, never its text."""
        self.public_id = code.public_id
        self.digest, self.pepper_id = secret_digest(code)


class Invitation(CodeModel):
    """A link, used once, that makes a member; without a project, the first operator."""

    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    email = models.EmailField(blank=True, help_text="Only this person may accept, if given.")
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    accepted_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Invitation {self.public_id}"

    @property
    def is_open(self) -> bool:
        is_fresh = self.expires_at is None or self.expires_at > timezone.now()
        return self.accepted_at is None and self.revoked_at is None and is_fresh

    def consume(self, *, user: User, at: datetime) -> bool:
        """Use the link up. False: somebody was faster, or it is no longer open."""
        open_rows = Invitation.objects.filter(pk=self.pk).open(at)
        return bool(open_rows.update(accepted_at=at, accepted_by=user))


class AgentTokenQuerySet(CodeQuerySet):
    def living(self, at: datetime) -> AgentTokenQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)

    def for_request(self, public_id: str) -> AgentToken | None:
        """The token with what a request needs of its project, its owner and the owner's role: one query."""
        found = TOKEN_FOR_REQUEST.rows([public_id])
        if not found:
            return None
        token, beside = found[0]
        token.take_over(*beside)
        return token

    def saw(self, public_id: str, *, at: datetime, ip: str) -> None:
        """Note the last use, at most once a minute however many processes ask."""
        minute_ago = at - timedelta(seconds=60)
        stale = self.filter(Q(last_used_at=None) | Q(last_used_at__lt=minute_ago), public_id=public_id)
        stale.update(last_used_at=at, last_used_from=ip or None)

    def end_rights_in(self, project: Project, owner: User, *, at: datetime) -> int:
        """A person left the project: their tokens there end."""
        return self.filter(project=project, owner=owner, revoked_at=None).update(revoked_at=at)


class AgentToken(CodeModel):
    family = models.UUIDField(default=uuid.uuid4, editable=False, db_index=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="tokens")
    owner = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    scopes = models.JSONField(default=list)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="replaces"
    )

    # Joined by for_request(), and only there:
    owner_role: str | None
    owner_email: str
    owner_name: str
    owner_is_active: bool
    project_slug: str
    project_name: str
    project_is_archived: bool

    objects = AgentTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} (navi_at_{self.public_id})"

    @property
    def state(self) -> str:
        return self.state_at(timezone.now())

    def state_at(self, at: datetime) -> str:
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= at:
            return "expired"
        return "rotating" if self.replaced_by_id else "active"

    @property
    def is_living(self) -> bool:
        return self.state in {"active", "rotating"}

    def take_over(
        self, role: str, slug: str, name: str, is_archived: bool, email: str, owner_name: str, is_active: bool
    ) -> None:
        """What was read beside the token: its owner's role, its project, its owner."""
        self.owner_role, self.project_is_archived, self.owner_is_active = (
            role,
            bool(is_archived),
            bool(is_active),
        )
        self.project = Project.from_db(self._state.db, ["id", "slug", "name"], (self.project_id, slug, name))
        self.owner = User.from_db(self._state.db, ["id", "email", "name"], (self.owner_id, email, owner_name))

    def end_soon(self, *, at: datetime, overlap: timedelta, successor: AgentToken) -> None:
        """Rotation: this secret lives on for the overlap, never longer than it would have."""
        self.replaced_by = successor
        self.expires_at = min(filter(None, (self.expires_at, at + min(overlap, OVERLAP_MOST))))
        self.save(update_fields=["replaced_by", "expires_at"])

    def revoke_family(self, *, at: datetime) -> int:
        """End this token and every other secret of its family."""
        return AgentToken.objects.filter(family=self.family, revoked_at=None).update(revoked_at=at)


TOKEN_FOR_REQUEST = WrittenOut(
    AgentToken,
    "token",
    """
    SELECT {columns}, membership.role, project.slug, project.name, project.archived_at IS NOT NULL,
           owner.email, owner.name, owner.is_active
      FROM projects_agenttoken token
      JOIN projects_project project ON project.id = token.project_id
      JOIN projects_user owner ON owner.id = token.owner_id
      LEFT JOIN projects_membership membership
        ON membership.project_id = token.project_id AND membership.user_id = token.owner_id
     WHERE token.public_id = %s
    """,
)
