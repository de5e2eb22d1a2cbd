"""What is wrong with routes: names that are nowhere, patterns that are none, routes that no call ever reaches."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.config.parts import Found
from bridge.config.sections import Config, PlatformSection, RouteSection
from bridge.config.toml_lines import Path as Key
from bridge.config.toml_reader import nearest


def check_routes(config: Config) -> Found:
    trunks = {trunk.name for trunk in config.trunks}
    regions = {trunk.region for trunk in config.trunks if trunk.region}
    earlier: list[RouteSection] = []
    for place, route in enumerate(config.routes):
        path: Key = ("routes", place)
        yield from check_platform_names((*path, "platforms"), route.platforms, config.platforms)
        yield from _check_names((*path, "trunks"), route.trunks, trunks, "no trunk is called")
        yield from _check_names((*path, "regions"), route.regions, regions, "no trunk is of the region")
        if route.numbers and route.number != "*":
            yield (*path, "numbers"), "is there beside number: which one counts?"
        key = "numbers" if route.numbers else "number"
        problems = [problem for entry in entries(route) for problem in _entry_problems(entry)]
        yield from (((*path, key), problem) for problem in problems)
        if not problems and (entry := _unreached(route, earlier)):
            yield (*path, key), f"`{entry}` is never reached: a route above takes these numbers"
        earlier.append(route)


def check_platform_names(path: Key, names: Iterable[str], platforms: Iterable[PlatformSection]) -> Found:
    yield from _check_names(path, names, {platform.name for platform in platforms}, "no platform is called")


def _check_names(path: Key, names: Iterable[str], known: Iterable[str], complaint: str) -> Found:
    for name in names:
        if name not in known:
            yield path, f"{complaint} `{name}`{nearest(name, known)}"


def entries(route: RouteSection) -> tuple[str, ...]:
    return route.numbers or (route.number,)


def _entry_problems(entry: str) -> list[str]:
    if entry.startswith("~"):
        try:
            re.compile(entry[1:])
        except re.error as error:
            return [f"`{entry}` is no regular expression: {error}"]
        return []
    if "*" in entry[:-1] or not entry:
        return ["must be a number, or its beginning and one `*`"]
    return []


def _unreached(route: RouteSection, earlier: Iterable[RouteSection]) -> str:
    """The first entry that routes above leave nothing of; empty when there is none."""
    above = [entry for one in earlier if _takes_calls_of(one, route) for entry in entries(one)]
    return next((entry for entry in entries(route) if any(_covers(one, entry) for one in above)), "")


def _takes_calls_of(above: RouteSection, below: RouteSection) -> bool:
    """Whatever trunk a call for `below` comes over, `above` would look at it too."""
    return all(
        not wide or (narrow and set(narrow) <= set(wide))
        for wide, narrow in ((above.trunks, below.trunks), (above.regions, below.regions))
    )


def _covers(above: str, below: str) -> bool:
    if above.startswith("~") or below.startswith("~"):
        return above in ("*", below)
    return below.startswith(above[:-1]) if above.endswith("*") else above == below
