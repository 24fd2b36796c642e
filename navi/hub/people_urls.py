"""Sign-in and accounts, projects, and of each project its agents, members, settings and activity."""

from django.urls import URLPattern

from navi.hub.replies import page
from navi.hub.views import account, activity, agents, members, notices, projects

PROJECT = "p/<slug:project>"

urlpatterns: list[URLPattern] = [
    page("", projects.home, "home"),
    page("sign-in", account.sign_in, "sign-in"),
    page("sign-out", account.sign_out, "sign-out"),
    page("set-up/<str:code>", account.set_up, "set-up"),
    page("invitations/<str:code>", account.invitation, "invitation"),
    page("account", account.account, "account"),
    page("account/password", account.password_change, "password"),
    page("projects", projects.projects, "projects"),
    page("projects/new", projects.new_project, "new-project"),
    page(PROJECT, projects.front, "project"),
    page(f"{PROJECT}/settings", projects.project_settings, "project-settings"),
    page(f"{PROJECT}/settings/archive", projects.archive, "archive-project"),
    page(f"{PROJECT}/settings/notices", notices.notices, "notices"),
    page(f"{PROJECT}/settings/notices/email", notices.switch_email, "notices-email"),
    page(f"{PROJECT}/settings/notices/email/test", notices.test_email, "notices-test-email"),
    page(f"{PROJECT}/settings/notices/webhook", notices.webhook, "notices-webhook"),
    page(f"{PROJECT}/settings/notices/webhook/test", notices.test_webhook, "notices-test-webhook"),
    page(f"{PROJECT}/settings/notices/webhook/rotate", notices.rotate, "notices-rotate"),
    page(f"{PROJECT}/settings/notices/webhook/remove", notices.remove, "notices-remove"),
    page(f"{PROJECT}/agents", agents.agents, "agents"),
    page(f"{PROJECT}/agents/new", agents.new_token, "new-token"),
    page(f"{PROJECT}/agents/<uuid:pk>/rotate", agents.rotate_token, "rotate-token"),
    page(f"{PROJECT}/agents/<uuid:pk>/revoke", agents.revoke_token, "revoke-token"),
    page(f"{PROJECT}/members", members.members, "members"),
    page(f"{PROJECT}/members/leave", members.leave, "leave"),
    page(f"{PROJECT}/members/<uuid:pk>/role", members.member_role, "member-role"),
    page(f"{PROJECT}/members/<uuid:pk>/remove", members.remove_member, "remove-member"),
    page(f"{PROJECT}/members/invitations", members.invite, "invite"),
    page(f"{PROJECT}/members/invitations/<uuid:pk>/revoke", members.revoke_invitation, "revoke-invitation"),
    page(f"{PROJECT}/activity", activity.activity, "activity"),
    page(f"{PROJECT}/activity/export.csv", activity.export_activity, "export-csv", kind="csv"),
    page(f"{PROJECT}/activity/export.jsonl", activity.export_activity, "export-jsonl", kind="jsonl"),
]
