"""Ultravox, hosted at api.ultravox.ai: REST, and the `serverWebSocket` medium.

Written from docs.ultravox.ai, the vendor's OpenAPI schema and the behaviour of clients that are known to work with the
real service. What none of these settles is marked `undocumented` where it stands.
"""
