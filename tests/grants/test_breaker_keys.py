"""What fails together opens one breaker; a project's own app fails alone."""

import pytest

from credentials import asker
from credentials.models import Breaker, OAuthApp
from integrations.sdk import TryLater
from tests.grants.house import granted, held_no_more, like, served
from tests.standins.grants import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(asker, "CONFIRM_AFTER", 0)


@pytest.fixture
def charlies(elsewhere, vendor):
    """Charlie's connection, by an app of his own project."""
    like(vendor, "strict")
    row = granted(elsewhere, "strict", vendor)
    secret = {"client_secret": CLIENT_SECRET}
    row.app = OAuthApp.objects.create(
        provider="strict", project=elsewhere, client_id=CLIENT_ID, secret=secret
    )
    row.save(update_fields=["app"])
    return row


def fail_often(connection, vendor):
    vendor.turn_on("refuses_all")
    for _ in range(25):
        type(connection).objects.filter(pk=connection.pk).update(refusals=0, state="active")
        held_no_more(connection)
        with pytest.raises(Exception, match="Strict"):
            served(connection)
    vendor.turn_on("refuses_all", False)


def test_one_projects_own_app_stops_nobody_else(acmes, charlies, vendor):
    fail_often(charlies, vendor)

    assert Breaker.objects.exclude(opened_at=None).count() == 1
    assert served(acmes("strict")).state == "active"


def test_connections_of_the_instances_app_stop_together(acmes, vendor):
    fail_often(acmes("strict"), vendor)
    Breaker.objects.update(probed_at=Breaker.objects.get().opened_at)

    with pytest.raises(TryLater, match="Many accesses"):
        served(acmes("strict", label="Ben"))
