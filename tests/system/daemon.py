"""The whole daemon for system tests: a configuration, its processes, requests to it, its database.

    with Postgres() as pg:
        d = Daemon(pg, tmp_path, rules={"greet.lua": "..."}, engines=2)
        d.start()
        d.post([{"id": "1", "type": "cart.updated", "data": {...}}])
        d.fail("flow.saved:1")           # the next engine there dies, once (base/failpoint.h)
        d.stop()

Each has a database of its own in the cluster that it was given, and runs the nudged of $NUDGED_BUILD (default:
the current directory).  Processes are ended by the ids of those that it started.
"""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import psycopg2

from ports import free_port

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
NUDGED = os.path.join(BUILD, "nudged")
NUDGECTL = os.path.join(BUILD, "nudgectl")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LONG = os.environ.get("NUDGED_LONG") == "1"
TOKEN, ADMIN = "store-token", "admin-token"

# counts orders twice over, on the card and as notes: both must be exact
COUNT = {"count.lua": '''
rule "counts" {
  about = "one number per customer", on = "order.placed", mode = "parallel", class = "transactional",
  run = function(order, customer)
    set { n = (customer.attributes.n or 0) + 1 }
    note("counts " .. order.meta.id)
  end,
}
'''}


def is_built():
    return os.path.exists(NUDGED)


def has_failpoints():
    """Was nudged configured with --enable-failpoints?"""
    if not is_built():
        return False
    with open(NUDGED, "rb") as file:
        return b"events.before_answer" in file.read()


def is_sanitized():
    with open(NUDGED, "rb") as file:
        return b"__asan_init" in file.read()


def is_alive(pid):
    """A process that has ended and that nobody has asked after yet is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(what, seconds=10.0, step=0.02):
    """Waits until what() is true and returns it."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in {seconds:g} s")
        time.sleep(step)


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


