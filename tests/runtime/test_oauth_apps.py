"""The apps that Navi is at vendors'."""

import pytest

from credentials.models import OAuthApp
from integrations import registry
from integrations.runtime import oauth_apps
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.rights import actor_for


def test_of_two_admins_who_save_an_app_at_once_the_second_is_told(acme, alice, adam, monkeypatch):
    github = registry.entry("github", acme.pk)
    oauth_apps.save(
        github, acme, client_id="alices", client_secret="of the app", actor=actor_for(alice, acme)
    )
    monkeypatch.setattr(oauth_apps, "own", lambda entry, project: None)  # Adam looked before Alice had saved

    with pytest.raises(Problem) as told:
        oauth_apps.save(
            github, acme, client_id="adams", client_secret="of the app", actor=actor_for(adam, acme)
        )

    assert told.value.code == "conflict"
    assert OAuthApp.objects.get().client_id == "alices"
    assert AuditEvent.objects.filter(event__startswith="oauth_app").count() == 1
