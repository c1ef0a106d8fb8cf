"""`python -m kkbida`: the command line, where `kkbida` is not on the path."""

from kkbida.cli import main

main()
