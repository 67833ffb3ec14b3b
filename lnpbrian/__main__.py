"""``python -m lnpbrian``."""

from lnpbrian.cli import main

main()
