"""An agent server that speaks Twilio Media Streams, as one who serves telephone calls behind `<Connect><Stream>` does.

There is no vendor and no REST interface: whoever opens the media socket has begun a call.
"""
