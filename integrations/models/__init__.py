"""What the house remembers about integrations. A vendor's facts stay in its plugin."""

from integrations.models.health import HealthCheck, IntegrationStatus, Milestone
from integrations.models.inbound import Delivery, WebhookEndpoint
from integrations.models.notices import CALM_AFTER, Illness, NoticeDelivery, NoticeSettings
from integrations.models.providers import CustomProvider, IntegrationDefault, PluginSettings, Provider
from integrations.models.records import Discovered, Record, RecordClock, SyncState
from integrations.models.runs import ActionRule, ActionRun, Approval, Effect

__all__ = [
    "CALM_AFTER", "ActionRule", "ActionRun", "Approval", "CustomProvider", "Delivery", "Discovered", "Effect", "HealthCheck",
    "Illness", "IntegrationDefault", "IntegrationStatus", "Milestone", "NoticeDelivery", "NoticeSettings",
    "PluginSettings", "Provider", "Record", "RecordClock", "SyncState", "WebhookEndpoint",
]  # fmt: skip
