"""What is renewed ahead of its end, and what is left alone."""

import pytest
from django.utils import timezone

from credentials.models import Connection
from integrations.models import Provider
from integrations.runtime import grants
from navi.jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def due(acmes):
    connection = acmes("strict", left=60)
    Connection.objects.update(refresh_at=timezone.now())
    return connection


@pytest.fixture
def blocked(db):
    Provider.objects.update_or_create(slug="strict", defaults={"is_blocked": True})


@pytest.fixture
def archived(acme):
    acme.archive(at=timezone.now())


def test_what_is_due_is_renewed(due, vendor):
    grants.enqueue_due()
    grants.run_job(str(due.pk))

    assert (Job.objects.filter(kind="refresh").count(), vendor.refreshes) == (1, 1)


@pytest.mark.parametrize("standing", ["blocked", "archived"])
def test_nothing_is_asked_for_a_blocked_provider_or_an_archived_project(due, vendor, request, standing):
    request.getfixturevalue(standing)

    grants.run_job(str(due.pk))

    assert vendor.refreshes == 0


@pytest.mark.parametrize("standing", ["blocked", "archived"])
def test_what_may_not_be_asked_for_takes_nobodys_turn(due, request, standing):
    request.getfixturevalue(standing)

    grants.enqueue_due()

    assert not Job.objects.filter(kind="refresh").exists()