class Client:
    """One keep-alive connection."""

    def __init__(self, port, token=TOKEN, timeout=10):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection = None

    def ask(self, method, path, body=None, token=None, headers=None):
        """(status, headers, body as JSON or text); raises OSError or http.client.HTTPException."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        headers = dict(headers or {})
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except Exception:
            self.close()
            raise
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, text.decode(errors="replace")

    def post(self, events):
        """Status and the verdict of each event (None when it was not 200)."""
        status, _, answer = self.ask("POST", "/events", events)
        if status != 200:
            return status, None
        return status, [e["status"] for e in answer["events"]] if isinstance(events, list) else answer["status"]

    def settle(self, events, seconds=60):
        """Posts until it is acknowledged, as a store does: again after 429, 503 and a broken connection."""
        end = time.monotonic() + seconds
        while True:
            try:
                status, verdicts = self.post(events)
                if status == 200:
                    return verdicts
                assert status in (429, 503), status
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < end, "the events could not be settled"
            time.sleep(0.05)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Daemon:
    """rules, templates: text by file name.  sections: {"mail": {"host": ...}} over the defaults.
    beside: another one, whose database and failpoints it shares, as on another host."""

    count = 0

    def __init__(self, pg, tmp_path, rules=None, templates=None, engines=1, smtp=None, broker=None,
                 beside=None, **sections):
        Daemon.count += 1
        self.pg, self.dir = pg, tmp_path / f"daemon{Daemon.count}"
        self.dir.mkdir()
        self.beside = beside
        self.database = beside.database if beside else f"d{os.getpid()}_{Daemon.count}"
        self.port = free_port()
        self.conf, self.log_path = self.dir / "nudged.conf", self.dir / "log"
        self.failpoint = beside.failpoint if beside else self.dir / "failpoint"
        self.process = None
        self.wrap, self.environ = [], {}  # a command that runs nudged; more environment
        self.clients = threading.local()
        for name in ("rules", "templates", "state"):
            (self.dir / name).mkdir()
        self.write_rules(rules or {})
        for name, text in (templates or {}).items():
            (self.dir / "templates" / name).write_text(text)
        self.sections = self.defaults(engines, smtp, broker)
        for name, values in sections.items():
            self.sections.setdefault(name.replace("__", " "), {}).update(values)
        self.write()
        if not beside:
            pg.psql(f"create database {self.database}", database="postgres")
            self.ctl("migrate")

    @property
    def dsn(self):
        return self.pg.dsn.replace(f"dbname={self.pg.database}", f"dbname={self.database}")

    def defaults(self, engines, smtp, broker):
        made = {
            "nudged": {"listen": f"127.0.0.1:{self.port}", "rules": self.dir / "rules",
                       "templates": self.dir / "templates", "state_dir": self.dir / "state",
                       "log_format": "logfmt", "engines": engines, "admin_token": digest(ADMIN),
                       "sign_key": "k" * 24, "public_url": "http://127.0.0.1"},
            "database": {"dsn": self.dsn},
            "mail": {"couriers": 1 if smtp else 0, "host": "127.0.0.1", "port": smtp.port if smtp else 1,
                     "starttls": "no", "from": "shop@shop.test", "retry": "1s", "helo": "shop.test"},
            "group sales": {"email": "sales@shop.test"},
            "manager kate": {"email": "kate@shop.test", "groups": "sales", "head": "yes"},
            "store main": {"tokens": digest(TOKEN), "zone": "Europe/Berlin", "country": "DE",
                           "from": "shop@shop.test"},
        }
        if broker:
            made["mqtt"] = {"host": "127.0.0.1", "port": broker.port}
        return made

    def write(self):
        lines = []
        for name, values in self.sections.items():
            lines += [f"[{name}]"] + [f"{k} = {v}" for k, v in values.items()] + [""]
        self.conf.write_text("\n".join(lines))

    def write_rules(self, rules):
        """Writes these files and leaves the others."""
        for name, text in rules.items():
            (self.dir / "rules" / name).write_text(text)

    # life

    def start(self, *args, ready=True, seconds=20):
        environ = {**os.environ, "NUDGED_FAILPOINT": f"@{self.failpoint}", **self.environ}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.wrap, NUDGED, "--config", str(self.conf), *args], env=environ,
                                            stderr=log, stdin=subprocess.DEVNULL)
        if ready:
            self.wait_ready(seconds)
        return self

    def is_ready(self):
        client = Client(self.port, timeout=3)
        try:
            return client.ask("GET", "/readyz", token="")[0] == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def wait_ready(self, seconds=20):
        try:
            until(self.is_ready, seconds)
        except AssertionError:
            raise AssertionError("not ready\n" + self.log()[-4000:]) from None

    def children(self):
        """Process ids by name: engine1, mail1, ..."""
        out = subprocess.run(["ps", "-o", "pid=,comm=,stat=", "--ppid", str(self.process.pid)],
                             stdout=subprocess.PIPE, check=False).stdout.decode()
        rows = (line.split() for line in out.splitlines())
        return {r[1].split(":")[-1]: int(r[0]) for r in rows if "Z" not in r[2]}

    def engines(self):
        return {name: pid for name, pid in self.children().items() if name.startswith("engine")}

    def kill(self):
        """kill -9 of the parent; its children end with it."""
        children = self.children().values()
        self.process.kill()
        self.process.wait(10)
        until(lambda: not any(map(is_alive, children)), step=0.005)

    def stop(self, seconds=30):
        """SIGTERM; the exit status."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def fail(self, what):
        """Sets a failpoint: done() tells when it has acted."""
        done = self.failpoint.with_suffix(".done")
        if done.exists():
            done.unlink()
        made = self.failpoint.with_suffix(".new")
        made.write_text(what)
        made.rename(self.failpoint)

    def unfail(self):
        """Takes it back; True when it had acted."""
        try:
            self.failpoint.unlink()
            return False
        except FileNotFoundError:
            return self.failpoint.with_suffix(".done").exists()

    def has_failed(self):
        return self.failpoint.with_suffix(".done").exists()

    # requests

    @property
    def client(self):
        """The connection of this thread."""
        if not hasattr(self.clients, "own"):
            self.clients.own = Client(self.port)
        return self.clients.own

    def post(self, events):
        return self.client.post(events)

    def settle(self, events, seconds=60):
        return self.client.settle(events, seconds)

    def get(self, path, token=ADMIN):
        return self.client.ask("GET", path, token=token)

    def ctl(self, *args, code=0):
        """nudgectl: stdout and stderr together."""
        done = subprocess.run([NUDGECTL, "--config", str(self.conf), *args], timeout=120, check=False, text=True,
                              env=dict(os.environ, NUDGED_SQL_DIR=os.path.join(SOURCE, "sql")),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == code, (args, done.returncode, done.stdout)
        return done.stdout

    # database

    def connect(self):
        db = psycopg2.connect(self.dsn + " options='-c search_path=nudged'")
        db.autocommit = True
        return db

    def sql(self, text, *args):
        """Rows, on a connection of its own (it may have been restarted meanwhile)."""
        db = self.connect()
        try:
            with db.cursor() as cursor:
                cursor.execute(text, args or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            db.close()

    def value(self, text, *args):
        rows = self.sql(text, *args)
        return rows[0][0] if rows else None

    def events(self, like="%"):
        """Ids in the table."""
        return {r[0] for r in self.sql("select id from event where id like %s", like)}

    def verdicts(self, event_id):
        return self.value("select verdicts from event where id = %s", event_id)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def close(self):
        """Ends it hard and drops its database; the log must have nothing of sanitizers."""
        if self.process and self.process.poll() is None:
            for pid in self.children().values():
                os.kill(pid, signal.SIGCONT)
            self.kill()
        if self.pg.running and not self.beside:
            self.pg.psql(f"drop database if exists {self.database} with (force)", database="postgres")
        log = self.log()
        assert "Sanitizer" not in log and "runtime error" not in log, log[-5000:]


class Load:
    """Threads that post batches until each is acknowledged; `make(n)` gives the n-th event."""

    def __init__(self, daemon, make, threads=2, batch=10, pause=0.0, seconds=60):
        self.daemon, self.make, self.batch, self.pause, self.seconds = daemon, make, batch, pause, seconds
        self.lock, self.next = threading.Lock(), 0
        self.acknowledged, self.errors, self.refused = {}, [], 0
        self.slowest = 0.0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def take(self):
        with self.lock:
            first = self.next
            self.next += self.batch
        return [self.make(n) for n in range(first, first + self.batch)]

    def run(self):
        client = Client(self.daemon.port)
        try:
            while not self.ended.is_set():
                events = self.take()
                since = time.monotonic()
                verdicts = client.settle(events, self.seconds)
                self.slowest = max(self.slowest, time.monotonic() - since)
                with self.lock:
                    self.acknowledged.update((e["id"], v) for e, v in zip(events, verdicts))
                if self.pause:
                    time.sleep(self.pause)
        except Exception as error:  # told by stop()
            self.errors.append(error)
        finally:
            client.close()

    def stop(self):
        """Lets each finish its batch; the ids that were acknowledged."""
        self.ended.set()
        for thread in self.threads:
            thread.join(self.seconds + 10)
        assert not self.errors, self.errors
        return set(self.acknowledged)
