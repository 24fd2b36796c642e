from django.apps import AppConfig
from django.db.models.signals import post_migrate


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations.runtime import install, tasks

        tasks.register_all()
        post_migrate.connect(install.sync_providers, sender=self)
