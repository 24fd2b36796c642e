from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "navi.hub"
    label = "hub"
