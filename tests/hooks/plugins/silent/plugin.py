"""A vendor of our own for tests that calls nobody."""

from integrations.sdk import ApiKey, Bearer, Field, Plugin

plugin = Plugin(
    slug="silent",
    name="Silent",
    base_url="https://api.silent.example",
    auth=ApiKey(fields=(Field("apiKey", "API key"),), sent_as=Bearer("apiKey")),
)
