"""What the suites in Python have in common: the command line, the build, the counting, the last line.

    import suite
    s = suite.Suite(__file__)          # --long, --seed N; builds; tests/system can be imported from here on
    s.case("nothing is lost", function)
    sys.exit(s.end())

A case has failed when it raises.  Everything random comes from s.rng, whose seed is printed.
"""

import argparse
import os
import random
import subprocess
import sys
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLAIN = ["--enable-werror", "--enable-failpoints"]


class Suite:
    def __init__(self, file, options=(), build="build", configure=PLAIN):
        """options: [(name, arguments of add_argument)].  $NUDGED_BUILD names a build that is there already."""
        self.name = os.path.basename(file)
        parser = argparse.ArgumentParser(prog=f"tests/fault/{self.name}")
        parser.add_argument("--long", action="store_true")
        parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
        for name, arguments in options:
            parser.add_argument(name, **arguments)
        self.args = parser.parse_args()
        self.long, self.seed = self.args.long, self.args.seed
        self.rng = random.Random(self.seed)
        self.passed = self.failed = 0
        print(f"seed {self.seed}", flush=True)
        if "NUDGED_BUILD" not in os.environ:
            done = subprocess.run([os.path.join(TOP, "tools", "build"), build, *configure], cwd=TOP, check=False)
            if done.returncode != 0:
                print("the build failed\n0 passed, 1 failed")
                sys.exit(1)
            os.environ["NUDGED_BUILD"] = os.path.join(TOP, build)
        os.environ.setdefault("NUDGED_SQL_DIR", os.path.join(TOP, "sql"))
        sys.path.insert(0, os.path.join(TOP, "tests", "system"))

    def case(self, name, function, *args):
        """Runs it; what it returns is printed behind its name."""
        since = time.monotonic()
        try:
            said = function(*args)
            self.passed += 1
            word = "ok"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if not isinstance(error, AssertionError):
                traceback.print_exc()
            self.failed += 1
            word = "FAILED"
        print(f"{word:7}{name} ({time.monotonic() - since:.1f} s){': ' + str(said) if said else ''}", flush=True)
        return word == "ok"

    def end(self):
        """Prints the last line; the exit status."""
        if self.failed:
            print(f"repeat it with: tests/fault/{self.name} --seed {self.seed}{' --long' if self.long else ''}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
