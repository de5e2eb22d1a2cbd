"""One bridge for all tests of a file: starting it takes a second, and what a call leaves behind the next one would see.

Every test begins with platforms that are well, and ends with a bridge that has given everything back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.helpers.rig import Rig, rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("bridge")) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def bridge(house: Rig) -> AsyncIterator[Rig]:
    house.well()
    yield house
    await house.settled()
