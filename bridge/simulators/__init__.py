"""Simulators of hosted voice platforms: their REST interface and their media socket, on loopback or in a fleet test.

They are products of their own, not mocks: they speak the vendors' wire protocols from the outside, know nothing of
`bridge.platforms`, and third-party clients of the vendors run against them in tests/interop.

    audio          sound as the platform keeps it: clips, tones, hums, mu-law
    failures       what shall go wrong, as one value
    hearing        the ear: is the caller talking; the clock of what he sends
    mouth          the pace at which a platform sends its voice
    conversation   the agent: greets, listens, answers, is interrupted (pure: no socket, no clock)
    calls          what the platform remembers of a call
    sockets        the media port: the only file that touches WebSockets
    webhooks       signed deliveries with retries
    rest           the pieces that both REST interfaces share
    telling        happenings of a conversation in the words of a vendor
    twilio/        messages, session, service: an agent, not a vendor; it has no REST interface
    ultravox/      requests, session, service
    vapi/          requests, session, service
    simulator      puts one service together and starts it
"""
