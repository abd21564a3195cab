"""P5, P18: Postgres stopped under load, an engine that is frozen, many hands on the same customers.

Whole daemons; each test prints what it did.
"""

import collections
import http.client
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from cluster import Postgres, find_bin
from daemon import COUNT, LONG, Client, Daemon, Load, has_failpoints, is_built, until
from smtpd import Smtpd

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]
needs_failpoints = pytest.mark.skipif(not has_failpoints(), reason="not configured with --enable-failpoints")


@pytest.fixture(scope="module")
def pg():
    with Postgres({"max_connections": "80"}) as cluster:
        yield cluster


def order(n, who=None):
    return {"id": f"e{n}", "type": "order.placed",
            "data": {"customer": {"email": f"c{n % 100 if who is None else who}@x.test"}, "order_id": f"o{n}", "total": 1}}


def check_counts(d, acknowledged):
    """All there, each counted once."""
    stored = d.events("e%")
    assert acknowledged <= stored, len(acknowledged - stored)
    notes = collections.Counter(r[0] for r in d.sql("select text from note"))
    assert set(notes) == {f"counts {i}" for i in stored} and set(notes.values()) <= {1}
    assert d.value("select sum((attributes ->> 'n')::int) from customer") == len(stored)


def test_P3_due_work_that_the_database_dies_of_is_set_aside(daemon, pg):
    """Reading one inbox row ends the backend, another is refused: others go on, those two are set aside."""
    d = daemon({"waits.lua": """
rule "waits" {
  about = "waits", on = "wait.wanted", mode = "parallel",
  run = function() wait("2s") note("woke") end,
}
"""}, engines=2).start()
    for n in range(4):
        assert d.settle({"id": f"w{n}", "type": "wait.wanted", "data": {"customer": {"id": f"c{n}"}}}) == "accepted"
    assert d.value("select count(*) from chain where state = 'waiting'") == 4
    who = [r[0] for r in d.sql("select customer from chain order by id")]
    # views in the place of the tables: what is read of two rows can not be had
    d.sql("""create function boom(bigint, json) returns json language plpgsql stable as $$
begin
  if $1 = -1 then perform pg_terminate_backend(pg_backend_pid()); end if;
  if $1 = -2 then raise exception 'broken row'; end if;
  return $2;
end $$""")
    d.sql("alter table inbox rename to inbox_all")
    d.sql("create view inbox as select id, customer, store, type, boom(id, data) as data, at, due from inbox_all")
    d.sql("""create function put() returns trigger language plpgsql as $$
begin
  insert into inbox_all (customer, store, type, data) values (new.customer, new.store, new.type, new.data);
  return new;
end $$""")
    d.sql("create trigger put instead of insert on inbox for each row execute function put()")
    for row, customer in [(-1, who[1]), (-2, who[2]), (-3, who[3])]:
        d.sql("insert into inbox_all (id, customer, store, type, data) overriding system value "
              "values (%s, %s, 'main', 'message.opened', '{}')", row, customer)
    n = 0

    def gone():
        nonlocal n
        n += 1  # others get through all the while
        assert d.settle({"id": f"m{n}", "type": "page.viewed", "data": {"customer": {"id": "m"}}}) == "accepted"
        return d.value("select count(*) from inbox_all") == 0

    until(gone, 60, 0.2)
    assert {r[0] for r in d.sql("select id from quarantine")} == {"inbox:-1", "inbox:-2"}
    assert d.value("select count(*) from quarantine where reason = ''") == 0
    until(lambda: d.value("select count(*) from note") == 4, 30)
    d.sql("drop view inbox; alter table inbox_all rename to inbox")
    assert d.events("inbox:%") == {"inbox:-3"}


def test_postgres_immediate_stop_under_load(daemon, pg):
    """503 within 2 s, back by itself within 5 s, nothing acknowledged lost, nothing twice."""
    d = daemon(COUNT, engines=2).start()
    load = Load(d, order, threads=3, batch=20).start()
    probe, late, back = Client(d.port, timeout=20), [], []
    for _ in range(20 if LONG else 5):
        time.sleep(0.6)
        pg.stop("immediate")
        end = time.monotonic() + random.uniform(0.2, 3)
        while time.monotonic() < end:
            since = time.monotonic()
            status, headers, answer = probe.ask("POST", "/events", [order(f"p{since}", "p")])
            late.append(time.monotonic() - since)
            assert status == 503 and headers["Retry-After"], (status, answer)
            assert answer["error"] and answer["hint"], answer
        pg.start()
        since = time.monotonic()
        probe.settle([order(f"q{since}", "p")], 10)
        back.append(time.monotonic() - since)
    probe.close()
    acknowledged = load.stop()
    check_counts(d, acknowledged)
    print(f"{len(back)} stops, {len(acknowledged)} acknowledged; 503 after {max(late):.2f} s at most, "
          f"back after {max(back):.2f} s at most")
    assert max(late) <= 2.0 and max(back) <= 5.0, (max(late), back)


