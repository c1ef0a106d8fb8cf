"""Announce: what delivery has for the channels that is no task's end. They meet at the exhausted queue."""

from __future__ import annotations

from chalicelib import log
from chalicelib.errors import Unavailable
from chalicelib.ports import News, Queue, World


def announce(world: World, news: News) -> bool:
    """Let the channels that want it be told that the breaker of a target has changed. Whether it was sent.

    The same news twice (target, event, millisecond) are told once. Once sent they are as safe as the queue; what
    could not be sent is in the log, and the target itself shows how it stands.
    """
    try:
        world.queues.send(Queue.EXHAUSTED, news, group=news.target)
    except Unavailable as unavailable:
        why = unavailable.detail
        log.event("news.lost", metrics={"NewsLost": 1}, target=news.target, what=news.event, why=why)
        return False
    return True
