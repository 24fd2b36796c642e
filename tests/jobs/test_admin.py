import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import RequestFactory
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success

from navi.jobs.admin import JobAdmin
from navi.jobs.models import Heartbeat, Job, State


@pytest.mark.parametrize("model", [Failure, OrmQ, Schedule, Success])
def test_django_q_has_no_page(model):
    assert not admin.site.is_registered(model)


@pytest.mark.parametrize("model", [Job, Heartbeat])
def test_jobs_and_heartbeats_are_only_read(model, operators_request):
    page = admin.site.get_model_admin(model)

    assert page.has_view_permission(operators_request)
    assert not page.has_add_permission(operators_request)
    assert not page.has_change_permission(operators_request)
    assert not page.has_delete_permission(operators_request)


@pytest.mark.django_db
def test_an_operator_runs_dead_letters_again(operators_request, said):
    dead = Job.objects.create(kind="sync", state=State.DEAD, attempts=3, finished_at=timezone.now())
    Job.objects.create(kind="sync", object_id="fine", state=State.DONE)

    JobAdmin(Job, admin.site).run_again(operators_request, Job.objects.all())

    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (State.QUEUED, 0)
    assert LogEntry.objects.get().object_id == str(dead.pk)
    assert said == [
        "1 queued again.",
        "1 left as they are: only dead letters run again, where the same work does not wait yet.",
    ]


@pytest.mark.django_db
def test_staff_without_the_right_is_not_offered_to_run_again(staff_request):
    assert "run_again" not in JobAdmin(Job, admin.site).get_actions(staff_request)


@pytest.mark.django_db
def test_the_pages_open(client, olga):
    Job.objects.create(kind="sync", object_id="todoist", last_error="RuntimeError in sync.py:41")
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")

    page = client.get("/admin/jobs/job/?q=todoist")

    assert page.status_code == 200
    assert "RuntimeError in sync.py:41" in page.text


@pytest.fixture
def operators_request(olga):
    request = RequestFactory().get("/admin/")
    request.user = olga
    return request


@pytest.fixture
def staff_request(person):
    request = RequestFactory().get("/admin/")
    request.user = person("Sam", is_staff=True)
    return request


@pytest.fixture
def said(monkeypatch):
    """What the page tells the operator."""
    sentences = []
    monkeypatch.setattr(
        "navi.jobs.admin.JobAdmin.message_user",
        lambda page, request, sentence, level=None: sentences.append(sentence),
    )
    return sentences
