"""Holds what we send against VAPI's official SDK. Run by an interpreter that has `vapi-server-sdk`, not imported.

A JSON list of [model's name, JSON value] comes in on stdin, a list of problems for each goes out. The SDK's own
validation lets unknown properties and values outside an enum pass, both of which the service refuses with 400; so
after it the model is walked once more, strictly.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin


def problems(annotation: Any, value: Any, path: str) -> Iterator[str]:
    """What a strict reader of the model would refuse."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from problems(get_args(annotation)[0], value, path)
    elif origin is Union:
        yield from _union(get_args(annotation), value, path)
    elif origin is list and isinstance(value, list):
        for place, item in enumerate(value):
            yield from problems(get_args(annotation)[0], item, f"{path}[{place}]")
    elif origin is Literal and value not in get_args(annotation):
        yield f"{path}: {value!r} is not among {get_args(annotation)}"
    elif hasattr(annotation, "model_fields") and isinstance(value, dict):
        yield from _model(annotation, value, path)


def _union(choices: tuple[Any, ...], value: Any, path: str) -> Iterator[str]:
    named = [choice for choice in choices if get_origin(choice) is Literal]
    if named:  # an enum is `Literal[...] | Any` in this SDK: keep it to the letter
        choices = tuple(named)
    found = [list(problems(choice, value, path)) for choice in choices if choice is not type(None)]
    yield from min(found, key=len)


def _model(model: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, item in value.items():
        if key in fields:
            yield from problems(fields[key].annotation, item, f"{path}.{key}")
        else:
            yield f"{path}: property {key} should not exist"


def check(name: str, body: Any) -> list[str]:
    pydantic = importlib.import_module("pydantic")
    model = getattr(importlib.import_module("vapi.types"), name)
    try:
        model.model_validate(body)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return list(problems(model, body, name))


if __name__ == "__main__":
    json.dump([check(name, body) for name, body in json.load(sys.stdin)], sys.stdout)
