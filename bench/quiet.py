"""What is not about the most events a second: latency, mail, timers, restart."""

import asyncio
import os
import subprocess
import threading
import time

from stand import children, cpu, end, median, rss, system

SINK = "/usr/sbin/smtp-sink"  # Debian: postfix
SIZES = {"waiting": 1_000_000, "due": 100_000, "long": 2000}

RULES = {"timers.lua": '''
-- what waits: one wait, then half of them wait again and half write and are done
rule "waiting" {
  on = "bench.waiting", mode = "parallel",
  run = function(event)
    wait "30d"
    if event.again then
      wait "30d"
    else
      note "woken"
    end
  end,
}

rule "long" {
  on = "bench.long", mode = "parallel",
  run = function()
    for _ = 1, 50 do wait "30d" end
  end,
}
'''}


class Sink:
    """Postfix's smtp-sink: takes everything, keeps nothing."""

    def __init__(self):
        self.port = system.free_port()
        command = [SINK, "-c", f"127.0.0.1:{self.port}", "1000"]
        if os.geteuid() == 0:
            command[1:1] = ["-u", "nobody"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/")

    def close(self):
        end(self.process)


class Clock:
    """An SMTP server that notes when it took the mail of which order."""

    def __init__(self):
        self.taken, self.loop = {}, asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.talk, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def talk(self, reader, writer):
        writer.write(b"220 clock\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    at = text.find(b"order-")
                    self.taken[text[at:at + 16].split(b"-end")[0]] = time.perf_counter()
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


def light(stand, table, runs, seconds):
    """50 events a second, one at a time: how long the answer takes; and 20 orders a second until their mail is taken."""
    del runs, seconds
    clock = Clock()
    daemon = stand.start(smtp=clock)
    stand.kind = None
    daemon.ctl("pause", "channel", "email")
    stand.measure("--conns", 4, "--batch", 10, seconds=1)
    got = stand.measure("--conns", 1, "--batch", 1, "--rate", 50, seconds=21)
    table.add("light", "answer p50 at 50 events/s", got["p50"], "ms", None, 1.6, note=f"{got['events']:.0f} samples")
    table.add("light", "answer p99 at 50 events/s", got["p99"], "ms", None, 4)
    stand.sql("update message set state = 'withdrawn' where state = 'ready'")
    daemon.ctl("resume", "channel", "email")
    posted = {}
    for i in range(300):
        key = f"order-{i:05d}"
        since = time.perf_counter()
        assert daemon.post({"id": key, "type": "order.placed", "data": {
            "customer": {"id": f"c{i}"}, "lot": 1, "order_id": f"{key}-end", "total": 9.5, "products": [
                {"product_id": "1", "name": "Kettle", "price": 9.5, "quantity": 1}]}})[0] == 200
        posted[key.encode()] = since
        time.sleep(max(0, 0.05 - (time.perf_counter() - since)))
    system.until(lambda: set(posted) <= set(clock.taken), 30)
    took = sorted((clock.taken[k] - since) * 1000 for k, since in list(posted.items())[20:])
    table.add("light", "event to mail taken, p50", median(took), "ms", note=f"{len(took)} samples, 20 a second")
    table.add("light", "event to mail taken, p99", took[len(took) * 99 // 100], "ms", None, 50)
    clock.close()


def mail(stand, table, runs, seconds):
    """Four couriers and what a load left to be sent."""
    del runs
    daemon = stand.start(smtp=None)
    stand.kind = None
    stand.load("--conns", 4, "--batch", 100, seconds=max(5, 2 * seconds))
    daemon.stop()
    n = stand.sql("select count(*) from message where state = 'ready'")[0][0]
    sink = Sink()
    daemon.sections["mail"].update(couriers=4, port=sink.port)
    daemon.write()
    daemon.start()
    sent = lambda: daemon.metric("nudged_actions_total", 'channel="email"', 'state="sent"')  # noqa: E731
    try:
        system.until(lambda: sent() > n // 10, 60)
        couriers = [pid for name, pid in daemon.children().items() if name.startswith("mail")]
        used = {"courier": lambda: sum(cpu(p) for p in couriers), "engine": daemon.engine_cpu,
                "Postgres": stand.postgres_cpu,
                "sink": lambda: cpu(sink.process.pid) + sum(cpu(p) for p in children(sink.process.pid))}
        before, first, since = {k: f() for k, f in used.items()}, sent(), time.monotonic()
        # not often: each look costs Postgres some milliseconds
        system.until(lambda: sent() > n * 8 // 10, 120, 1)
        many, took = sent() - first, time.monotonic() - since
        table.add("mail", "mails handed over, 4 couriers", many / took, "mails/s", 1500, note=" ".join(
            f"{k} {(f() - before[k]) / many * 1e6:.0f}" for k, f in used.items()) + " us each")
        failed = stand.sql("select count(*) from message where state not in ('ready', 'sending', 'sent')")[0][0]
        assert failed == 0, f"{failed} mails were not sent"
    finally:
        daemon.stop()
        end(sink.process)


# ---- timers ----

def clones(stand, rule, n, spread_s):
    """n rows like the one chain of the rule that waits, each of a customer of its own."""
    stand.sql(f"""
        insert into chain (id, customer, store, rule, key, text_hash, level, state, started, wake_at, awaits, exits, open,
            reason, event, history, arrived)
        select nextval('batch_no') << 17, c.id, h.store, h.rule, h.key, h.text_hash, h.level, h.state, h.started,
            now() + interval '1 day' + random() * interval '{spread_s} s', h.awaits, h.exits, h.open, h.reason,
            jsonb_set(h.event::jsonb, '{{data,again}}', (row_number() over () % 2 = 0)::text::jsonb)::json, h.history,
            h.arrived
        from (select * from chain where rule = '{rule}' order by id limit 1) h,
            (select id from customer where not hidden order by md5(id::text) limit {n}) c""")


def one_chain(stand, rule):
    assert stand.daemon.post({"id": f"first-{rule}", "type": f"bench.{rule}", "data": {
        "customer": {"id": "c0"}, "again": True}})[0] == 200
    stand.sql("update chain set wake_at = now() + interval '30 days' where rule = %s", rule)


def settle(stand):
    for text in ("vacuum (analyze) chain", "vacuum (analyze) customer", "checkpoint"):
        stand.sql(text)


def grow_chain(stand, steps):
    """Wakes the one long chain until its history has so many steps."""
    while True:
        history = stand.sql("select history from chain where rule = 'long'")[0][0]
        have = sum(len(stretch["s"]) for stretch in history)
        if have >= steps:
            return have
        stand.sql("update chain set wake_at = now() where rule = 'long'")
        system.until(lambda n=have: sum(len(s["s"]) for s in stand.sql(
            "select history from chain where rule = 'long'")[0][0]) > n, 20, 0.005)


def wake(stand, table, what, n, ahead_s, spread_s):
    """Makes n chains due within a moment and waits until all are done; due chains a second."""
    daemon = stand.daemon
    stand.sql("create table if not exists public.due (id bigint primary key, wake_at timestamptz)")
    stand.sql("truncate public.due")
    stand.sql(f"""with u as (update chain set wake_at = clock_timestamp() + interval '{ahead_s} s'
            + random() * interval '{spread_s} s'
        where id in (select id from chain where rule = %s and wake_at > now() + interval '1 hour' order by id limit %s)
        returning id, wake_at) insert into public.due select id, wake_at from u""", what, n)
    before, engine, postgres = daemon.metric("nudged_chains_woken_total"), daemon.engine_cpu(), stand.postgres_cpu()
    system.until(lambda: daemon.metric("nudged_chains_woken_total") - before >= n, 300, 0.1)
    engine, postgres = daemon.engine_cpu() - engine, stand.postgres_cpu() - postgres
    rows = stand.sql("""select min(d.wake_at), count(l.id), max(coalesce(l.ended, (h.history -> -1 -> 's' -> -1 -> 2 ->> 'at')
            ::bigint * interval '1 us' + timestamptz 'epoch')),
            count(*) filter (where coalesce(l.ended, (h.history -> -1 -> 's' -> -1 -> 2 ->> 'at')::bigint
                * interval '1 us' + timestamptz 'epoch') < d.wake_at)
        from public.due d left join chain_log l on l.id = d.id left join chain h on h.id = d.id""")
    first, ended, last, early = rows[0]
    return {"seconds": (last - first).total_seconds(), "ended": ended, "early": early,
            "engine_us": engine / n * 1e6, "postgres_us": postgres / n * 1e6}


def polls(stand):
    """What the engine's own looks for due work cost in Postgres, in ms: all of one look together."""
    stand.sql("select public.pg_stat_statements_reset()")
    time.sleep(3)
    rows = stand.sql("select sum(mean_exec_time), min(calls) from public.pg_stat_statements where calls > 3 and "
                     "(query like '%%for no key update of c skip locked%%' or query like '%%cross join lateral (select x.id%%' "
                     "or query like 'select least((select min(h.wake_at)%%')")
    return rows[0]


def waiting(stand):
    """A daemon and a million chains that wait; the engine's memory before they were there."""
    stand.preload()
    daemon = stand.start(rules=RULES, customers=0, limits={"catch_up": 100000, "due": 500}, mail={"couriers": 0},
                         database={"poll": "10ms"})
    stand.kind = None
    stand.sql("create extension if not exists pg_stat_statements schema public")
    stand.sql("insert into customer (id, base, created_at, last_seen_at) select nextval('customer_no'), 'main', now(), "
              "now() from generate_series(1, %s)", SIZES["waiting"])
    one_chain(stand, "waiting")
    one_chain(stand, "long")
    empty = rss(list(daemon.engines().values())[0])
    clones(stand, "waiting", SIZES["waiting"], 3600)
    settle(stand)
    return empty


def timers(stand, table, runs, seconds):
    empty = waiting(stand)
    engine = list(stand.daemon.engines().values())[0]
    time.sleep(2)
    n = stand.sql("select count(*) from chain")[0][0]
    poll, calls = polls(stand)
    table.add("timers", f"poll with nothing due, {n:,} waiting", poll, "ms", None, 0.1, note=f"all four statements, {calls} polls, each 10 ms")
    got = wake(stand, table, "waiting", SIZES["due"], 6, 1)
    assert got["ended"] == SIZES["due"] // 2, got
    table.add("timers", f"{SIZES['due']:,} due within a second: early", got["early"], "chains", None, 0)
    table.add("timers", "claimed, resumed and written", SIZES["due"] / got["seconds"], "chains/s", 15000, note=
              f"engine {got['engine_us']:.0f}, Postgres {got['postgres_us']:.0f} us each")
    table.add("timers", "engine's memory", rss(engine), "MiB", None, 48, note=f"{empty:.1f} before")
    steps = grow_chain(stand, 50)
    clones(stand, "long", SIZES["long"], 3600)
    settle(stand)
    got = wake(stand, table, "long", SIZES["long"], 2, 0)
    table.add("timers", f"chain of {steps} steps resumed", got["seconds"] / SIZES["long"] * 1000, "ms", None, 2,
              note=f"engine {got['engine_us']:.0f}, Postgres {got['postgres_us']:.0f} us each")
    restart(stand, table, runs, seconds)


def restart(stand, table, runs, seconds):
    """Orderly end and start with all that waits."""
    del seconds
    if stand.daemon is None or stand.sql("select count(*) from chain")[0][0] < SIZES["waiting"] // 2:
        waiting(stand)
    daemon, took = stand.daemon, []
    for _ in range(runs):
        daemon.stop()
        since = time.monotonic()
        daemon.start(ready=False)
        system.until(daemon.is_ready, 30, 0.005)
        took.append(time.monotonic() - since)
    n = stand.sql("select count(*) from chain")[0][0]
    table.add("restart", f"with {n:,} waiting, until ready", median(took), "s", None, 1)


