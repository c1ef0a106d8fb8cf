"""kkbida (必达, "must arrive"): accepts an HTTP callback and sees to it that it arrives.

A newcomer reads `accept.py`, then `delivery/deliver.py`, then `notify/notify.py`: that is the way of
a task through the house. `life.py` holds every change that a task can go through, `ports.py` what
the house needs of the world.
"""

__version__ = "0.1.0"
