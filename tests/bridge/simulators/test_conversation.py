from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.simulators.audio import Format, tone, tone_utterance
from bridge.simulators.conversation import (
    Conversation,
    Happening,
    HungUp,
    Interrupted,
    Said,
    Saying,
    SpeechStarted,
    SpeechStopped,
    State,
    StateChanged,
    ToolWanted,
    Words,
)
from bridge.simulators.mouth import AheadMouth
from bridge.simulators.part import After, Manners, Part

FORM = Format("s16le", 8000)
HELLO = tone_utterance(440, 200, "hello you")
FIRST = tone_utterance(550, 100, "first")
SECOND = tone_utterance(660, 100, "second")
PART = Part(greeting=HELLO, replies=(FIRST, SECOND), thinking_ms=50, caller_lines=("ask", "ask again"))
MANNERS = Manners(turn_endpoint_ms=100, minimum_turn_ms=60, minimum_interruption_ms=80)


class Phone:
    """Moves the time, feeds the caller's audio in frames of 20 ms, and keeps what happened except the sound."""

    def __init__(self, part: Part = PART, *, lead_ms: int = 20) -> None:
        self.talk = Conversation(part, MANNERS, FORM, AheadMouth(FORM, lead_ms), FORM)
        self.now = 100.0
        self.happened: list[Happening] = []
        self.sound_ms = 0
        self.take(self.talk.start(self.now))

    def take(self, happenings: list[Happening]) -> None:
        self.sound_ms += 20 * sum(isinstance(happening, bytes) for happening in happenings)
        self.happened += [happening for happening in happenings if not isinstance(happening, bytes)]

    def wait(self, duration_ms: float) -> None:
        end = self.now + duration_ms / 1000
        while (deadline := self.talk.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.take(self.talk.tick(self.now))
        self.now = end

    def speak(self, duration_ms: int, *, loud: bool = True) -> None:
        data = FORM.encode(tone(400, duration_ms)) if loud else bytes(16 * duration_ms)
        for start in range(0, len(data), 320):
            self.take(self.talk.hear(data[start : start + 320], self.now))
            self.wait(20)

    def ask(self) -> None:
        self.speak(100)
        self.speak(120, loud=False)

    def news(self) -> list[Happening]:
        happened, self.happened = self.happened, []
        return happened


def spoken(ordinal: int, *words: str) -> list[Happening]:
    """A whole turn of the agent that nobody disturbs."""
    told = [Words(ordinal, word, index == 0) for index, word in enumerate(words)]
    return [
        StateChanged(State.SPEAKING),
        SpeechStarted("agent"),
        *told,
        SpeechStopped("agent"),
        Said("agent", ordinal, "".join(words)),
    ]


def asked(ordinal: int, text: str) -> list[Happening]:
    return [
        SpeechStarted("user"),
        SpeechStopped("user"),
        Said("user", ordinal, text),
        StateChanged(State.THINKING),
    ]


LISTENING = StateChanged(State.LISTENING)


def test_a_whole_call() -> None:
    phone = Phone(replace(PART, after="hang-up"))
    phone.wait(300)
    assert phone.news() == [*spoken(0, "hello", " you"), LISTENING]
    phone.ask()
    phone.wait(200)
    assert phone.news() == [*asked(1, "ask"), *spoken(2, "first"), LISTENING]
    phone.ask()
    phone.wait(200)
    assert phone.news() == [*asked(3, "ask again"), *spoken(4, "second"), HungUp("agent")]
    assert phone.sound_ms == 400
    assert phone.talk.next_deadline() is None
    phone.ask()
    assert phone.news() == []


def test_the_caller_interrupts_and_only_what_he_heard_was_said() -> None:
    phone = Phone(lead_ms=1000)
    assert phone.sound_ms == 200  # all of it is out, but not heard
    phone.speak(90)
    assert phone.news() == [
        StateChanged(State.SPEAKING),
        SpeechStarted("agent"),
        Words(0, "hello", True),
        SpeechStarted("user"),
        Interrupted(),
        SpeechStopped("agent"),
        Said("agent", 0, "hello"),
        LISTENING,
    ]
    phone.speak(120, loud=False)
    phone.wait(200)
    assert phone.news() == [*asked(1, "ask")[1:], *spoken(2, "first"), LISTENING]


def test_a_short_sound_does_not_interrupt_and_is_no_turn() -> None:
    phone = Phone()
    phone.speak(50)
    phone.speak(150, loud=False)
    phone.wait(300)
    assert Interrupted() not in phone.happened
    assert [happening for happening in phone.happened if isinstance(happening, Said)] == [Said("agent", 0, "hello you")]


def test_whoever_talks_on_is_not_answered_yet() -> None:
    phone = Phone(replace(PART, greeting=None, thinking_ms=500))
    phone.ask()
    phone.speak(40)
    assert phone.news() == [LISTENING, *asked(0, "ask"), SpeechStarted("user"), LISTENING]
    phone.wait(1000)
    assert phone.sound_ms == 0
    phone.speak(60)
    phone.speak(120, loud=False)
    phone.wait(700)
    assert phone.news()[-1] == LISTENING
    assert phone.sound_ms == 100


@pytest.mark.parametrize(
    ("after", "turns", "said"),
    [("listen", 3, ["first", "second"]), ("repeat", 3, ["first", "second", "first"])],
)
def test_what_comes_after_the_last_reply(after: After, turns: int, said: list[str]) -> None:
    phone = Phone(replace(PART, greeting=None, after=after))
    for _ in range(turns):
        phone.ask()
        phone.wait(200)
    assert [turn.text for turn in phone.happened if isinstance(turn, Said) and turn.who == "agent"] == said
    assert phone.talk.state is State.LISTENING


def test_a_prompt_is_deaf_and_may_repeat() -> None:
    phone = Phone(Part(greeting=FIRST, after="repeat", listens=False))
    phone.speak(350)
    assert phone.happened.count(Said("agent", 0, "first")) == 1
    assert 340 <= phone.sound_ms <= 380
    assert [happening for happening in phone.happened if happening == SpeechStarted("user")] == []


def test_hanging_up_early_tells_all_words_first() -> None:
    phone = Phone(Part(greeting=HELLO, after="hang-up", hangs_up_early=True), lead_ms=1000)
    assert phone.news() == [
        StateChanged(State.SPEAKING),
        SpeechStarted("agent"),
        Words(0, "hello you", True),
        SpeechStopped("agent"),
        Said("agent", 0, "hello you"),
        HungUp("agent"),
    ]
    assert phone.sound_ms == 200


def using_a_tool() -> Phone:
    phone = Phone(replace(PART, greeting=None, tool_on_turn=1))
    phone.ask()
    assert phone.news() == [LISTENING, *asked(0, "ask"), ToolWanted(1)]
    phone.wait(300)
    assert phone.news() == []
    return phone


def test_a_tool_freezes_the_conversation_until_it_answers() -> None:
    phone = using_a_tool()
    phone.speak(100)
    assert phone.news() == [SpeechStarted("user")]
    phone.take(phone.talk.finish_tool(phone.now))
    phone.take(phone.talk.finish_tool(phone.now))
    assert phone.news()[:2] == spoken(1, "first")[:2]


def test_a_tool_that_never_answers_is_given_up() -> None:
    phone = using_a_tool()
    phone.wait(2400)
    assert phone.news() == [*spoken(1, "first"), LISTENING]


def test_a_tool_may_end_the_call_or_keep_the_agent_quiet() -> None:
    phone = using_a_tool()
    phone.take(phone.talk.finish_tool(phone.now, hang_up=True))
    assert phone.news() == [HungUp("agent")]
    phone = using_a_tool()
    phone.take(phone.talk.finish_tool(phone.now, reply=False))
    assert phone.news() == [LISTENING]


def test_words_from_outside_wait_their_turn_or_push_in() -> None:
    phone = Phone()
    phone.take(phone.talk.say(Saying(FIRST), phone.now))
    phone.wait(500)
    said = [turn.text for turn in phone.news() if isinstance(turn, Said)]
    assert said == ["hello you", "first"]
    phone = Phone()
    phone.take(phone.talk.say(Saying(FIRST, last=True), phone.now, interrupt=True))
    phone.wait(500)
    assert phone.news()[3:] == [
        Interrupted(),
        SpeechStopped("agent"),
        Said("agent", 0, "hello"),
        LISTENING,
        *spoken(1, "first"),
        HungUp("agent"),
    ]


def test_who_is_not_to_be_interrupted_is_not() -> None:
    phone = Phone(replace(PART, greeting=None))
    phone.take(phone.talk.say(Saying(HELLO, interruptible=False), phone.now))
    phone.speak(150)
    phone.wait(200)
    assert Interrupted() not in phone.happened
    assert Said("agent", 0, "hello you") in phone.happened


def test_a_written_turn_is_answered() -> None:
    phone = Phone(replace(PART, greeting=None))
    phone.take(phone.talk.ask(phone.now, interrupt=False))
    phone.wait(200)
    assert phone.news() == [LISTENING, StateChanged(State.THINKING), *spoken(0, "first"), LISTENING]


def test_the_end_may_have_a_last_word() -> None:
    phone = Phone()
    phone.take(phone.talk.end("timeout", FIRST, phone.now))
    phone.wait(300)
    assert phone.news()[-2:] == [Said("agent", 1, "first"), HungUp("timeout")]
    phone = Phone()
    phone.take(phone.talk.end("agent", None, phone.now))
    phone.take(phone.talk.end("agent", None, phone.now))
    assert phone.news()[-1] == HungUp("agent")
    assert phone.talk.state is State.ENDED


def test_asking_for_silence_when_there_is_silence_is_nothing() -> None:
    phone = Phone(replace(PART, greeting=None))
    phone.news()
    phone.take(phone.talk.interrupt())
    assert phone.news() == []
