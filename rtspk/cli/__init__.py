"""The command line: one verb or a family of verbs a file, and `main`, which `rtspk` runs."""

from rtspk.cli.app import main

__all__ = ["main"]
