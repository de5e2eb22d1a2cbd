"""What a request brings with it: JSON of one type, or an answer that names the field at fault."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from starlette.requests import Request

from bridge.web.answers import Refused

MOST_BYTES = 65536
"Of a request's body."
WHERE = re.compile(r"(?:`\$\.?|field `)([A-Za-z_]+)")
"The name of the field in a sentence of msgspec's."

T = TypeVar("T")


async def decoded(request: Request, kind: type[T]) -> T:
    """Raises Refused for what is no JSON, by its label, its length or its text, and for what is not of this kind.

    A web page that the operator's browser shows can send anything to this machine, but not under this label unasked
    (Fetch, CORS-safelisted request-header): so no page places calls.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "content-type must be application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(413, f"a request has at most {MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        text, found = str(error), WHERE.search(str(error))
        raise Refused(400, text.partition(" - at ")[0], field=found[1] if found else "") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from None
