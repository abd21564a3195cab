"""The names that bench/run takes, the table that it prints.  What a row means: bench/README.md."""

import os
import sys
import time

import intake
import quiet
from stand import Stand

RUNS = int(os.environ.get("RUNS", "5"))
SECONDS = float(os.environ.get("SECONDS_EACH", "3"))
NAMES = {"limit": intake.limit, "batch": intake.batch, "single": intake.single, "pipeline": intake.pipeline,
         "mqtt": intake.mqtt, "p99": intake.p99, "verdicts": intake.verdicts, "rules1000": intake.rules1000, "scaling": intake.scaling,
         "light": quiet.light, "mail": quiet.mail, "timers": quiet.timers, "restart": quiet.restart, "growth": intake.growth}
DEFAULT = ["limit", "batch", "single", "pipeline", "mqtt", "verdicts", "rules1000", "scaling", "light"]


class Table:
    """Rows: name, what was measured, its floor (">=" or "<="), the goal if there is one."""

    def __init__(self):
        self.rows = []

    def add(self, name, what, value, unit="", least=None, most=None, goal=None, note=""):
        ok = (least is None or value >= least) and (most is None or value <= most)
        judged = least is not None or most is not None
        floor = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
        row = (name, what, f"{value:,.{0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2}f} {unit}".strip(),
               floor, f"{goal:g}" if goal is not None else "", ("ok" if ok else "SHORT") if judged else "", note)
        self.rows.append(row)
        print("  %-10s %-44s %16s  %-10s %-6s %-6s %s" % row, flush=True)

    def missed(self):
        return [r for r in self.rows if r[5] == "SHORT"]

    def show(self):
        print("\n%-10s  %-44s %16s  %-10s %-6s" % ("name", "what", "measured", "floor", "goal"))
        for r in self.rows:
            print("%-10s  %-44s %16s  %-10s %-6s %-6s %s" % r)


def main(names):
    names = names or DEFAULT
    if names == ["all"]:
        names = [n for n in NAMES if n not in ("p99", "restart", "growth")]
    for name in names:
        if name not in NAMES:
            print(f'bench/run: unknown name "{name}"; there are {" ".join(NAMES)}', file=sys.stderr)
            return 2
    table, since = Table(), time.monotonic()
    print(f"{RUNS} runs of {SECONDS:g} s, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    with Stand() as stand:
        for name in names:
            NAMES[name](stand, table, RUNS, SECONDS)
    table.show()
    missed = table.missed()
    print(f"\n{len(table.rows)} measured, {len(missed)} short, {time.monotonic() - since:.0f} s")
    return 1 if missed and not os.environ.get("NO_VERDICT") else 0
