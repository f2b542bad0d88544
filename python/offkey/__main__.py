"""`python -m offkey`: the command line, as torchrun starts it."""

from offkey.cli import main

main()
