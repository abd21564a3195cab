"""What the fault suites in Python have in common: a table of cases, one line each with the figure it measured.

    suite = Suite("outage", __doc__)

    @suite.case
    def frozen(at):
        d = at.daemon(at.postgres(), COUNT).start()
        ...
        return "503 after 1.81 s at most"

    sys.exit(suite.main())

`at` makes what a case needs and ends it afterwards.  A case fails by an exception, and is skipped, visibly, by
Skip("why").  Cases that wait most of their time (suite.beside) run in a second row, one after the other too.
    NAME [--long] [--seed N] [CASE...]
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPTIONS = ["--enable-werror", "--enable-failpoints"]
if "NUDGED_BUILD" not in os.environ:
    subprocess.run([os.path.join(TOP, "tools", "build"), "build", *OPTIONS], check=True)
    os.environ["NUDGED_BUILD"] = os.path.join(TOP, "build")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests", "system"))

# what follows looks for $NUDGED_BUILD
from broker import Broker  # noqa: E402
from cluster import Postgres  # noqa: E402
from daemon import Client, Daemon, until  # noqa: E402
from smtpd import Smtpd  # noqa: E402


class Skip(Exception):
    """Can not be done on this machine; says why."""


class At:
    """One case's means."""

    def __init__(self, suite, name):
        self.name, self.long = name, suite.args.long
        self.rng = random.Random(f"{suite.seed} {name}")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"nudged-{name}-"))
        os.chmod(self.dir, 0o755)
        self.ends, self.daemons = [], []

    def later(self, end):
        """end() is called when the case is over, the last one first."""
        self.ends.append(end)

    def postgres(self, settings=None, **options):
        pg = Postgres({"max_connections": "80", **(settings or {})}, **options)
        self.later(pg.remove)
        return pg

    def broker(self, *args, **options):
        broker = Broker(*args, **options)
        self.later(broker.remove)
        return broker

    def smtp(self, **options):
        smtp = Smtpd(**options)
        self.later(smtp.close)
        return smtp

    def daemon(self, pg, *args, **options):
        d = Daemon(pg, self.dir, *args, **options)
        self.daemons.append(d)
        self.later(d.close)
        return d

    def close(self, failed):
        """Ends all; a failure to end is a failure, too."""
        problem = None
        for d in self.daemons if failed else []:
            print(f"   the log of {d.dir.name} ends so:\n" + d.log()[-3000:], flush=True)
        for end in reversed(self.ends):
            try:
                end()
            except Exception:  # the others have to end all the same
                problem = problem or traceback.format_exc()
        shutil.rmtree(self.dir, ignore_errors=True)
        return problem


class Suite:
    def __init__(self, name, about):
        parser = argparse.ArgumentParser(prog=name, description=about)
        parser.add_argument("--long", action="store_true")
        parser.add_argument("--seed", type=int)
        parser.add_argument("cases", nargs="*")
        self.args = parser.parse_args()
        self.name = name
        self.seed = random.SystemRandom().randrange(1 << 32) if self.args.seed is None else self.args.seed
        self.cases, self.background = {}, set()
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0

    def case(self, function):
        self.cases[function.__name__] = function
        return function

    def beside(self, function):
        """A case that mostly waits: for the second row."""
        self.background.add(function.__name__)
        return self.case(function)

    def run(self, name):
        at, since, told, problem = At(self, name), time.monotonic(), "", None
        word = "passed"
        try:
            told = self.cases[name](at) or ""
        except Skip as why:
            word, told = "SKIPPED", str(why)
        except BaseException as error:
            word, problem = "FAILED", traceback.format_exc()
            if isinstance(error, KeyboardInterrupt):
                at.close(False)
                raise
        problem = at.close(word == "FAILED") if problem is None else (at.close(True), problem)[1]
        word = "FAILED" if problem else word
        with self.lock:
            self.passed += word == "passed"
            self.failed += word == "FAILED"
            self.skipped += word == "SKIPPED"
            if problem:
                print(problem)
            print(f"{word:<8}{name:<22}{time.monotonic() - since:6.1f} s  {told}", flush=True)

    def main(self):
        print(f"{self.name}: seed {self.seed}" + (", long" if self.args.long else ""), flush=True)
        names = self.args.cases or list(self.cases)
        unknown = [n for n in names if n not in self.cases]
        if unknown:
            print(f"there is no case {', '.join(unknown)}; there are: {' '.join(self.cases)}", file=sys.stderr)
            return 2
        aside = threading.Thread(target=lambda: [self.run(n) for n in names if n in self.background])
        aside.start()
        for name in names:
            if name not in self.background:
                self.run(name)
        aside.join()
        if self.skipped:
            print(f"NOTE: {self.skipped} skipped, see above")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


class Watch(threading.Thread):
    """A good client: one request every `pause` seconds on a connection of its own; how long each took, how it ended.

    make(n) gives the n-th event; with None it asks /healthz."""

    def __init__(self, daemon, make, pause=0.02, timeout=10):
        super().__init__(daemon=True)
        self.client, self.make, self.pause = Client(daemon.port, timeout=timeout), make, pause
        self.took, self.ends, self.acknowledged, self.odd = [], collections.Counter(), set(), []
        self.ended = threading.Event()
        self.start()

    def run(self):
        n = 0
        while not self.ended.wait(self.pause):
            since, n = time.monotonic(), n + 1
            try:
                if self.make is None:
                    status = self.client.ask("GET", "/healthz", token="")[0]
                else:
                    event = self.make(n)
                    status, _, answer = self.client.ask("POST", "/events", [event])
                    if status == 200:
                        self.acknowledged.add(event["id"])
                    else:
                        self.odd.append((time.time(), status, answer))
            except Exception as error:  # counted by its name
                status = type(error).__name__
            self.took.append(time.monotonic() - since)
            self.ends[status] += 1
        self.client.close()

    def p(self, share):
        took = sorted(self.took)
        return took[min(len(took) - 1, int(len(took) * share))] if took else 0.0

    def stop(self):
        self.ended.set()
        self.join(30)
        return self


def cpu_s(pid):
    """Seconds of CPU that the process has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def n_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def check_counts(d, acknowledged, like="%"):
    """Of daemon.COUNT's rule: what was acknowledged is there, and all that is there was counted once."""
    stored = {r[0] for r in d.sql("select id from event where type = 'order.placed' and id like %s", like)}
    assert acknowledged <= stored, f"{len(acknowledged - stored)} acknowledged events are lost"
    notes = collections.Counter(r[0] for r in d.sql("select text from note"))
    assert max(notes.values(), default=1) == 1, [n for n in notes.items() if n[1] > 1][:5]
    assert set(notes) == {f"counts {i}" for i in stored}, set(notes) ^ {f"counts {i}" for i in stored}
    assert d.value("select coalesce(sum((attributes ->> 'n')::int), 0) from customer") == len(stored)
    return len(stored)


__all__ = ["At", "Broker", "Client", "Daemon", "Postgres", "Skip", "Smtpd", "Suite", "Watch", "check_counts", "cpu_s",
           "n_files", "rss_kb", "until"]
