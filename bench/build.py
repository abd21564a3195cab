"""Builds what is measured, before anything else is imported: tests/system/daemon.py wants to know where it is."""

import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent


def build():
    """The daemon as it is shipped (optimised, no failpoints) and the programs of bench/."""
    if "NUDGED_BUILD" in os.environ:
        return
    os.environ["NUDGED_BUILD"] = str(TOP / "build" / "bench")
    for command in (["tools/packages", "bench"], ["tools/build", "build/bench", "CFLAGS=-O2 -g"],
                    ["make", "-s", "-C", "build/bench", "bench/load", "bench/limit"]):
        subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.DEVNULL)
