"""What the REST interface of Ultravox accepts, field by field (schemas StartCallRequest and StartAgentCallRequest)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from bridge.simulators.rest import BadRequest, without_nulls

Duration = Annotated[str, msgspec.Meta(pattern=r"^-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?s$")]
"In the JSON form of protocol buffers: `30s`, `0.48s`."

SampleRate = Annotated[int, msgspec.Meta(ge=8000, le=192_000)]
"Which rates the service takes is undocumented; 8000 to 48000 are in use."


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whether the real service refuses unknown keys is undocumented; a typing mistake must not pass unseen here."""


class DataMessages(Body, frozen=True):
    """Which messages are sent on the socket, with the defaults of this medium."""

    pong: bool = True
    state: bool = True
    transcript: bool = True
    client_tool_invocation: bool = True
    data_connection_tool_invocation: bool = False
    playback_clear_buffer: bool = True
    call_started: bool = True
    debug: bool = False
    call_event: bool = False
    tool_used: bool = False
    invoking_tool: bool = False
    user_started_speaking: bool = False
    user_stopped_speaking: bool = False


class ServerWebSocket(Body, frozen=True):
    input_sample_rate: SampleRate
    output_sample_rate: SampleRate | None = None
    "None: as the input."
    client_buffer_size_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 60
    data_messages: DataMessages = DataMessages()
    media_idle_timeout: Duration | None = None


class Medium(Body, frozen=True):
    """Exactly one of them. All are known, one is simulated."""

    server_web_socket: ServerWebSocket | None = None
    web_rtc: dict[str, Any] | None = None
    twilio: dict[str, Any] | None = None
    telnyx: dict[str, Any] | None = None
    plivo: dict[str, Any] | None = None
    exotel: dict[str, Any] | None = None
    sip: dict[str, Any] | None = None


class VadSettings(Body, frozen=True):
    turn_endpoint_delay: Duration = "0.384s"
    minimum_turn_duration: Duration = "0s"
    minimum_interruption_duration: Duration = "0.09s"
    frame_activation_threshold: Annotated[float, msgspec.Meta(ge=0.1, le=1)] = 0.1


class AgentSpeaksFirst(Body, frozen=True):
    text: str = ""
    prompt: str = ""
    delay: Duration = "0s"
    uninterruptible: bool = False


class FirstSpeakerSettings(Body, frozen=True):
    agent: AgentSpeaksFirst | None = None
    user: dict[str, Any] | None = None


class Callback(Body, frozen=True):
    url: Annotated[str, msgspec.Meta(max_length=200)]
    secrets: tuple[Annotated[str, msgspec.Meta(max_length=120)], ...] = ()

    def __repr__(self) -> str:  # both fields are credentials
        return "<Callback>"


class Callbacks(Body, frozen=True):
    joined: Callback | None = None
    ended: Callback | None = None
    billed: Callback | None = None


class CallRequest(Body, frozen=True):
    """What both ways to create a call have in common."""

    medium: Medium = Medium()
    metadata: dict[str, str] = {}
    voice: str = ""
    voice_overrides: dict[str, Any] = {}
    join_timeout: Duration = "30s"
    max_duration: Duration = "3600s"
    recording_enabled: bool = False
    initial_output_medium: Literal["MESSAGE_MEDIUM_VOICE", "MESSAGE_MEDIUM_TEXT"] = "MESSAGE_MEDIUM_VOICE"
    first_speaker_settings: FirstSpeakerSettings = FirstSpeakerSettings()
    initial_messages: list[dict[str, Any]] = []
    data_connection: dict[str, Any] = {}
    callbacks: Callbacks = Callbacks()
    shared_secrets: tuple[Annotated[str, msgspec.Meta(min_length=16, max_length=127)], ...] = ()
    retention_policy: Literal["CALL_RETENTION_POLICY_RETAIN", "CALL_RETENTION_POLICY_AUTO_DELETE"] | None = None
    experimental_settings: dict[str, Any] = {}

    @property
    def socket(self) -> ServerWebSocket:
        assert self.medium.server_web_socket is not None, "read() has let a request without our medium pass"
        return self.medium.server_web_socket


class AgentCallRequest(CallRequest, frozen=True):
    """`POST /api/agents/{agent_id}/calls`: prompt, model and turn-taking are the agent's."""

    template_context: dict[str, Any] = {}
    tool_overrides: dict[str, Any] = {}


class DirectCallRequest(CallRequest, frozen=True):
    """`POST /api/calls`: the agent is described in the call itself."""

    system_prompt: str = ""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    model: str = "ultravox-v0.7"
    external_voice: dict[str, Any] | None = None
    language_hint: Annotated[str, msgspec.Meta(max_length=16)] = ""
    selected_tools: list[dict[str, Any]] = []
    vad_settings: VadSettings = VadSettings()
    time_exceeded_message: str = ""
    inactivity_messages: list[dict[str, Any]] = []
    initial_state: dict[str, Any] = {}
    transcript_optional: bool = False
    first_speaker: Literal["FIRST_SPEAKER_AGENT", "FIRST_SPEAKER_USER"] | None = None


Kind = TypeVar("Kind", bound=CallRequest)


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def milliseconds(duration: str) -> int:
    return round(seconds(duration) * 1000)


def read(body: dict[str, Any], kind: type[Kind]) -> Kind:
    """Raises BadRequest, in the words of whoever made the mistake."""
    # An empty object is a choice of medium, so nulls go first and the count comes after.
    body = without_nulls(body)
    try:
        request = msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    media = body.get("medium", {"webRtc": {}})
    if len(media) != 1:
        raise BadRequest(f"medium must have exactly one kind, it has {len(media)}")
    if request.medium.server_web_socket is None:
        raise BadRequest("this simulator speaks medium.serverWebSocket only")
    if any(key.startswith("ultravox.") for key in request.metadata):
        raise BadRequest("metadata keys must not start with ultravox.")
    if isinstance(request, DirectCallRequest) and request.voice and request.external_voice:
        raise BadRequest("voice and externalVoice exclude each other")
    return request
