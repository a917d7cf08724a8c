"""`python -m anfinsen`: the command line, where the script of that name is not on the path."""

from anfinsen.cli import main

main()
