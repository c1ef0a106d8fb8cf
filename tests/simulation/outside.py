"""The world outside: partners that answer in every manner, and robots that take notices. They remember everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Outgoing, Reply
from tests.simulation.fibers import Fibers
from tests.simulation.witness import Witness

TARGET = "https://partner.example:443"
ROBOT = "https://robot.example/"

YES = Reply(status=200, headers={}, body=b"success")


class Manner(StrEnum):
    """How a partner deals with one request."""

    TAKES = "takes it"
    TAKES_SLOWLY = "takes it just in time"
    CUTS = "takes it, and the connection breaks"
    FAILS = "says 500"
    DENIES = "says 200, and means no"
    BUSY = "says 429, come back later"
    HANGS = "says nothing"
    DRIPS = "answers for ever"
    REFUSES = "does not listen"


TAKEN = frozenset({Manner.TAKES, Manner.TAKES_SLOWLY, Manner.CUTS})
"""Manners in which the partner has done what was asked."""

REPLIES: Mapping[Manner, Reply] = {
    Manner.TAKES: YES,
    Manner.TAKES_SLOWLY: YES,
    Manner.FAILS: Reply(status=500, headers={}, body=b"no"),
    Manner.DENIES: Reply(status=200, headers={}, body=b"failure"),
    Manner.BUSY: Reply(status=429, headers={"retry-after": "40"}, body=b"later"),
}
FAILURES = {
    Manner.CUTS: Kind.BROKEN,
    Manner.HANGS: Kind.READ_TIMEOUT,
    Manner.DRIPS: Kind.TOTAL_TIMEOUT,
    Manner.REFUSES: Kind.REFUSED,
}


@dataclass
class Outside:
    """`manners`: of each partner, by its URL, one request after the other, and then the last one for ever."""

    fibers: Fibers
    witness: Witness
    random: Random
    manners: dict[str, list[Manner]] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)

    def send(self, outgoing: Outgoing) -> Reply:
        """What the other side answers. Raises SendFailed."""
        if outgoing.url.startswith(ROBOT):
            return self._notice(outgoing)
        return self._visit(outgoing)

    def _visit(self, outgoing: Outgoing) -> Reply:
        manner = self._manner(outgoing.url)
        visit = self.witness.visit(outgoing.headers["webhook-id"], int(outgoing.headers["webhook-attempt"]))
        self.witness.told(f"request {visit.task_id} attempt {visit.number} (fence {visit.fence}): the partner {manner}")
        try:
            self.fibers.sleep(self._seconds(manner, outgoing.timeout))
            visit.taken = manner in TAKEN
            visit.agreed = REPLIES.get(manner) == YES
        finally:
            visit.ended = self.fibers.now
        if manner in FAILURES:
            raise SendFailed(FAILURES[manner], manner)
        return REPLIES[manner]

    def _manner(self, url: str) -> Manner:
        left = self.manners[url]
        return left.pop(0) if len(left) > 1 else left[0]

    def _seconds(self, manner: Manner, timeout: float) -> float:
        if manner in (Manner.HANGS, Manner.DRIPS):
            return timeout
        if manner is Manner.TAKES_SLOWLY:
            return timeout * 0.99
        return min(self.random.expovariate(10), timeout * 0.9)

    def _notice(self, outgoing: Outgoing) -> Reply:
        """A robot takes most notices; a deaf one none."""
        name = outgoing.url.removeprefix(ROBOT)
        self.witness.asked(name)
        self.fibers.sleep(self.random.uniform(0.05, 2))
        dice = self.random.random()
        if dice < 0.05:
            raise SendFailed(Kind.REFUSED, "the robot does not listen")
        if name in self.deaf or dice < 0.15:
            return Reply(status=200, headers={}, body=b'{"errcode": 310000, "errmsg": "no"}')
        if dice < 0.3:
            return Reply(status=429, headers={}, body=b'{"errcode": 45009, "errmsg": "too many"}')
        text = json.loads(outgoing.body or b"")["text"]
        wecom = isinstance(text, dict)
        self.witness.noticed(name, text["content"] if wecom else text, answered=dice >= 0.35)
        if dice < 0.35:
            raise SendFailed(Kind.BROKEN, "the answer of the robot got lost")
        return Reply(status=200, headers={}, body=b'{"errcode": 0}' if wecom else b"ok")
