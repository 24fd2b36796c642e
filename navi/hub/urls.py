"""The door for people. Each family of pages names its own routes."""

from django.urls import include, path

app_name = "hub"
urlpatterns = [
    path("", include("navi.hub.people_urls")),
    path("", include("navi.hub.integrations_urls")),
    path("", include("navi.hub.help_urls")),
]