def test_every_request_in_flight_hears_503_within_2_s(daemon, pg):
    """Postgres frozen: connections stay, answers do not come."""
    d = daemon(COUNT).start()
    client = Client(d.port)
    client.settle([order(1)])
    frozen = pg.signal_backends(signal.SIGSTOP)
    try:
        since = time.monotonic()
        status, headers, answer = client.ask("POST", "/events", [order(2)])
        took = time.monotonic() - since
        assert status == 503 and headers["Retry-After"] and took <= 2.2, (status, took)
        first = client.ask("POST", "/events", [order(3)])[0]
        assert first == 503
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert client.settle([order(2), order(3)], 15) in (["accepted"] * 2, ["duplicate", "duplicate"],
                                                       ["duplicate", "accepted"], ["accepted", "duplicate"])
    check_counts(d, {"e1", "e2", "e3"})


@needs_failpoints
def test_frozen_engine_holds_only_its_customers(daemon, pg):
    """P18: one engine stands still inside a batch; the other goes on, and Postgres frees the customers."""
    d = daemon(COUNT, engines=2, nudged={"stall_timeout": "60s"}, database={"idle_timeout": "2s"}).start()
    client = Client(d.port)
    for i in range(0, 1000, 100):
        client.settle([order(n, n) for n in range(i, i + 100)])
    answered = collections.Counter()
    held = list(range(10))
    d.fail("flow.loaded:1:stop")
    # this batch may be the one whose engine freezes; its client waits
    numbers = iter(range(1000, 10 ** 9))

    def freeze():
        while not d.has_failed():
            try:
                own = Client(d.port, timeout=1)
                own.post([order(next(numbers), who) for who in held])
            except (OSError, http.client.HTTPException):
                pass
            own.close()

    freeze()
    since = time.monotonic()
    states = {name: open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
              for name, pid in d.engines().items()}
    [frozen] = [name for name, state in states.items() if state == "T"]
    freed, tried = None, 0
    # others: connections that the frozen engine's listener took are not answered; a store would try again
    while time.monotonic() - since < 6:
        client = Client(d.port, timeout=0.3)
        tried += 1
        try:
            status, _ = client.post([order(next(numbers), 100 + tried % 800)])
            answered[status] += 1
        except (OSError, http.client.HTTPException):
            answered["none"] += 1
        client.close()
        if freed is None:
            client = Client(d.port, timeout=1)
            try:
                if client.post([order(next(numbers), 3)])[0] == 200:
                    freed = time.monotonic() - since
            except (OSError, http.client.HTTPException):
                pass
            client.close()
    print(f"{frozen} frozen: {tried} requests, {dict(answered)}; its customers were free after {freed:.1f} s")
    assert 0.5 < freed < 4.0
    assert answered[200] >= 0.8 * tried, answered
    os.kill(d.engines()[frozen], signal.SIGCONT)
    final = Client(d.port)
    final.settle([order(next(numbers), who) for who in held])
    time.sleep(1)
    stored = d.events("e%")
    check_counts(d, stored)


BUSY = {"busy.lua": '''
rule "busy" {
  about = "an event, a mail, a task and a timer", on = "order.placed", mode = "parallel", class = "transactional",
  run = function(order, customer)
    set { n = (customer.attributes.n or 0) + 1 }
    email { template = "order", with = { id = order.meta.id } }
    local t = task { title = order.meta.id, group = "sales", keep = true }
    wait "1s"
    note("timer " .. order.meta.id)
    set { timers = (customer.attributes.timers or 0) + 1 }
    if wait("1h", t.done) then note("done " .. order.meta.id) end
  end,
}
rule "hears" {
  about = "hears of each task once", on = "task.done", mode = "parallel", class = "transactional",
  run = function(t) note("heard " .. t.task_id) end,
}
'''}


class Hands(threading.Thread):
    """Takes and finishes open tasks by the API, as managers do."""

    def __init__(self, d, rng):
        super().__init__(daemon=True)
        self.d, self.rng, self.done, self.lost, self.errors = d, rng, 0, 0, []
        self.ended = False

    def run(self):
        client = Client(self.d.port, token="admin-token")
        try:
            while not self.ended:
                tasks = client.ask("GET", "/tasks?state=open&limit=50")[2]["tasks"]
                self.rng.shuffle(tasks)
                for t in tasks[:10]:
                    self.one(client, t["id"])
                if not tasks:
                    time.sleep(0.02)
        except Exception as error:
            self.errors.append(repr(error))

    def one(self, client, task):
        if self.rng.random() < 0.3:
            client.ask("POST", f"/tasks/{task}/take", {"manager": "kate"})
        status, _, answer = client.ask("POST", f"/tasks/{task}/done", {"manager": "kate"})
        if status == 200:
            self.done += 1
        elif status in (409, 503):  # another was quicker
            self.lost += 1
        else:
            self.errors.append((status, answer))


