"""What a far end tells that is only to be noted: a happening as a moment of the call's record."""

from __future__ import annotations

from media import wire
from media.far import FarHappening, Heard, State, ToolCalled, Transcript


def moment_of(happening: FarHappening, at_s: float) -> wire.Moment | None:
    """None: it is no news to anybody but the call itself."""
    match happening:
        case Transcript(who=who, text=text, final=final, whole=whole):
            return wire.Moment(kind="transcript", at_s=at_s, who=who, text=text, final=final, data={"whole": whole})
        case State(name=name):
            return wire.Moment(kind="state", at_s=at_s, who="agent", text=name)
        case ToolCalled(name=name, call_id=call_id, arguments=arguments):
            data = {"id": call_id, "arguments": arguments}
            return wire.Moment(kind="tool", at_s=at_s, who="agent", text=name, data=data)
        case Heard(kind=kind):
            return _heard(kind, at_s)
    return None


def _heard(kind: str, at_s: float) -> wire.Moment:
    match kind.split(" ", 1):
        case ["play", name]:
            return wire.Moment(kind="play", at_s=at_s, text=name)
        case ["speech-started"]:
            return wire.Moment(kind="speech-started", at_s=at_s, who="far")
        case _:
            return wire.Moment(kind="speech-ended", at_s=at_s, who="far")
