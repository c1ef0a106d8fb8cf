"""One seed is one story: the product's own steps, and every fault that can be arranged, in a world that we own.

    python -m tests.simulation --seeds 10000     many stories, on all cores
    python -m tests.simulation --seed 4711       one of them, with its timeline

accept, deliver, reconcile, tell and the API run unchanged, on the embedded adapters in memory. Time, chance and
scheduling are the simulator's: each call of a port is a point where another actor may run and a fault may strike.
"""
