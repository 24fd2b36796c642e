"""An admin with nothing but the audit in it."""

from django.contrib.admin import AdminSite
from django.urls import path

from navi.audit import admin
from navi.audit.models import AuditBatch, AuditCheckpoint, AuditEvent

site = AdminSite()
site.register(AuditEvent, admin.AuditEventAdmin)
site.register(AuditBatch, admin.AuditBatchAdmin)
site.register(AuditCheckpoint, admin.AuditCheckpointAdmin)
urlpatterns = [path("admin/", site.urls)]
