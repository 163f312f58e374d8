"""`python -m correnteza`: the command line, for a parent that knows its interpreter but not its scripts folder."""

from correnteza.cli import main

main()
