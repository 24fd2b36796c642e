"""The operators' pages for people, projects and tokens: the same domain calls as the hub's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect

from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.projects import people, tokens
from navi.projects.address import address_of
from navi.projects.errors import NotAllowed
from navi.projects.models import AgentToken, Invitation, Membership, Project, User
from navi.projects.rights import operator_for


def actor_of(request: HttpRequest) -> Actor:
    """The operator at work."""
    assert isinstance(request.user, User)  # noqa: S101  (the admin lets nobody else in)
    return operator_for(request.user, ip=address_of(request))


class SaysWhy(admin.ModelAdmin):
    """A refusal of the domain becomes a sentence on the page; its transaction is rolled back."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.told(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.told(request, super().changelist_view, *args, **kwargs)

    def told(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            self.message_user(request, problem.message, messages.ERROR)
            return redirect(request.get_full_path())


class ReadOnly(SaysWhy):
    """Looked at and acted on, never edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# --- people


class AddPersonForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")
        field_classes: dict[str, Any] = {}

    def clean_email(self) -> str:
        return lowered_and_free(self.cleaned_data["email"], self.instance)


class PersonForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"
        field_classes: dict[str, Any] = {}

    def clean_email(self) -> str:
        return lowered_and_free(self.cleaned_data["email"], self.instance)


def lowered_and_free(email: str, user: User) -> str:
    email = email.lower()
    if User.objects.filter(email__iexact=email).exclude(pk=user.pk).exists():
        raise ValidationError("Somebody has this address already.")
    return email


@admin.register(User)
class UserAdmin(SaysWhy, DjangoUserAdmin):
    form, add_form = PersonForm, AddPersonForm
    list_display = ["email", "name", "is_active", "is_staff", "last_login", "date_joined"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("May", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("When", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]
    actions = ["disable", "enable"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        powers = ["is_staff", "is_superuser", "groups", "user_permissions"]
        return [*self.readonly_fields, *([] if is_superuser(request) else powers)]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not is_superuser(request)
        return super().has_change_permission(request, obj) and not is_above

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # people are disabled; what they did stays told

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        detail = {"user": str(obj.pk), "email": obj.email, "changed": form.changed_data}
        if "is_superuser" in form.changed_data:
            event = "operator.created" if obj.is_superuser else "operator.removed"
            record(event, actor=actor_of(request), detail=detail)
        record("user.updated", actor=actor_of(request), detail=detail)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            record("password.changed", actor=actor_of(request), detail={"user": str(obj.pk)})
        return super().log_change(request, obj, message)

    @admin.action(description="Disable: no sign-in, no agents", permissions=["change"])
    def disable(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in chosen:
            self.set_active(request, user, False)

    @admin.action(description="Enable again", permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in chosen:
            self.set_active(request, user, True)

    def set_active(self, request: HttpRequest, user: User, is_active: bool) -> None:
        if not self.has_change_permission(request, user):
            raise NotAllowed("Only an operator with all rights may change another one.")
        people.set_active(user, is_active, actor=actor_of(request))


def is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


# --- projects


@admin.register(Project)
class ProjectAdmin(SaysWhy):
    list_display = ["name", "slug", "created_at", "archived_at"]
    list_filter = ["archived_at"]
    search_fields = ["name", "slug"]
    readonly_fields = ["created_at", "archived_at"]
    fields = ["name", "slug", "created_at", "archived_at"]
    actions = ["archive"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, "slug"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a project is archived

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        actor = actor_of(request)
        if change:
            people.rename(Project.objects.get(pk=obj.pk), obj.name, actor=actor)
        else:
            made = people.create_project(obj.name, User.objects.get(pk=actor.id), actor=actor)
            obj.pk, obj.slug = made.pk, made.slug

    @admin.action(description="Archive: its agents' tokens open nothing", permissions=["change"])
    def archive(self, request: HttpRequest, chosen: QuerySet[Project]) -> None:
        for project in chosen:
            people.archive(project, actor=actor_of(request))


@admin.register(Membership)
class MembershipAdmin(SaysWhy):
    list_display = ["user", "project", "role", "created_at"]
    list_filter = ["role", "project"]
    list_select_related = ["user", "project"]
    search_fields = ["user__email", "user__name", "project__name", "project__slug"]
    autocomplete_fields = ["user", "project"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["user", "project", "created_at"] if obj else ["created_at"]

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        actor = actor_of(request)
        if change:
            people.change_role(Membership.objects.get(pk=obj.pk), obj.role, actor=actor)
        else:
            obj.pk = people.add_member(obj.project, obj.user, obj.role, actor=actor).pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        people.remove_member(obj, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for membership in queryset:
            people.remove_member(membership, actor=actor_of(request))


@admin.register(Invitation)
class InvitationAdmin(ReadOnly):
    shown = [
        "public_id",
        "project",
        "role",
        "email",
        "invited_by",
        "expires_at",
        "accepted_at",
        "revoked_at",
    ]
    list_display = [*shown]
    list_filter = ["role", "project"]
    list_select_related = ["project", "invited_by"]
    search_fields = ["public_id", "email", "project__slug"]
    fields = [*shown, "accepted_by", "created_at"]
    actions = ["revoke"]

    @admin.action(description="Withdraw", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Invitation]) -> None:
        for invitation in chosen:
            people.revoke_invitation(invitation, actor=actor_of(request))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return SaysWhy.has_change_permission(self, request)


# --- agents


@admin.register(AgentToken)
class AgentTokenAdmin(ReadOnly):
    shown = [
        "public_id",
        "name",
        "project",
        "owner",
        "told_scopes",
        "state",
        "expires_at",
        "last_used_at",
    ]
    list_display = [*shown]
    list_filter = ["project", "revoked_at", "expires_at"]
    list_select_related = ["project", "owner"]
    search_fields = ["public_id", "name", "owner__email", "project__slug"]
    fields = [*shown, "last_used_from", "created_at", "revoked_at", "replaced_by"]
    actions = ["revoke"]

    @admin.display(description="scopes")
    def told_scopes(self, token: AgentToken) -> str:
        return " ".join(token.scopes)

    @admin.action(description="Revoke, with what replaces it", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[AgentToken]) -> None:
        for token in chosen:
            tokens.revoke(token, actor_of(request))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return SaysWhy.has_change_permission(self, request)
