from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "navi.projects"
    label = "projects"
    verbose_name = "People and projects"

    def ready(self) -> None:
        from navi.projects import receivers

        receivers.connect()
