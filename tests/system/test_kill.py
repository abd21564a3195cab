"""P1, P6, P14: kill -9 at every step of the intake and of the courier, under load by HTTP and MQTT.

Nothing that was acknowledged is lost, no effect happens twice, a mail is at the server once or its message is in
doubt.  The seed of the run is printed; NUDGED_SEED repeats it.
"""

import collections
import http.client
import json
import os
import random
import signal
import threading
import time

import paho.mqtt.client as mqtt
import pytest

import broker as broker_module
from broker import Broker
from cluster import Postgres, find_bin
from daemon import LONG, Client, Daemon, Load, has_failpoints, until
from smtpd import Smtpd

pytestmark = [
    pytest.mark.skipif(not has_failpoints(), reason="no nudged with --enable-failpoints in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
    pytest.mark.skipif(not broker_module.find_program(), reason="no mosquitto is installed"),
]

RULES = {"rules.lua": '''
rule "counts" {
  about = "one number per customer", on = "order.placed", mode = "parallel", class = "transactional",
  run = function(order, customer)
    set { n = (customer.attributes.n or 0) + 1 }
    note("counts " .. order.meta.id)
  end,
}
rule "mails" {
  about = "one mail per order of some", on = on("order.placed", { coupon = "mail" }), mode = "parallel",
  class = "transactional",
  run = function(order) email { template = "order", with = { id = order.meta.id } } end,
}
rule "waits" {
  about = "a chain with a timer", on = "cart.updated", mode = "parallel", class = "transactional",
  run = function(cart)
    wait "1s"
    note("waits " .. cart.meta.id)
  end,
}
'''}
TEMPLATES = {"order.en.html": "<title>{{ with.id }}</title><p>Thank you</p>"}

POINTS = ["flow.asked", "flow.made", "flow.loaded", "flow.judged", "flow.saving", "flow.saved",
          "join.loaded", "join.saving", "join.saved",
          "due.loaded", "due.judged", "due.saving", "due.saved", "events.before_answer",
          "mqtt.before_ack", "mqtt.acking", "mqtt.acked",
          "claim.before_commit", "claim.after_commit", "mail.before_body", "mail.after_body",
          "mail.before_record", "mail.after_record"]
ROUNDS = 2000 if LONG else 200


def make_event(n, prefix="e"):
    """The n-th: orders of few customers, carts, now and then a new customer, and carts of browsers whose order
    tells later who they were (their two cards are joined)."""
    who = {"email": f"new{n}@x.test" if n % 7 == 0 else f"c{n % 50}@x.test"}
    if n % 12 == 4:
        who = {"anonymous_id": f"{prefix}a{n}"}
    elif n % 12 == 10 and n > 6:
        who["anonymous_id"] = f"{prefix}a{n - 6}"
    event = {"id": f"{prefix}{n}", "data": {"customer": who}}
    if n % 4 == 0:
        event["type"] = "cart.updated"
        event["data"]["total"] = n
    else:
        event["type"] = "order.placed"
        event["data"].update(order_id=f"o{prefix}{n}", total=1, coupon="mail" if n % 8 == 1 else "no")
    return event


class Publisher(threading.Thread):
    """Publishes m0, m1, ... with QoS 1; what the broker took must arrive."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.n, self.ended = 0, threading.Event()
        self.sent = {}

    def run(self):
        while not self.ended.wait(0.05):
            infos = []
            for _ in range(4):
                event = make_event(self.n, "m")
                infos.append(self.client.publish("nudged/main/events/x", json.dumps(event), qos=1))
                self.sent[event["id"]] = event
                self.n += 1
            for info in infos:
                try:
                    info.wait_for_publish(20)
                except RuntimeError:  # the broker is away: the client keeps it and sends it when it is back
                    self.ended.wait(0.2)

    def stop(self):
        """No more; what is under way still goes out."""
        self.ended.set()
        self.join(30)

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def left(d):
    """What is still to be done."""
    return {"chains": d.sql("select id, state, wake_at, now() from chain where rule = 'waits' limit 3"),
            "messages": d.sql("select id, state, code, due, now(), attempts from message "
                              "where state in ('ready', 'sending') limit 3"),
            "inbox": d.sql("select id, type, due, now() from inbox limit 3")}


def wait_settled(d, seconds=60):
    try:
        until(lambda: not any(left(d).values()), seconds, 0.2)
    except AssertionError:
        raise AssertionError(f"not done: {left(d)}") from None


def check(d, smtp, sent):
    """sent: events by id that must be there."""
    stored = d.events()
    own = {i for i in stored if not i.startswith(("inbox:", "emit"))}
    assert set(sent) - stored == set(), "acknowledged and lost"
    events = {i: t for i, t in d.sql("select id, type from event where type in ('order.placed', 'cart.updated')")}
    assert set(events) <= own and len(events) == len(sent)
    orders = {i for i, t in events.items() if t == "order.placed"}
    notes = collections.Counter(r[0] for r in d.sql("select text from note"))
    expected = {f"counts {i}" for i in orders} | {f"waits {i}" for i in set(events) - orders}
    assert set(notes) == expected, (len(notes), len(expected), sorted(set(notes) ^ expected)[:5])
    assert set(notes.values()) == {1}, [n for n, times in notes.items() if times > 1][:5]
    assert d.value("select sum((attributes ->> 'n')::int) from customer") == len(orders)
    assert d.value("select count(*) from chain_log where rule = 'waits'") == len(events) - len(orders)
    assert d.value("select count(*) from identity i join customer c on c.id = i.customer where c.merged_into <> 0") == 0
    assert d.value("select count(*) from quarantine") == 0 and d.value("select count(*) from conflict") == 0
    mails = {i for i in orders if sent[i]["data"]["coupon"] == "mail"}
    messages = d.sql("select data -> 'with' ->> 'id', state from message")
    assert sorted(m for m, _ in messages) == sorted(mails), "a message per order, no more"
    arrived = collections.Counter(m.header("Subject") for m in smtp.messages)
    for order, state in messages:
        if state == "sent":
            assert arrived[order] == 1, (order, state, arrived[order])
        else:
            assert state == "in_doubt" and arrived[order] <= 1, (order, state, arrived[order])
    doubts = [m for m, state in messages if state == "in_doubt"]
    return len(events), len(messages), len(doubts)


def check_cards(d, sent):
    """Two engines that hear of a person's two keys in one moment leave two cards; the next event that brings
    both keys joins them.  So: one such event for each, and then there is one card per person."""
    both = [e["data"]["customer"] for e in sent.values() if len(e["data"]["customer"]) == 2]
    for i in range(0, len(both), 100):
        d.settle([{"id": f"both{i + k}", "type": "page.viewed", "data": {"customer": who}}
                  for k, who in enumerate(both[i:i + 100])])
    twins = d.sql("select c.id, c.email, (select json_agg(json_build_array(i.kind, i.value)) from identity i "
                  "where i.customer = c.id) from customer c where merged_into = 0 and email in "
                  "(select email from customer where merged_into = 0 group by 1 having count(*) > 1)")
    assert not twins, twins
    shown = [who["anonymous_id"] for who in both]
    others = d.sql("select i.value, i.kind, c.id, c.email, c.merged_into, c.first_source from (select unnest(%s) "
                   "as value) s left join identity i using (value) left join customer c on c.id = i.customer "
                   "where c.email is null", shown)
    assert not others, (len(others), len(shown), others[:5])


def test_what_dies_before_the_commit_has_said_nothing(tmp_path):
    """P1, P6: an engine that dies before the commit has acknowledged nothing and leaves nothing behind, so the second
    try is the first: the event is accepted, with its chain."""
    with Postgres() as pg:
        d = Daemon(pg, tmp_path, RULES, TEMPLATES, database={"poll": "100ms"})
        try:
            d.start()
            for n, point in enumerate(["flow.loaded", "flow.judged", "save.sent"]):
                event = {"id": f"p{n}", "type": "cart.updated", "data": {"customer": {"email": f"p{n}@x.test"}}}
                d.fail(f"{point}:1")
                try:
                    status = Client(d.port).post(event)[0]
                except (OSError, http.client.HTTPException):
                    status = None
                until(d.has_failed)
                assert status != 200, f"acknowledged at {point}"
                assert d.settle([event]) == ["accepted"], f"stored in part at {point}"
                until(lambda: d.sql("select text from note where text = %s", f"waits p{n}"), 20)
            assert sorted(r[0] for r in d.sql("select text from note")) == ["waits p0", "waits p1", "waits p2"]
        finally:
            d.close()


def test_no_acknowledged_event_is_lost_on_kill9(tmp_path):
    seed = int(os.environ.get("NUDGED_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    points = [POINTS[i % len(POINTS)] for i in range(ROUNDS)]
    rng.shuffle(points)
    hits, deaths, lives = collections.Counter(), 0, 1
    with Postgres() as pg, Broker() as broker, Smtpd() as smtp:
        d = Daemon(pg, tmp_path, RULES, TEMPLATES, engines=2, smtp=smtp, broker=broker,
                   mqtt={"takeover": "100ms"}, database={"poll": "100ms"})
        try:
            d.start()
            load = Load(d, make_event, threads=2, batch=5, pause=0.02).start()
            until(lambda: "room=mqtt msg=\"connected" in d.log())  # there is a session from now on
            publisher = Publisher(broker.port)
            publisher.start()
            for point in points:
                d.fail(f"{point}:{rng.randint(1, 3)}")
                until(d.has_failed, 30, 0.005)
                hits[point] += 1
                deaths += 1
                if deaths == 8:  # before the pauses between restarts grow; a fault of its own
                    d.kill()
                    d.start(ready=False)
                    deaths, lives = 0, lives + 1
            acknowledged = load.stop()
            publisher.stop()
            sent = {i: make_event(int(i[1:])) for i in acknowledged}
            sent.update(publisher.sent)
            d.wait_ready(40)
            try:
                until(lambda: set(sent) <= d.events(), 30, 0.2)
            except AssertionError:
                lost = set(sent) - d.events()
                raise AssertionError(f"{len(lost)} of {len(sent)} lost: {sorted(lost)[:20]}, "
                                     f"acknowledged by HTTP: {sorted(lost & acknowledged)}") from None
            wait_settled(d)
            time.sleep(0.5)
            events, messages, doubts = check(d, smtp, sent)
            check_cards(d, sent)
            publisher.close()
            print(f"{ROUNDS} rounds, {lives} lives, {events} events, {messages} mails, {doubts} in doubt; {dict(hits)}")
            assert all(hits[p] >= 5 for p in POINTS)
            assert "deadlock detected" not in pg.log_text()
        except AssertionError:
            print(d.log()[-6000:])
            raise
        finally:
            d.close()


class Faults:
    """What may happen to a daemon from outside, at random."""

    def __init__(self, d, pg, broker, rng):
        self.d, self.pg, self.broker, self.rng = d, pg, broker, rng
        self.names = ["kill_child", "kill_child", "freeze_child", "kill_daemon", "stop_daemon", "reload", "stop_postgres",
                      "kill_backend", "end_backends", "restart_broker"]
        self.count = collections.Counter()

    def one(self):
        name = self.rng.choice(self.names)
        getattr(self, name)()
        self.count[name] += 1
        time.sleep(self.rng.uniform(0.1, 0.8))

    def child(self):
        return self.rng.choice([p for n, p in self.d.children().items() if n != "checker"] or [0])

    def kill_child(self):
        pid = self.child()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def freeze_child(self):
        pid = self.child()
        if pid:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.rng.uniform(0.2, 3.5))
            if pid in self.d.children().values():
                os.kill(pid, signal.SIGCONT)

    def kill_daemon(self):
        self.d.kill()
        self.d.start(ready=False)

    def stop_daemon(self):
        self.d.stop()
        self.d.start(ready=False)

    def reload(self):
        time.sleep(0.2)
        self.d.reload()

    def stop_postgres(self):
        self.pg.stop("immediate")
        time.sleep(self.rng.uniform(0, 2))
        self.pg.start()

    def kill_backend(self):
        pids = self.pg.backends()
        if pids:
            os.kill(self.rng.choice(pids), signal.SIGKILL)
            time.sleep(0.3)  # Postgres restarts all of them

    def end_backends(self):
        try:
            self.pg.terminate_backends()
        except RuntimeError:
            pass

    def restart_broker(self):
        self.broker.stop()
        self.broker.start()


def test_random_faults_together(tmp_path):
    """P1, P6, P14, P18: everything at once, from outside; the same sums at the end."""
    seed = int(os.environ.get("NUDGED_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    with Postgres({"max_connections": "100"}) as pg, Broker() as broker, Smtpd() as smtp:
        d = Daemon(pg, tmp_path, RULES, TEMPLATES, engines=3, smtp=smtp, broker=broker, mqtt={"takeover": "200ms"},
                   database={"poll": "100ms", "idle_timeout": "2s"}, mail={"couriers": 2}, nudged={"stall_timeout": "60s"})
        try:
            d.start()
            faults = Faults(d, pg, broker, random.Random(seed))
            until(lambda: "room=mqtt msg=\"connected" in d.log())
            load = Load(d, make_event, threads=3, batch=5, pause=0.02).start()
            publisher = Publisher(broker.port)
            publisher.start()
            end = time.monotonic() + (600 if LONG else 35)
            while time.monotonic() < end:
                faults.one()
            d.kill()  # children that rest for long after many deaths begin anew
            d.start(seconds=40)
            acknowledged = load.stop()
            publisher.stop()
            sent = {i: make_event(int(i[1:])) for i in acknowledged}
            sent.update(publisher.sent)
            until(lambda: set(sent) <= d.events(), 60, 0.2)
            wait_settled(d)
            events, messages, doubts = check(d, smtp, sent)
            check_cards(d, sent)
            publisher.close()
            print(f"{sum(faults.count.values())} faults {dict(faults.count)}, {events} events, {messages} mails, "
                  f"{doubts} in doubt")
            assert "deadlock detected" not in pg.log_text()
        except Exception:
            print(d.log()[-6000:])
            raise
        finally:
            d.close()