def test_no_deadlock(daemon, pg):
    """P18: event x timer x courier x task API on the same 20 customers."""
    before = pg.log_text().count("deadlock detected")
    wanted, since = 25000 if LONG else 2500, time.monotonic()
    with Smtpd() as smtp:
        d = daemon(BUSY, {"order.en.html": "<title>{{ with.id }}</title><p>x</p>"}, engines=2, smtp=smtp,
                   mail={"couriers": 2}, limits={"chains": 100000, "chains_warn": 100000}).start()
        load = Load(d, lambda n: order(n, n % 20), threads=3, batch=3, pause=0.005).start()
        hands = [Hands(d, random.Random(i)) for i in range(6)]
        for h in hands:
            h.start()
        until(lambda: load.next >= wanted, 300)
        acknowledged = load.stop()
        until(lambda: d.value("select count(*) from chain") == 0, 120, 0.2)
        until(lambda: d.value("select count(*) from message where state in ('ready', 'sending')") == 0, 120, 0.2)
        for h in hands:
            h.ended = True
        for h in hands:
            h.join(20)
        assert not [e for h in hands for e in h.errors], [h.errors[:3] for h in hands]
        mails = collections.Counter(m.header("Subject") for m in smtp.messages)
    n = len(acknowledged)
    assert d.events("e%") == acknowledged
    assert set(mails) == acknowledged and set(mails.values()) == {1}
    notes = collections.Counter(r[0] for r in d.sql("select text from note"))
    tasks = {r[0] for r in d.sql("select id from task")}
    assert set(notes) == {f"{w} {i}" for i in acknowledged for w in ("timer", "done")} | {f"heard {t}" for t in tasks}
    assert set(notes.values()) == {1}
    assert d.value("select sum((attributes ->> 'n')::int) from customer") == n
    assert d.value("select sum((attributes ->> 'timers')::int) from customer") == n
    assert d.value("select count(*) from task where state = 'done'") == n == sum(h.done for h in hands)
    assert pg.log_text().count("deadlock detected") == before
    print(f"{n} events, {n} timers, {n} mails, {n} tasks done ({sum(h.lost for h in hands)} races lost): "
          f"{4 * n} rounds in {time.monotonic() - since:.0f} s")


def reasons(d):
    status, _, answer = d.get("/readyz")
    return status, " ".join(answer.get("reasons", []))  # none: its own question met the end of the connection


@pytest.mark.parametrize("setting, word", [("synchronous_commit = off", "synchronous_commit"),
                                           ("default_transaction_read_only = on", "read")])
def test_a_database_that_does_not_keep_is_refused(daemon, pg, setting, word):
    """The preamble of the promises: looked at on each connect; 503 and /readyz says why; heals alone."""
    d = daemon(COUNT).start()
    d.settle([order(1)])
    pg.psql(f"alter database {d.database} set {setting}", database="postgres")
    pg.terminate_backends()
    until(lambda: reasons(d)[0] == 503 and word in reasons(d)[1], 10)
    assert d.post([order(2)])[0] == 503
    pg.psql(f"alter database {d.database} reset {setting.split(' ')[0]}", database="postgres")
    assert d.settle([order(2)], 15) == ["accepted"]
    check_counts(d, {"e1", "e2"})


@pytest.fixture
def small_disk():
    """A directory of 200 MB, where that can be made; its path is short, because sockets lie in it."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="disk-"))
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(place)],
                                           stderr=subprocess.DEVNULL, check=False).returncode != 0:
        place.rmdir()
        pytest.skip("can not mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)
    place.rmdir()


def test_full_disk_is_503_and_heals_alone(small_disk, tmp_path):
    for parent in [small_disk, *small_disk.parents]:
        if parent != parent.parent and parent.owner() == "root":
            parent.chmod(parent.stat().st_mode | 0o055)
    with Postgres({"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off"}, parent=str(small_disk)) as pg:
        d = Daemon(pg, tmp_path, COUNT, engines=2).start()
        try:
            load = Load(d, order, threads=2, batch=10, pause=0.02).start()
            until(lambda: len(load.acknowledged) > 200)
            filler = small_disk / "filler"
            with open(filler, "wb") as file:
                try:
                    while True:
                        file.write(b"x" * (1 << 16))
                        file.flush()
                except OSError:
                    pass
            client = Client(d.port)
            big = [{**order(n), "data": {**order(n)["data"], "note": os.urandom(15000).hex()}}
                   for n in range(10 ** 6, 10 ** 6 + 30)]

            def full():
                try:
                    return client.post(big)[0] == 503
                except (OSError, http.client.HTTPException):
                    return False

            until(full, 30)
            time.sleep(2)
            filler.unlink()
            if not pg_alive(pg):
                pg.running = False  # a full WAL ends Postgres itself: an operator starts it again
                pg.start()
            assert client.settle(big, 30)
            acknowledged = load.stop()
            check_counts(d, acknowledged | {e["id"] for e in big})
            print(f"{len(acknowledged)} acknowledged around a full disk")
        finally:
            d.close()


def pg_alive(pg):
    try:
        return pg.value("select 1") == "1"
    except RuntimeError:
        return False
