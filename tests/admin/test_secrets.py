"""A secret is planted wherever Navi keeps one; then every page of the admin is read."""

import base64

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.admin.models import LogEntry
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from credentials.models import ConnectRequest, OAuthApp, OAuthAttempt, Secret
from credentials.vault import SealedJSONField
from integrations.models import (
    ActionRule,
    ActionRun,
    Approval,
    CustomProvider,
    Delivery,
    HealthCheck,
    IntegrationDefault,
    IntegrationStatus,
    Milestone,
    NoticeDelivery,
    NoticeSettings,
    PluginSettings,
    Record,
    SyncState,
    WebhookEndpoint,
)
from integrations.runtime import recovery
from integrations.runtime.install import sync_providers
from integrations.sdk import Reconnect
from navi.audit.actor import SYSTEM, Actor
from navi.audit.models import AuditBatch
from navi.audit.record import record
from navi.audit.seal import seal_batch
from navi.jobs.models import Heartbeat, Job
from navi.projects import people, tokens
from navi.projects.models import AgentToken
from navi.projects.rights import actor_for

CANARY = "lin_api_CANARYdoNotShowMe0123456789abcdef"
ANSWER = "canary-answer-of-a-vendor-7f3a"
CODE = "WDJB-MJHT"
APP_SECRET = "GOCSPX-canary-of-an-oauth-app"
VERIFIER = "canary-verifier-of-a-sign-in"
DEVICE = "CNRY-DVCE"
HOOK_SECRET = "canary-secret-of-a-webhook-5e2d"
ASKED = "canary-argument-of-a-waiting-call"
SAID = "canary-content-of-a-delivery"
SYNCED = "canary-content-of-a-record"
WEBHOOK = "https://hooks.example/canary-in-the-address"


@pytest.fixture
def planted(admin, account, acme, alice, crm, olga, now):
    """Every model has a row; secrets lie where they lie in operation. Yields what must be read nowhere."""
    connection = account("linear", project=acme, apiKey=CANARY, hint="lin_api_…cdef")
    recovery.note_failure(connection, Reconnect(f"Linear said: no such key {CANARY}"))
    HealthCheck.objects.create(connection=connection, status="failed", reason="Key refused.")
    IntegrationStatus.objects.get_or_create(provider="linear", project=acme)
    IntegrationDefault.objects.create(provider="linear", project=acme)
    PluginSettings.objects.create(plugin="linear", project=acme, values={"team": "ENG", "apiKey": CANARY})
    Milestone.objects.create(kind="satisfaction", value=5)
    ActionRun.objects.create(
        project=acme, seal_owner=acme.pk, actor_id="abcdefghijkl", plugin="linear", action="search",
        connection=connection, arguments_hash="0" * 64, answer={"result": ANSWER}, state="succeeded",
    )  # fmt: skip
    rule = ActionRule.objects.create(project=acme, plugin="linear", effect="ask")
    waits = ActionRun.objects.create(
        project=acme, seal_owner=acme.pk, actor_id="abcdefghijkl", plugin="linear", action="create_issue",
        connection=connection, arguments_hash="0" * 64, arguments={"title": ASKED}, state="awaiting_approval",
    )  # fmt: skip
    Approval.objects.create(run=waits, rule=rule, arguments_hash="0" * 64, expires_at=now)
    ConnectRequest.objects.create(
        provider="linear", project=acme, asked_by="Ada", token_public_id="abcdefghijkl", user_code=CODE,
        expires_at=timezone.now(),
    )  # fmt: skip
    app = OAuthApp.objects.create(
        provider="linear", project=acme, client_id="navi", secret={"client_secret": APP_SECRET}
    )
    OAuthAttempt.objects.create(
        provider="linear", project=acme, user=alice, app=app, state_hash="0" * 64, user_code=DEVICE,
        kept={"verifier": VERIFIER, "redirect_uri": "https://navi.example/oauth/callback"}, expires_at=now,
    )  # fmt: skip
    endpoint = WebhookEndpoint.objects.create(
        project=acme,
        provider="linear",
        plugin="linear",
        secrets={"live": [{"value": HOOK_SECRET, "until": None}]},
    )
    Delivery.objects.create(
        endpoint=endpoint, vendor_id="d1", seal_owner=acme.pk, body={"text": SAID, "headers": {}}
    )
    synced = {"project": acme, "connection": connection, "plugin": "linear", "kind": "issues"}
    SyncState.objects.get_or_create(**synced, part="")
    Record.objects.create(**synced, external_id="ENG-1", data={"title": SYNCED}, sequence=1)
    NoticeSettings.objects.create(project=acme, webhook={"url": WEBHOOK}, webhook_host="hooks.example")
    NoticeDelivery.objects.create(project=acme, channel="webhook")
    as_alice = actor_for(alice, acme)
    _, token = tokens.issue(acme, alice, "Ada", ["read"], actor=as_alice)
    _, invitation = people.invite(acme, "member", actor=as_alice)
    Job.objects.create(kind="health", object_id=str(connection.pk))
    Heartbeat.objects.create(name="worker", at=now)
    record(
        "action.run", actor=Actor("agent", "a", "Ada"), detail={"error": f"key {CANARY}"}, outcome="failed"
    )
    record("secret.released", actor=SYSTEM, connection=connection)
    seal_batch(now)
    sync_providers()
    admin.change("credentials_connection", connection)  # so that there is a history
    sealed = bytes(Secret.objects.get().fields.token or b"")
    digest = bytes(AgentToken.objects.get().digest)
    return {
        "the key": CANARY,
        "the key's middle": "CANARYdoNotShowMe",
        "the vendor's answer": ANSWER,
        "what an agent asked for": ASKED,
        "a connect code": CODE,
        "the secret of an OAuth app": APP_SECRET,
        "the verifier of a sign-in": VERIFIER,
        "a code of the device flow": DEVICE,
        "the address of a webhook": WEBHOOK,
        "the secret of a webhook": HOOK_SECRET,
        "the key of a webhook's address": endpoint.key,
        "what a vendor sent": SAID,
        "what a sync brought": SYNCED,
        "the token": token.rpartition("_")[2],
        "the invitation": invitation.rpartition("_")[2],
        "a password's hash": olga.password.split("$")[-1],
        "the sealed value": base64.b64encode(sealed).decode()[:40],
        "the sealed value in hex": sealed.hex()[:40],
        "the token's digest": digest.hex(),
    }


