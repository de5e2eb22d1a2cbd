from __future__ import annotations

import pytest

from media.far import FarHappening, Flush, Heard, Mark, Ready, State, ToolCalled, Transcript
from media.moments import moment_of
from media.wire import Moment


@pytest.mark.parametrize(
    ("happening", "moment"),
    [
        (
            Transcript("agent", "Hi", final=False, whole=False),
            Moment(kind="transcript", at_s=7.0, who="agent", text="Hi", final=False, data={"whole": False}),
        ),
        (State("thinking"), Moment(kind="state", at_s=7.0, who="agent", text="thinking")),
        (
            ToolCalled("lookup", "t1", {"a": 1}),
            Moment(kind="tool", at_s=7.0, who="agent", text="lookup", data={"id": "t1", "arguments": {"a": 1}}),
        ),
        (Heard("play hello there"), Moment(kind="play", at_s=7.0, text="hello there")),
        (Heard("speech-started"), Moment(kind="speech-started", at_s=7.0, who="far")),
        (Heard("speech-ended"), Moment(kind="speech-ended", at_s=7.0, who="far")),
        (Ready(), None),
        (Flush(), None),
        (Mark("m"), None),
    ],
)
def test_what_is_noted(happening: FarHappening, moment: Moment | None) -> None:
    assert moment_of(happening, 7.0) == moment
