"""All trunks at the stack: opened, replaced while calls stand, probed, kept alive, and made known to the gate."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator

import pjsua2 as pj

from sip import letters
from sip import messages as m
from sip.border import SipError
from sip.connections import Loss
from sip.letters import Reply, Thread
from sip.stack.account import Account, Home
from sip.stack.border import translated
from sip.stack.courier import host_towards
from sip.stack.settings import account_config
from sip.trunks import LOCAL, check, gate_line, hop, needs, networks_of

log = logging.getLogger("sip")

START_SPREAD_S = 0.02
"Per registering trunk: fifty of them register within a second, not within a millisecond."
FORMER_S = 300.0
"How long calls may come from an address that a trunk's name has led to before."
MAX_ACCOUNTS = 2048
"PJSUA_MAX_ACC (native/config_site.h): twice the trunks that settings may have, and one that is nobody's."


class NoRoom(SipError):
    """There is, when calls of trunks that are gone have ended."""


class Partners:
    """Which trunks there are. A trunk that is gone stays as an account until its last call has ended."""

    def __init__(self, endpoint: Home) -> None:
        self._endpoint = endpoint
        self._accounts: dict[str, Account] = {}
        self._retired: list[Account] = []
        self._numbers: dict[int, Account] = {}
        self._wanted: tuple[m.TrunkAccount, ...] = ()
        "There was no room for all of these; empty: there was."

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def named(self, name: str) -> Account:
        """The account of a trunk; of the first peer, or of nobody, when `name` is empty. Raises SipError."""
        peers = (one for one, account in self._accounts.items() if one and account.trunk.kind == "peer")
        account = self._accounts.get(name or next(peers, ""))
        if account is None:
            raise SipError(f"no trunk is called {name}")
        return account

    def number(self, account: int) -> Account | None:
        return self._numbers.get(account)

    # --- coming and going

    def open(self, trunks: tuple[m.TrunkAccount, ...]) -> m.TrunksSet:
        self._open(LOCAL)
        return self.replace(trunks, within_s=START_SPREAD_S * len(trunks))

    def replace(self, trunks: tuple[m.TrunkAccount, ...], *, within_s: float = 0.0) -> m.TrunksSet:
        """The whole list anew. Of one that cannot be set up, what was there before stays.

        `within_s`: new ones register spread over this time.
        """
        self.tell_excess()  # while the accounts are those that it is of
        problems, missing = [], {}
        self._wanted = ()
        wanted = {trunk.name: trunk for trunk in trunks}
        for name in [name for name in self._accounts if name and name not in wanted]:
            self._retire(self._accounts.pop(name))
        for trunk in trunks:
            old = self._accounts.get(trunk.name)
            if old is not None and old.trunk == trunk:
                continue
            try:
                self._put(trunk, old, within_s)
            except SipError as error:
                problems.append(f"{error}{'; it stays as it was' if old else ''}")
                if old is None:
                    missing[trunk.name] = str(error).removeprefix(f"trunk {trunk.name}: ")
                if isinstance(error, NoRoom):
                    self._wanted = trunks
        try:
            self.admit()
        except SipError as error:
            problems.append(f"{error}: who may call stays as it was")
        return m.TrunksSet(problems=tuple(problems), missing=missing)

    def _open(self, trunk: m.TrunkAccount) -> Account:
        check(trunk)
        transports = [kind for kind, port in self._endpoint.ports.items() if port >= 0]
        if missing := needs(trunk, transports):
            raise SipError(f"trunk {trunk.name}: {missing} is off")
        if len(self._numbers) >= MAX_ACCOUNTS:
            self._release()
        if len(self._numbers) >= MAX_ACCOUNTS:
            raise NoRoom(f"trunk {trunk.name}: more than {MAX_ACCOUNTS - 1} trunks, those included whose calls stand")
        account = Account(self._endpoint, trunk)
        with translated(f"trunk {trunk.name}"):
            account.create(account_config(trunk, account.host or self._endpoint.options.host), trunk is LOCAL)
        self._accounts[trunk.name] = self._numbers[account.getId()] = account
        return account

    def _put(self, trunk: m.TrunkAccount, old: Account | None, within_s: float) -> None:
        """In the place of the old one, whose registration goes on when it is the same one with other settings."""
        new = self._open(trunk)
        if old is not None and old.registration is not None and old.registration.is_of(trunk):
            new.registration, old.registration = old.registration, None
            new.former = old.former
            new.registration.change(trunk, new.getId())
        elif new.registration is not None:
            new.registration.open(new.getId(), within_s)
        if old is not None:
            self._retire(old)
        self._keep_alive(new)

    def _retire(self, account: Account) -> None:
        if account.registration is not None:
            account.registration.leave()
        self._retired.append(account)

    def sweep(self) -> None:
        """Lets go of those whose calls have ended. To be called now and then.

        What there was no room for then has its turn.
        """
        if self._release() and self._wanted:
            self._endpoint.emit(self.replace(self._wanted))

    def _release(self) -> bool:
        """True: there is more room than before."""
        idle = [account for account in self._retired if self._is_idle(account)]
        for account in idle:
            self._retired.remove(account)
            self._close(account)
        return bool(idle)

    def _is_idle(self, account: Account) -> bool:
        is_quiet = account.registration is None or account.registration.registrar.is_quiet
        return is_quiet and pj.puenteCallsOf(account.getId()) == 0

    def _close(self, account: Account) -> None:
        pj.puenteHold(account.getId(), "")
        self._numbers.pop(account.getId(), None)
        account.shutdown()

    def leave(self) -> None:
        self._wanted = ()
        for account in self:
            if account.registration is not None:
                account.registration.leave()

    def is_quiet(self) -> bool:
        """No registration is left to be given back."""
        return all(
            account.registration is None or account.registration.registrar.is_quiet
            for account in (*self, *self._retired)
        )

    def close(self) -> None:
        for account in (*self, *self._retired):
            self._close(account)
        self._accounts.clear()
        self._retired.clear()

    # --- where they are

    def set_targets(self, command: m.SetTargets) -> None:
        account = self._accounts.get(command.trunk)
        if account is None or account.targets == command.targets:
            return
        account.set_targets(command.targets)
        self._admit_again()
        former = account.former
        self._endpoint.later(FORMER_S, lambda: self._forget(account, former))

    def renew(self, command: m.Renew) -> None:
        account = self._accounts.get(command.trunk)
        if account is not None and account.registration is not None:
            account.registration.registrar.on_back(command.target)

    def _forget(self, account: Account, former: tuple[str, ...]) -> None:
        if account.former == former and self._numbers.get(account.getId()) is account:
            account.former = ()
            self._admit_again()

    def _admit_again(self) -> None:
        try:
            self.admit()
        except SipError as error:
            log.error("%s: who may call stays as it was", error)

    def admit(self) -> None:
        """Tells the gate who may call. Raises SipError when they are more than it can hold."""
        networks, trunks = [], []
        for account in self:
            if not account.name:
                continue
            number = account.getId()
            more = (*account.former, *(target.address for target in account.targets))
            networks += [f"{network} {number}" for network in networks_of(account.trunk, more)]
            trunks.append(gate_line(number, account.trunk, account.host))
        if pj.puenteGateTrunks("\n".join(trunks)) < 0 or pj.puenteGateAllow("\n".join(networks)) < 0:
            raise SipError("too many source addresses of trunks")

    def tell_excess(self) -> None:
        """Calls that the gate has refused as too many in a second, by trunk."""
        for row in pj.puenteGateTakeExcess().splitlines():
            number, count = map(int, row.split(" "))
            if account := self._numbers.get(number):
                self._endpoint.emit(m.AboveRate(trunk=account.name, count=count))

    def on_loss(self, loss: Loss) -> None:
        for account in self:
            if account.registration is not None:
                account.registration.on_loss(loss.source, loss.transport)

    # --- signs of life

    def probe(self, command: m.Probe) -> None:
        account, target = self._accounts.get(command.trunk), command.target
        if account is None:
            self._on_probed(command, 0, 0.0, False, f"no trunk is called {command.trunk}")
            return
        try:
            host = account.host or host_towards(target)
            request = letters.options(
                account.trunk,
                Thread(f"{secrets.token_hex(8)}@puente", secrets.token_hex(4), 1),
                host=host,
                target=target,
                agent=self._endpoint.options.user_agent,
            )
            self._endpoint.courier.send(
                request,
                target,
                host,
                lambda reply: self._on_reply(command, reply),
                timeout_ms=command.timeout_ms,
                trunk=LOCAL,  # a challenge is an answer: no password goes out for a sign of life
            )
        except SipError as error:
            self._on_probed(command, 503, 0.0, False, str(error))

    def _on_reply(self, command: m.Probe, reply: Reply) -> None:
        reason = reply.reason
        if not reply.is_answered:
            reason = self._endpoint.courier.why(command.target, reason)
        self._on_probed(command, reply.status, reply.took_ms, reply.is_answered, reason)

    def _on_probed(self, command: m.Probe, status: int, took_ms: float, answered: bool, why: str) -> None:
        self._endpoint.emit(
            m.Probed(
                trunk=command.trunk,
                target=command.target,
                number=command.number,
                status=status,
                took_ms=took_ms,
                answered=answered,
                why=why,
            )
        )

    def _keep_alive(self, account: Account) -> None:
        """A newline now and then, as long as it is the trunk's account: UDP only, connections have their own."""
        if account.trunk.keep_alive_s <= 0 or self._accounts.get(account.name) is not account:
            return
        registration = account.registration
        target = registration.registrar.target if registration is not None else None
        for one in [target] if target else account.targets:
            if one.transport == "udp":
                pj.puenteKeepAlive(hop(one, ""))
        self._endpoint.later(account.trunk.keep_alive_s, lambda: self._keep_alive(account))
