"""The bodies that agents send: checked before anything happens, described in the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

SCOPES = ("project", "user", "global")


class StrictBoolean(serializers.BooleanField):
    """True and false, not "yes" or 1."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class StrictText(serializers.CharField):
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be text")
        return super().to_internal_value(data)


class Strict(serializers.Serializer[Any]):
    """Every field is known; another one is named in the refusal."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "is not known here"))
        return super().to_internal_value(data)


class Body(Strict):
    projectId = StrictText(required=False, help_text="Optional; only the token's own project.")


def scope_field() -> serializers.ChoiceField:
    words = "`project`, or `user` (`global` means the same): all projects of the token's owner."
    return serializers.ChoiceField(choices=SCOPES, required=False, default="project", help_text=words)


class SaveCredentials(Body):
    credentials = serializers.DictField(child=StrictText(max_length=20_000, trim_whitespace=False))
    scope = scope_field()
    label = StrictText(required=False, default="", max_length=160, allow_blank=True)  # type: ignore[assignment]
    makeDefault = StrictBoolean(required=False, default=False)
    connection = StrictText(required=False, default=None, allow_null=True, help_text="Reconnect this one.")


class DeleteCredentials(Body):
    scope = scope_field()
    connection = StrictText(required=False, default=None, allow_null=True)


class TestCredentials(Body):
    connection = StrictText(required=False, default=None, allow_null=True)


class AskToConnect(Body):
    scope = scope_field()
    scopes = serializers.ListField(
        child=StrictText(max_length=200), required=False, default=list, max_length=50
    )
    connection = StrictText(required=False, default=None, allow_null=True)


def plugin_field() -> StrictText:
    words = "One plugin inside the provider, such as google-drive; without it, the provider as a whole."
    return StrictText(required=False, default="", allow_blank=True, max_length=60, help_text=words)


class AskForSync(Body):
    kinds = serializers.ListField(
        child=StrictText(max_length=60), required=False, default=list, max_length=50
    )
    part = StrictText(required=False, default=None, allow_null=True, allow_blank=True, max_length=300)
    connection = StrictText(required=False, default=None, allow_null=True, max_length=160)
    full = StrictBoolean(
        required=False, default=False, help_text="Read everything again, from the beginning."
    )


class Scoped(Body):
    scope = scope_field()
    plugin = plugin_field()


class ChangeToggles(Body):
    scope = scope_field()
    plugin = plugin_field()
    mcpEnabled = StrictBoolean(required=False, allow_null=True)
    skillEnabled = StrictBoolean(required=False, allow_null=True)


CUSTOM_NAMES = {
    "baseUrl": "base_url", "sentAs": "sent_as", "sentName": "sent_name", "sentPrefix": "sent_prefix",
    "healthPath": "health_path", "expectedStatus": "expected_status", "keyHelpUrl": "key_help_url",
    "authorizeUrl": "authorize_url", "tokenUrl": "token_url", "revokeUrl": "revoke_url", "scopes": "oauth_scopes",
    "clientAuth": "client_auth",
}  # fmt: skip


class CustomProviderBody(Body):
    name = StrictText(max_length=80)
    description = StrictText(required=False, allow_blank=True, max_length=200)
    baseUrl = StrictText(max_length=500)
    sentAs = StrictText(required=False, help_text="bearer, header, basic, query or oauth")
    sentName = StrictText(required=False, allow_blank=True, max_length=80)
    sentPrefix = StrictText(required=False, allow_blank=True, max_length=40, trim_whitespace=False)
    healthPath = StrictText(required=False, allow_blank=True, max_length=300)
    expectedStatus = serializers.IntegerField(required=False, min_value=100, max_value=599)
    keyHelpUrl = StrictText(required=False, allow_blank=True, max_length=500)
    authorizeUrl = StrictText(required=False, allow_blank=True, max_length=500)
    tokenUrl = StrictText(required=False, allow_blank=True, max_length=500)
    revokeUrl = StrictText(required=False, allow_blank=True, max_length=500)
    scopes = StrictText(required=False, allow_blank=True, max_length=500, help_text="With spaces between.")
    clientAuth = StrictText(required=False, help_text="body, basic or none")

    def model_values(self) -> dict[str, Any]:
        """The values under the model's names."""
        values = {key: value for key, value in self.validated_data.items() if key != "projectId"}
        return {CUSTOM_NAMES.get(key, key): value for key, value in values.items()}


class CliLogin(Body):
    ok = StrictBoolean(help_text="Whether the command is signed in on the agent's machine.")
    account = StrictText(required=False, allow_blank=True, default="", max_length=100)


class NewWebhook(Body):
    plugin = StrictText(max_length=60)
    connection = StrictText(
        required=False, default=None, allow_null=True, help_text="Id or label; else the project's default."
    )
    resource = StrictText(
        required=False, default="", allow_blank=True, max_length=300, trim_whitespace=False,
        help_text="What it is for, where the plugin's webhook names a resource: an id from its discovery.",
    )  # fmt: skip
    scheme = StrictText(
        required=False, default="", allow_blank=True, max_length=30, help_text="How a custom provider signs."
    )
    label = StrictText(required=False, default="", allow_blank=True, max_length=160)  # type: ignore[assignment]
    secret = StrictText(
        required=False, default="", allow_blank=True, max_length=500, help_text="Where the vendor made it."
    )
    byHand = StrictBoolean(
        required=False, default=False, help_text="A person enters the address at the vendor."
    )


class RotateWebhook(Body):
    overlapHours = serializers.IntegerField(required=False, default=24, min_value=0, max_value=168)
    secret = StrictText(required=False, default="", allow_blank=True, max_length=500)


class Need(Strict):
    provider = StrictText(max_length=60)
    scopes = serializers.ListField(child=StrictText(max_length=200), required=False, default=list)
    actions = serializers.ListField(child=StrictText(max_length=120), required=False, default=list)


class Preflight(Body):
    needs = serializers.ListField(child=Need(), allow_empty=False, max_length=50)

    def get_fields(self) -> Any:
        fields = super().get_fields()
        fields["for"] = serializers.IntegerField(
            required=False, default=3600, min_value=0, max_value=7 * 86400
        )
        return fields
