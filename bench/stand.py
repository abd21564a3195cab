"""What every bench stands on: one Postgres, one daemon, the load, the limit program, and who used the processors.

Load, broker, Postgres and daemon share the machine.  Each is started in a session of its own: where the kernel groups
processes by session, those of one session would share one slice of the processors, and ratios would lie.  Every
backend of Postgres is a session of its own by itself.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent
BENCH = TOP / "bench"
BUILD = pathlib.Path(os.environ["NUDGED_BUILD"])  # see build.py
sys.path.insert(0, str(TOP / "tests" / "system"))

import daemon as system  # noqa: E402
from broker import Broker  # noqa: E402
from cluster import Postgres  # noqa: E402

HZ = os.sysconf("SC_CLK_TCK")
CUSTOMERS = 100_000
WAL_MIB = 4096  # so much of it is there to be used again
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "min_wal_size": f"{WAL_MIB}MB",
            "checkpoint_timeout": "30min", "wal_compression": "lz4", "max_connections": "100",
            "log_min_messages": "warning", "deadlock_timeout": "1s"}


def median(values):
    values = sorted(values)
    n = len(values)
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


def key_values(line):
    """events=1 rate=2.5 -> {"events": 1.0, "rate": 2.5}"""
    return {k: float(v) for k, v in (pair.split("=") for pair in line.split())}


def stat(pid):
    """The fields behind the name in /proc/PID/stat, from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu(pid):
    """Seconds of user and system time of a process, by the scheduler's own clock."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(c) for c in (task / "children").read_text().split()]
    return found


def rss(pid):
    """Resident memory in MiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Daemon(system.Daemon):
    """Started in a session of its own."""

    def start(self, *args, ready=True, seconds=60):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([system.NUDGED, "--config", str(self.conf), *args], stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        if ready:
            self.wait_ready(seconds)
        return self

    def metrics(self):
        """{'nudged_batches_total': 7.0, 'nudged_events_ingested_total{source="http",result="accepted"}': ...}"""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def metric(self, name, *labels):
        """The sum over all that carry these labels."""
        return sum(v for k, v in self.metrics().items()
                   if k.split("{")[0] == name and all(label in k for label in labels))

    def engine_cpu(self):
        return sum(cpu(pid) for pid in self.engines().values())


class Stand:
    """One cluster; a daemon in it whenever one is asked for."""

    def __init__(self, settings=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nudged-bench-"))
        self.dir.chmod(0o755)
        self.pg = Postgres({**SETTINGS, **(settings or {})})
        self.broker, self.daemon, self.others = None, None, []
        self.is_run_in = False

    # the parts

    def rules(self, n=50, path="bench.lua"):
        """The rules of bench/rules, with so many others that all together are n."""
        text = (BENCH / "rules" / path).read_text()
        assert "for i = 1, 46 do" in text
        return {"bench.lua": text.replace("for i = 1, 46 do", f"for i = 1, {n - 4} do")}

    def start(self, rules=None, engines=1, smtp=None, mqtt=False, customers=CUSTOMERS, **sections):
        """A daemon with a database of its own, in which the customers are known."""
        self.stop()
        if mqtt and self.broker is None:
            self.broker = Broker()
        templates = {p.name: p.read_text() for p in (BENCH / "templates").iterdir()}
        self.daemon = Daemon(self.pg, self.dir, rules=rules or self.rules(), templates=templates, engines=engines,
                             smtp=smtp, broker=self.broker if mqtt else None, **sections)
        self.daemon.start()
        if not self.is_run_in:
            self.run_in()
        if customers:
            self.load("--mode", "seed", "--customers", customers, "--conns", 4, "--batch", 100, seconds=590)
            self.reset()
        return self.daemon

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon.close()
        self.daemon = None

    def close(self):
        try:
            self.stop()
            for process in self.others:
                end(process)
            if self.broker:
                self.broker.remove()
        finally:
            self.pg.remove()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # the database

    def preload(self):
        """Statement statistics: only where they are asked for, they cost a few per cent."""
        if "pg_stat_statements" not in (self.pg.value("show shared_preload_libraries") or ""):
            self.stop()
            self.pg.configure(shared_preload_libraries="pg_stat_statements")
            self.pg.restart()

    def run_in(self):
        """A cluster that has run for a while reuses its WAL files; a new one makes each of them anew, 16 MiB of zeros,
        while a commit waits for 15 to 20 ms."""
        self.sql("select pg_logical_emit_message(false, 'bench', repeat('x', 1048576)) from generate_series(1, %s)",
                 WAL_MIB)
        self.sql("checkpoint")
        self.is_run_in = True

    def sql(self, text, *args):
        return self.daemon.sql(text, *args)

    def reset(self):
        """Nothing but the customers is left, and everything is tidy."""
        for text in ("truncate event, chain, chain_log, message, orders, order_status, rule_last, note, inbox",
                     "delete from identity where kind = 5", "vacuum (analyze) identity", "vacuum (analyze) customer",
                     "checkpoint"):
            self.sql(text)

    def postgres_cpu(self):
        """Seconds of all processes of the cluster, those that have ended included."""
        master = self.pg.pid
        ended = stat(master)
        total = cpu(master) + (int(ended[13]) + int(ended[14])) / HZ
        for pid in children(master):
            try:
                total += cpu(pid)
            except FileNotFoundError:
                pass
        return total

    # what is run

    def program(self, name, *args):
        done = subprocess.run([str(BUILD / "bench" / name), *(str(a) for a in args)], stdout=subprocess.PIPE, text=True,
                              check=True, start_new_session=True)
        return key_values(done.stdout)

    def limit(self, *args, batch, conns, seconds):
        """One run of bench/limit; postgres_us and own_us are CPU per event."""
        before, own = self.postgres_cpu(), os.times()
        got = self.program("limit", "--dsn", self.daemon.dsn, "--batch", batch, "--conns", conns, "--seconds", seconds,
                           *args)
        time.sleep(0.2)  # its backends end
        now = os.times()
        got["postgres_us"] = (self.postgres_cpu() - before) / got["events"] * 1e6
        got["own_us"] = (now[2] + now[3] - own[2] - own[3]) / got["events"] * 1e6
        return got

    def load(self, *args, seconds, port=None):
        return self.program("load", "--port", port or self.daemon.port, "--token", system.TOKEN, "--seconds", seconds,
                            *args)

    def accepted(self):
        return self.daemon.metric("nudged_events_ingested_total", 'result="accepted"')

    def wait_accepted(self, before, n, since):
        """Seconds from `since` until n more are committed.  Asked seldom: the question for /metrics costs Postgres
        some milliseconds, and would count as the events' work."""
        while True:
            done, took = self.accepted() - before, time.monotonic() - since
            if done >= n:
                return took
            assert took < 120, f"{done:.0f} of {n:.0f} events were committed"
            time.sleep(max(0.01, 0.9 * (n - done) * took / max(done, 1)))

    def measure(self, *args, seconds, mqtt=False):
        """One run of bench/load, until everything is committed: its line and the CPU per event."""
        events, batches = self.accepted(), self.daemon.metric("nudged_batches_total")
        engine, postgres, since = self.daemon.engine_cpu(), self.postgres_cpu(), time.monotonic()
        got = self.load(*args, seconds=seconds, port=self.broker.port if mqtt else None)
        if mqtt:
            got["rate"] = got["events"] / self.wait_accepted(events, got["events"], since)
        n = got["events"] or 1
        got["engine_us"] = (self.daemon.engine_cpu() - engine) / n * 1e6
        got["postgres_us"] = (self.postgres_cpu() - postgres) / n * 1e6
        got["batch"] = n / max(1, self.daemon.metric("nudged_batches_total") - batches)
        if got["not_ok"]:
            raise AssertionError(f"{got['not_ok']:.0f} answers were not 200")
        return got

    def shares(self, source):
        """Rows per event of that source that are there now: what was written besides."""
        events, chains, messages, orders = self.sql(
            "with c as (select id from chain where event ->> 'source' = %s) "
            "select (select count(*) from event where source = %s), (select count(*) from c), "
            "(select count(*) from message where chain in (select id from c)), "
            "(select count(*) from orders o join event e on e.id = o.id where e.source = %s)", source, source, source)[0]
        n = max(1, events)
        return {"events": events, "chains": chains / n, "messages": messages / n, "orders": orders / n}


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
