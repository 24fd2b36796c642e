from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "navi.api"
    label = "api"

    def ready(self) -> None:
        from navi.api import openapi  # noqa: F401 - registers how tokens are described
