"""Which faults strike, and how often. Each story has a weather of its own: some faults often, some never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """What can go wrong, each as a chance."""

    DIES_BEFORE = "the process dies before the effect"  # per call of a port
    DIES_AFTER = "the process dies after the effect"  # per call of a port
    THROTTLED = "the port cannot serve just now"  # per call of a port
    UNANSWERED = "the answer of the port is lost"  # per call of a port; its effect stands
    REPEATED = "the call reaches the port twice"  # per call of a port, as by the SDK's own retries
    SURPRISE = "the port raises what nobody expects"  # per call of a port
    SLOW = "the port answers late"  # per call of a port: seconds, or minutes
    FROZEN = "the process sleeps for minutes"  # per call of a port
    LOST = "a message is lost"  # per message sent
    DOUBLED = "a message is doubled"  # per message sent
    LATE = "a message comes late"  # per message sent: seconds, or hours
    EARLY = "a visibility ends early"  # per message received
    UNDELETED = "a finished message stays"  # per batch
    LAGGING = "an index lags"  # per task that is due, and per mention that a notice has gathered
    SKEWED = "a clock is off by minutes"  # per process
    DEPLOYED = "a deploy restarts everything"  # per hour
    UNLISTED = "an index misses a change for minutes or hours"  # per change of a task's status
    STEPPED = "a clock steps by hours or months"  # per call of a port
    OUTAGE = "all messages are lost, and no reconciler runs for an hour"  # per story, when the storm ends


OF_MESSAGES = frozenset(
    {Fault.LOST, Fault.DOUBLED, Fault.LATE, Fault.EARLY, Fault.UNDELETED, Fault.LAGGING, Fault.UNLISTED, Fault.OUTAGE}
)
OF_NETWORKS = frozenset({Fault.UNANSWERED, Fault.REPEATED})
MOST = {
    Fault.SKEWED: 1.0,
    Fault.DEPLOYED: 1.0,
    Fault.OUTAGE: 1.0,
    Fault.DIES_BEFORE: 0.05,
    Fault.DIES_AFTER: 0.05,
    Fault.FROZEN: 0.02,
    Fault.STEPPED: 0.005,
}
"""The highest chance of a fault, where it is not `OFTEN`."""

OFTEN, SELDOM = 0.2, 0.002
POSSIBLE, POSSIBLE_STEPS = 0.5, 0.15
"""The share of stories in which a fault is possible. Steps of clocks are in few: they excuse much."""

FAIR = 0.1
"""The share of stories without any fault."""

Weather = Mapping[Fault, float]


def draw(random: Random, possible: Callable[[Fault], bool]) -> Weather:
    """The weather of a story: about half of the possible faults, each between seldom and often; or none at all."""
    if random.random() < FAIR:
        return {}
    return {fault: _chance(random, fault) for fault in Fault if random.random() < _share(fault) and possible(fault)}


def _share(fault: Fault) -> float:
    return POSSIBLE_STEPS if fault is Fault.STEPPED else POSSIBLE


def _chance(random: Random, fault: Fault) -> float:
    most = MOST.get(fault, OFTEN)
    return float(SELDOM * (most / SELDOM) ** random.random())


class Faults:
    """Says when a fault strikes, until the weather is calm."""

    def __init__(self, weather: Weather, random: Random) -> None:
        self._weather = weather
        self._random = random
        self.struck: Counter[Fault] = Counter()
        self.calm = False

    def strikes(self, fault: Fault) -> bool:
        """Whether it strikes now."""
        chance = self._weather.get(fault, 0)
        struck = chance > 0 and not self.calm and self._random.random() < chance
        if struck:
            self.struck[fault] += 1
        return struck
