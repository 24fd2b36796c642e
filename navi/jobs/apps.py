from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    name = "navi.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from navi.jobs.schedules import after_migrate

        post_migrate.connect(after_migrate, sender=self)
