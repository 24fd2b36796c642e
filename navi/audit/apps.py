from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "navi.audit"
    label = "audit"
    verbose_name = "Audit"
