"""`python -m tooncrafter_client`: the same as the command `tooncrafter`."""

from tooncrafter_client.cli.app import main

main()
