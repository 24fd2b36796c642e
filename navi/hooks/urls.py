"""One address for all vendors; the endpoint's key is the last part of it."""

from django.urls import path

from navi.hooks import views

app_name = "hooks"

urlpatterns = [path("<str:key>", views.hook, name="hook")]
