"""What `POST /call` of VAPI accepts (schema CreateCallDTO), as far as the `vapi.websocket` transport goes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from bridge.simulators.audio import Encoding, Format
from bridge.simulators.rest import BadRequest, without_nulls

DEFAULT_RATE_HZ = 16000

ENCODINGS: dict[str, Encoding] = {"pcm_s16le": "s16le", "mulaw": "mulaw"}

WHO_ANSWERS = ("assistant_id", "assistant", "squad_id", "squad", "workflow_id", "workflow")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unknown properties are refused, as the real service does."""


class AudioFormat(Body, frozen=True):
    format: Literal["pcm_s16le", "mulaw"]
    sample_rate: Annotated[float, msgspec.Meta(ge=0, le=192_000)]
    "A number in the schema: clients send 8000 or 8000.0."
    container: Literal["raw"] = "raw"


class Transport(Body, frozen=True):
    provider: Literal["vapi.websocket"]
    "The schema knows more; this simulator speaks this one."
    conversation_type: Literal["voice"] = "voice"
    audio_format: AudioFormat = AudioFormat(format="pcm_s16le", sample_rate=DEFAULT_RATE_HZ)


class Server(Body, frozen=True):
    """Where events go over HTTPS."""

    url: str = ""
    timeout_seconds: Annotated[float, msgspec.Meta(ge=1, le=300)] = 20
    secret: str = ""
    "No longer in the schema, still honoured by the service."
    credential_id: str = ""
    headers: dict[str, str] = {}
    static_ip_addresses_enabled: bool = False
    encrypted_paths: list[str] = []
    backoff_plan: dict[str, Any] = {}

    def __repr__(self) -> str:  # URL, secret and headers are credentials
        return "<Server>"


class StartSpeakingPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    wait_seconds: float = 0.4


class StopSpeakingPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    voice_seconds: float = 0.2


class Assistant(Body, frozen=True):
    """An assistant in the request itself. What is not typed is stored and not played."""

    name: Annotated[str, msgspec.Meta(max_length=40)] = ""
    first_message: str = ""
    first_message_interruptions_enabled: bool = False
    first_message_mode: str = "assistant-speaks-first"
    max_duration_seconds: Annotated[float, msgspec.Meta(ge=10, le=43200)] = 600
    silence_timeout_seconds: Annotated[float, msgspec.Meta(ge=5, le=3600)] = 30
    "In the documentation, which gives no default, and not in the schema."
    client_messages: tuple[str, ...] | None = None
    server_messages: tuple[str, ...] | None = None
    server: Server = Server()
    metadata: dict[str, Any] = {}
    start_speaking_plan: StartSpeakingPlan = StartSpeakingPlan()
    stop_speaking_plan: StopSpeakingPlan = StopSpeakingPlan()
    transcriber: Any = None
    model: Any = None
    voice: Any = None
    voicemail_detection: Any = None
    voicemail_message: str = ""
    end_call_message: str = ""
    end_call_phrases: list[str] = []
    background_sound: Any = None
    model_output_in_messages_enabled: bool = False
    transport_configurations: Any = None
    observability_plan: Any = None
    credentials: Any = None
    credential_ids: list[str] = []
    hooks: Any = None
    compliance_plan: Any = None
    background_speech_denoising_plan: Any = None
    analysis_plan: Any = None
    artifact_plan: Any = None
    monitor_plan: Any = None
    keypad_input_plan: Any = None


class AssistantOverrides(Assistant, frozen=True):
    variable_values: dict[str, Any] = {}
    tools_append: Any = msgspec.field(name="tools:append", default=None)


class CallRequest(Body, frozen=True):
    transport: Transport
    name: Annotated[str, msgspec.Meta(max_length=40)] = ""
    assistant_id: str = ""
    assistant_version: Any = None
    assistant: Assistant | None = None
    assistant_overrides: AssistantOverrides = AssistantOverrides()
    squad_id: str = ""
    squad_version: Any = None
    squad: Any = None
    squad_overrides: Any = None
    workflow_id: str = ""
    workflow: Any = None
    workflow_overrides: Any = None
    customer: dict[str, Any] = {}
    customer_id: str = ""
    customers: Any = None
    schedule_plan: Any = None
    phone_number: Any = None
    phone_number_id: str = ""

    @property
    def form(self) -> Format:
        wanted = self.transport.audio_format
        return Format(ENCODINGS[wanted.format], int(wanted.sample_rate))


def settings(body: dict[str, Any]) -> AssistantOverrides:
    """The assistant as it is in force: what the request describes, then what it overrides."""
    merged = body.get("assistant", {}) | body.get("assistantOverrides", {})
    return msgspec.convert(merged, AssistantOverrides)


def read(body: dict[str, Any]) -> tuple[CallRequest, AssistantOverrides]:
    """Raises BadRequest in the service's own words where they are known."""
    body = without_nulls(body)
    try:
        request, assistant = msgspec.convert(body, CallRequest), settings(body)
    except msgspec.ValidationError as error:
        raise BadRequest(in_their_words(str(error))) from None
    if sum(bool(getattr(request, field)) for field in WHO_ANSWERS) != 1:
        raise BadRequest("Need exactly one of assistantId, assistant, squadId, squad, workflowId, workflow")
    if request.phone_number_id or request.phone_number:
        raise BadRequest("phoneNumber and phoneNumberId do not go with this transport")
    rate_hz = request.transport.audio_format.sample_rate
    if rate_hz < 1000 or rate_hz % 50:
        raise BadRequest("this simulator needs a sampleRate with a whole number of samples in 20 ms")
    return request, assistant


_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")


def in_their_words(error: str) -> str:
    """`property foo should not exist`, with the path before it when it is nested."""
    if found := _UNKNOWN_FIELD.fullmatch(error):
        path = f"{found['path']}." if found["path"] else ""
        return f"{path}property {found['name']} should not exist"
    return error
