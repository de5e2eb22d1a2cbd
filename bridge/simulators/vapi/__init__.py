"""VAPI, hosted at api.vapi.ai: REST, and the `vapi.websocket` transport.

Written from docs.vapi.ai, the published OpenAPI schema and reports of live calls. What none of these settles is marked
`undocumented` where it stands.
"""
