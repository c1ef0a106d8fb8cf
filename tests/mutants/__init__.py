"""Deliberate faults in the product, each of which the simulation or another test must catch.

python -m tests.mutants                 all of them; make mutants
python -m tests.mutants lease ticket    those with these words in their names
"""

from tests.mutants.boundary import BOUNDARY
from tests.mutants.by_test import BY_TEST
from tests.mutants.mutants import SIMULATED

MUTANTS = (*SIMULATED, *BY_TEST, *BOUNDARY)
