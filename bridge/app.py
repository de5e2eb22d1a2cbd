"""Builds the bridge from its settings, starts it and stops it. The only file that knows all the rooms.

Started from the bottom up (workers before the line, so that no call comes before it can be carried), stopped from the
top down: new calls refused, calls that stand hung up and recorded, then the line, the workers, the platforms.

SIGHUP and `POST /v1/reload` read the file again (`bridge.reload`): calls that stand do not notice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.types import ASGIApp

from bridge import logs
from bridge.calls.desk import Desk
from bridge.calls.lines import SipLine
from bridge.calls.operator import Operator
from bridge.calls.reception import Reception
from bridge.calls.words import LineLost
from bridge.calls.workers import WorkerPool
from bridge.config import Config, PlatformSection, api_key, examine, origin, secret
from bridge.errors import BridgeError
from bridge.metrics import Metrics
from bridge.options import (
    adapter_problems,
    build_platforms,
    build_store,
    endpoint_options,
    known_secrets,
    trunk_accounts,
    worker_count,
    worker_options,
)
from bridge.platforms import PLATFORMS, Platform
from bridge.platforms.adapters import Adapters
from bridge.records import CallRecord, Cost, TrunkEvent
from bridge.reload import Reloaded, merged, named
from bridge.routing.breaker import State
from bridge.store import Keeper, Store
from bridge.trunks.figures import TrunkFigures
from bridge.trunks.keeper import TrunkKeeper
from bridge.trunks.lookup import Names
from bridge.web.api import application
from bridge.web.house import House
from bridge.web.placing import call_routes
from bridge.web.server import WebServer
from bridge.web.transfers import transfer_routes
from bridge.web.trunks import trunk_routes
from sip import messages as sip

log = logging.getLogger(__name__)

DIALECTS = "bridge.platforms.dialects:DIALECTS"
"Where a worker finds its table: the dialects alone, without adapters and HTTP client."


class CountedRecords:
    """Where the desk writes: what the call has cost is added, then the store has it, then those who count."""

    def __init__(
        self, store: Keeper, cost: Callable[[str, float], Cost | None], *counting: Callable[[CallRecord], None]
    ) -> None:
        self._store, self._cost, self._counting = store, cost, counting

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        return self._store.begin(record)

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        if record.cost is None and record.answered_at:
            try:
                record.cost = self._cost(record.trunk, record.duration_s)
            except (ArithmeticError, ValueError):  # an end without its price is better than no end
                log.exception("! call %s has no cost", record.call)
        durable = self._store.end(record)
        for count in self._counting:
            count(record)
        return durable


class Bridge:
    """The whole of it. `async with Bridge(config)`: up inside, nothing left behind outside."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str] = os.environ,
        source: Path | None = None,
        on_reload: Callable[[Config], None] = lambda config: None,
    ) -> None:
        """`source`: the file that a reload reads again. `on_reload` is for what is the process's own, the log."""
        self.config = config
        self._environ, self._source, self._on_reload = environ, source, on_reload
        self.platforms = Adapters(build_platforms(config, environ))
        self._known = self._keyed(config)
        media = config.media
        self.pool = WorkerPool(worker_count(media), worker_options(media), dialects=DIALECTS, codecs=media.codecs)
        self.line = SipLine(endpoint_options(config.sip), ())
        self.trunks = TrunkKeeper(
            config.trunks,
            self.line,
            Names(config.sip.name_servers, "ipv6" if ":" in config.sip.host else "ipv4"),
            self._on_trunk,
            our_host=config.sip.public_host or config.sip.host,
        )
        self.line.set_trunks(self.trunks.accounts(environ))
        self.store = build_store(config, environ, self.trunks.cost)
        self.metrics = Metrics()
        self.reception = Reception(config, self.trunks)
        self.desk = Desk(
            self.line,
            self.pool,
            self.platforms,
            CountedRecords(self.store, self.trunks.cost, self.metrics.on_record, self.trunks.on_record),
            self.reception,
            self.trunks,
            watch=lambda call, received: self.metrics.on_worker(received),
        )
        self.operator = Operator(self.desk, self.trunks, self.store, config)
        self.house = House(self.desk, self.line, self.pool, self.store, self.trunks)
        self.metrics.at_scrape(self.house.processes, self.house.in_progress)
        self.metrics.watch_store(lambda: self.store.is_well)
        self.metrics.registry.register(TrunkFigures(self.trunks.states))
        self.web = WebServer(config.web, self._application())
        self._reloading = asyncio.Lock()

    def _application(self) -> ASGIApp:
        token = secret(self.config.web.token_env, self.config.web.token_file, self._environ)
        more = [
            *call_routes(self.operator, self.desk, self.store),
            *transfer_routes(self.operator),
            *trunk_routes(self.trunks, self),
        ]
        return application(self.house, self.metrics.exposition, token, more)

    async def __aenter__(self) -> Bridge:
        try:
            await self.web.start()  # first: it says "not yet" while the rest comes up, and a taken port is told at once
            await self.store.start()
            self.trunks.start()
            await self.pool.start(self.desk.on_worker)
            await self.line.start(self._on_sip)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """May be called twice."""
        await self.web.stop()
        await self.desk.close()
        await self.line.stop()  # un-registers: the keeper hears of it
        await self.trunks.stop()
        await self.pool.stop()
        await self.platforms.close()
        await self.store.close()

    def _on_sip(self, event: sip.AnyEvent | LineLost) -> None:
        self.metrics.on_sip(event)
        self.trunks.on_sip(event)
        self.desk.on_sip(event)

    def _on_trunk(self, event: TrunkEvent) -> None:
        self.store.event(event)
        if event.kind == State.OPEN.value:
            self.desk.on_trunk_down(event.trunk, event.detail)

    # --- reload ---

    async def reload(self) -> Reloaded:
        """The file once more: checked first, and with a mistake in it nothing is changed. Calls that stand go on."""
        async with self._reloading:
            done = await self._reload()
        log.log(logging.ERROR if done.errors or done.problems else logging.INFO, "= reload: %s", done)
        return done

    async def _reload(self) -> Reloaded:
        if self._source is None:
            return Reloaded(errors=("the settings did not come from a file",))
        config, errors = examine(self._source, self._environ, adapter_problems)
        if config is None or errors:
            return Reloaded(errors=tuple(map(str, errors)))
        config, waiting = merged(self.config, config)
        try:
            keyed = self._keyed(config)
            fresh = self._fresh_platforms(keyed)
            trunk_accounts(config, self._environ)  # a secret that has vanished since is found before anything changes
        except BridgeError as error:
            return Reloaded(errors=(str(error),))
        old, self.config = self.config, config
        self._on_reload(config)
        self.platforms.replace(fresh, [section.name for section in config.platforms])
        self._known = keyed
        trunks = self.trunks.reload(config.trunks)
        self.reception.set_config(config)
        self.operator.config = config
        accounts = self.trunks.accounts(self._environ)
        problems = await self.trunks.trunks_set(lambda: self.line.set_trunks(accounts))
        before, after = ({one.name for one in each.platforms} for each in (old, config))
        routes = ("routes",) if old.routes != config.routes else ()
        return Reloaded(
            added=(*named("trunk", trunks.added), *named("platform", sorted(after - before))),
            changed=(*named("trunk", trunks.changed), *named("platform", sorted(set(fresh) & before)), *routes),
            removed=(*named("trunk", trunks.removed), *named("platform", sorted(before - after))),
            needs_restart=waiting,
            problems=problems,
        )

    def _fresh_platforms(self, keyed: Mapping[str, tuple[PlatformSection, str]]) -> dict[str, Platform]:
        """Adapters of sections that are new or changed, or whose key has changed."""
        changed = [one for name, one in keyed.items() if self._known.get(name) != one]
        return {section.name: PLATFORMS[section.kind](section, key) for section, key in changed}

    def _keyed(self, config: Config) -> dict[str, tuple[PlatformSection, str]]:
        return {section.name: (section, api_key(section, self._environ)) for section in config.platforms}

    # --- for people ---

    def describe(self) -> list[str]:
        """What a person wants to see at the start."""
        config, started = self.config, self.line.started
        assert started is not None
        media, host = config.media, config.sip.host
        ports = (("udp", started.udp_port), ("tcp", started.tcp_port), ("tls", started.tls_port))
        listens = [f"{host}:{port} {name}" for name, port in ports if port >= 0]
        platforms = [f"{one.name} ({one.kind}{f', {origin(one.url)}' if one.url else ''})" for one in config.platforms]
        trunks = [
            f"{one.name} ({one.kind}, {one.registrar or one.host or ' '.join(one.sources)})" for one in config.trunks
        ]
        workers = f"{len(self.pool)} worker{'s' if len(self.pool) > 1 else ''}"
        return [
            f"sip        {', '.join(listens)}",
            f"media      {workers}, RTP {media.host}:{media.rtp_first_port}-{media.rtp_last_port}",
            f"platforms  {', '.join(platforms)}",
            f"trunks     {', '.join(trunks)}",
            *([f"records    {self.store.address}"] if isinstance(self.store, Store) else []),
            *([f"web        {self.web.url}"] if self.web.url else []),
            "ready",
        ]


async def serve(config: Config, environ: Mapping[str, str] = os.environ, source: Path | None = None) -> None:
    """Runs until SIGTERM or SIGINT; SIGHUP reads `source` again.

    Raises ChildFailed, WebFailed or ConfigError when it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, log.warning, "! reload: not before the start is done")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Bridge(config, environ, source, lambda fresh: configure_logs(fresh, environ)) as bridge:
        reloads: set[asyncio.Task[Reloaded]] = set()

        def reload() -> None:
            reloads.add(task := loop.create_task(bridge.reload()))
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        print(*bridge.describe(), sep="\n", flush=True)
        await stop.wait()
        log.info("= stopping, %d calls stand", len(bridge.desk))


def configure_logs(config: Config, environ: Mapping[str, str]) -> None:
    logs.configure(config.log.level, config.log.format, secrets=known_secrets(config, environ))