def pages_of(admin, model):
    """Every page that the admin has of this model."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    listed = reverse(f"{name}_changelist")
    yield listed
    yield f"{listed}?_facets=True"
    for words in ("a", "linear"):
        yield f"{listed}?q={words}"
    for row in model._base_manager.all()[:3]:
        for page in ("change", "history", "delete"):
            try:
                yield reverse(f"{name}_{page}", args=[row.pk])
            except NoReverseMatch:
                continue
    yield reverse(f"{name}_add")


def test_no_page_of_the_admin_shows_a_secret(admin, planted):
    opened = set()
    for model in django_admin.site._registry:
        for page in ["/admin/", f"/admin/{model._meta.app_label}/", *pages_of(admin, model)]:
            answer = admin.get(page, follow=True)
            assert answer.status_code in {200, 403}, page
            shown = [what for what, secret in planted.items() if secret in answer.text]
            assert not shown, f"{page} shows {shown}"
            opened.add((model, answer.status_code))

    assert {model for model, status in opened if status == 200} == set(django_admin.site._registry)


@pytest.mark.slow
def test_nothing_is_found_by_a_secret(admin, planted):
    for model, page in django_admin.site._registry.items():
        for secret in (planted["the key"], planted["a connect code"], planted["the token"]):
            if page.search_fields:
                answer = admin.list_of(f"{model._meta.app_label}_{model._meta.model_name}", q=secret)
                assert not answer.context["cl"].result_list, model


def test_the_questions_before_an_action_show_no_secret(admin, planted, crm):
    connection = Secret.objects.get().connection

    for answer in (
        admin.act("credentials_connection", "revoke", connection),
        admin.act("integrations_customprovider", "approve", crm),
        admin.act("integrations_customprovider", "delete_selected", crm),
        admin.act("credentials_connection", "check_now", connection),
    ):
        assert answer.status_code == 200
        assert not [what for what, secret in planted.items() if secret in answer.text]


def test_the_walk_would_find_what_it_looks_for(admin, planted, acme):
    CustomProvider.objects.filter(project=acme).update(name=CANARY[:80])

    assert CANARY in admin.list_of("integrations_customprovider").text


def test_every_model_of_ours_has_rows_for_the_walk(planted):
    ours = {model for model in django_admin.site._registry if model._meta.app_label not in {"auth", "audit"}}

    assert not [model for model in ours if not model._base_manager.exists()]
    assert AuditBatch.objects.exists()


def test_secrets_have_no_page():
    assert not django_admin.site.is_registered(Secret)


def test_no_page_names_a_sealed_field():
    for model, page in django_admin.site._registry.items():
        sealed = {field.name for field in model._meta.concrete_fields if isinstance(field, SealedJSONField)}
        named = {*page.list_display, *page.search_fields, *(page.fields or [])}
        named |= {field for _, part in page.fieldsets or [] for field in part["fields"]}
        assert not sealed & {str(name) for name in named}, model


def test_every_model_that_seals_is_known_here():
    """A new sealed field has to be looked at: plant a canary in it above."""
    sealing = {
        model.__name__
        for model in apps.get_models()
        for f in model._meta.fields
        if isinstance(f, SealedJSONField)
    }

    assert sealing == {
        "ActionRun",
        "Delivery",
        "NoticeSettings",
        "OAuthApp",
        "OAuthAttempt",
        "Record",
        "Secret",
        "WebhookEndpoint",
    }


def test_a_pages_history_tells_names_of_fields_and_no_values(admin, planted):
    assert "enabled" in LogEntry.objects.get().get_change_message().lower()
