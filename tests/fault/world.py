"""A world: hosts (whole daemons) on one database, a load over HTTP and MQTT, an SMTP server and a subscriber as peers.

    with Postgres() as pg, Broker() as broker, World(pg, broker, path, engines=2) as w:
        w.start()
        ...                             # anything that may happen: w.kill(host), w.kill_child(...)
        w.settle()                      # no more load; everybody is started anew; all that is to be done is done
        complaints = Checker(gather(w)).complaints()

What the rules make of the events is what checker.py expects; change them together.
"""

import http.client
import json
import os
import re
import signal
import threading
import time

import paho.mqtt.client as mqtt

from checker import Ledger
from daemon import Client, Daemon, until
from smtpd import Smtpd

RULES = {"rules.lua": '''
rule "counts" {
  about = "one number per customer", on = "order.placed", mode = "parallel", class = "transactional",
  run = function(order, customer)
    set { n = (customer.attributes.n or 0) + 1 }
    note("counts " .. order.meta.id)
  end,
}
rule "mails" {
  about = "a mail, and a line when it has gone", on = on("order.placed", { coupon = "mail" }), mode = "parallel",
  class = "transactional",
  run = function(order)
    local mail = email { template = "order", with = { id = order.meta.id }, expires = "7d" }
    if wait("7d", mail.sent) and count("order.placed") > 0 then note("told " .. order.meta.id) end
  end,
}
rule "offers" {
  about = "for those who agreed to it", on = on("order.placed", { coupon = "offer" }), mode = "parallel",
  class = "marketing",
  run = function(order) email { template = "offer", with = { id = order.meta.id } } end,
}
rule "papers" {
  about = "back to the store", on = on("order.placed", { coupon = "paper" }), mode = "parallel",
  class = "transactional",
  run = function(order) publish("papers", { id = order.meta.id }) end,
}
rule "tasks" {
  about = "for a person", on = on("order.placed", { coupon = "task" }), mode = "parallel", class = "transactional",
  run = function(order) task { title = "task " .. order.meta.id, group = "sales" } end,
}
rule "waits" {
  about = "a chain with a timer", on = "cart.updated", mode = "parallel", class = "transactional",
  run = function(cart)
    wait "1s"
    if count("cart.updated") > 0 then note("waits " .. cart.meta.id) end
  end,
}
rule "asks" {
  about = "a question in every event", on = "page.viewed", mode = "parallel", class = "transactional",
  run = function(page)
    if count("page.viewed") > 0 then note("asks " .. page.meta.id) end
  end,
}
'''}
TEMPLATES = {"order.en.html": "<title>{{ with.id }}</title><p>Thank you</p>",
             "offer.en.html": '<title>{{ with.id }}</title><p>Buy!</p><a href="{{ unsubscribe_url }}">no</a>'}


def make_event(n, prefix="e", people=50):
    """The n-th: orders of so many customers, carts, pages, now and then a new customer, and carts of browsers whose order
    tells later who they were (their two cards are joined)."""
    r = n % 24
    who = {"email": f"new{n}@x.test" if n % 7 == 0 else f"c{n % people}@x.test"}
    data = {"customer": who, "total": 1 + n % 9}
    event = {"id": f"{prefix}{n}", "data": data}
    if n % 12 == 4:
        data["customer"] = {"anonymous_id": f"{prefix}a{n}"}
    elif n % 12 == 10 and n > 6:
        who["anonymous_id"] = f"{prefix}a{n - 6}"
    if r % 4 == 0:
        event["type"] = "cart.updated"
    elif r in (2, 14):
        event["type"] = "page.viewed"
    else:
        event["type"] = "order.placed"
        data.update(order_id=f"o{prefix}{n}",
                    coupon={1: "mail", 17: "mail", 5: "offer", 9: "offer", 13: "offer", 3: "paper", 15: "paper",
                            7: "task"}.get(r, "no"))
        if data["coupon"] == "offer":
            data["customer"] = {"email": f"{'yes' if n // 24 % 3 else 'no'}{n % 30}@x.test"}
    return event


# who may get offers
AGREED = [{"id": f"agreed{k}", "type": "customer.updated",
           "data": {"customer": {"email": f"yes{k}@x.test"}, "consent": {"email": True}}} for k in range(30)]


class Poster(threading.Thread):
    """Posts batches until each is acknowledged; now and then one again, or another event with a known id."""

    def __init__(self, world, number, batch=5, pause=0.03):
        super().__init__(daemon=True)
        self.world, self.ledger, self.number, self.batch, self.pause = world, world.ledger, number, batch, pause
        self.ended, self.error, self.n = threading.Event(), None, 0
        self.client = None

    def settle(self, events):
        """As a store does: again after 429, 503 and a broken connection, to whoever listens."""
        since = time.monotonic()
        while True:
            verdicts = self.post(events)
            if verdicts is not None:
                return verdicts
            assert time.monotonic() - since < 120, "events could not be settled within 120 s"
            self.turn_away()
            time.sleep(0.03)

    def turn_away(self):
        """The next time to another host."""
        self.n += 1

    def post(self, events):
        """Once: the verdicts, or None when it must be tried again."""
        host = self.world.hosts[(self.number + self.n) % len(self.world.hosts)]
        if self.client is None or self.client.port != host.port:
            self.hang_up()
            self.client = Client(host.port, timeout=15)
        try:
            status, verdicts = self.client.post(events)
        except (OSError, http.client.HTTPException):
            self.hang_up()
            return None
        assert status in (200, 429, 503), f"the answer to good events is {status}"
        return verdicts

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def one(self, turn):
        events = self.world.take(self.batch)
        self.ledger.trying(events)
        self.ledger.answered(events, self.settle(events))
        if turn % 8 == 0:
            self.ledger.answered(events, self.settle(events), again=True)
        if turn % 16 == 0:
            other = json.loads(json.dumps(events[0]))
            other["data"]["total"] = 1000
            self.ledger.conflicted(other, self.settle([other])[0])
        if turn % 3 == 0:
            self.hang_up()

    def run(self):
        turn = 0
        try:
            while not self.ended.is_set():
                turn += 1
                self.one(turn)
                self.ended.wait(self.pause)
        except Exception as error:  # told by World.settle
            self.error = error
        finally:
            self.hang_up()


class Publisher(threading.Thread):
    """Publishes m0, m1, ... with QoS 1; what the broker took must arrive."""

    def __init__(self, world, pause=0.1, batch=4):
        super().__init__(daemon=True)
        self.world, self.pause, self.batch = world, pause, batch
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        self.client.connect("127.0.0.1", world.broker.port)
        self.client.loop_start()
        self.n, self.ended = 0, threading.Event()

    def run(self):
        while not self.ended.wait(self.pause):
            infos = []
            for _ in range(self.batch):
                event = make_event(self.n, "m")
                infos.append(self.client.publish(f"{self.world.topic}/main/events/x", json.dumps(event), qos=1))
                self.world.ledger.published(event)
                self.n += 1
            for info in infos:
                try:
                    info.wait_for_publish(20)
                except RuntimeError:  # the broker is away: the client keeps it and sends it when it is back
                    self.ended.wait(0.2)

    def stop(self):
        self.ended.set()
        self.join(60)

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


class World:
    """hosts daemons with so many engines and couriers each."""

    count = 0

    def __init__(self, pg, broker, path, hosts=1, engines=2, mail=1, publish=1, resend=False, posters=2, batch=5,
                 pause=0.03, people=50, **sections):
        World.count += 1
        self.pg, self.broker, self.resend, self.people = pg, broker, resend, people
        self.ledger, self.smtp, self.papers = Ledger(), Smtpd(), []
        self.topic = f"world{World.count}"
        self.lock, self.next, self.own_deaths, self.made = threading.Lock(), 0, [], 0
        merged = {"mqtt": {"topic": self.topic, "client_id": self.topic, "takeover": "100ms"},
                  "database": {"poll": "100ms"}, "nudged": {"stall_timeout": "60s"},
                  "mail": {"couriers": mail, "resend_in_doubt": "yes" if resend else "no"}}
        for name, values in sections.items():
            merged.setdefault(name, {}).update(values)
        self.hosts = []
        for i in range(hosts):
            more = {**merged, "publish": {"couriers": publish, "client_id": f"{self.topic}-{i}"}}
            self.hosts.append(Daemon(pg, path, RULES, TEMPLATES, engines=engines, smtp=self.smtp, broker=broker,
                                     beside=self.hosts[0] if self.hosts else None, **more))
        self.posters = [Poster(self, i, batch, pause) for i in range(posters)]
        self.publisher = None
        self.reader = mqtt.Client(client_id=f"{self.topic}-reader", protocol=mqtt.MQTTv5)
        self.reader.on_message = lambda c, u, m: self.papers.append(json.loads(m.payload)["id"])
        self.reader.connect("127.0.0.1", broker.port)
        self.reader.subscribe(f"{self.topic}/main/papers", qos=1)
        self.reader.loop_start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for thread in self.posters:
            thread.ended.set()
        if self.publisher:
            self.publisher.ended.set()
            self.publisher.close()
        self.reader.loop_stop()
        self.reader.disconnect()
        for host in reversed(self.hosts):
            host.close()
        self.smtp.close()

    def sql(self, text, *args):
        return self.hosts[0].sql(text, *args)

    def take(self, n):
        with self.lock:
            first, self.next = self.next, self.next + n
        return [make_event(i, people=self.people) for i in range(first, first + n)]

    def start(self):
        """Everybody, then the load."""
        for host in self.hosts:
            host.start()
        # there is an MQTT session from now on
        until(lambda: any('room=mqtt msg="connected' in h.log() for h in self.hosts), 20)
        self.hosts[0].settle(AGREED)
        self.publisher = Publisher(self)
        for thread in [*self.posters, self.publisher]:
            thread.start()
        return self

    # faults

    def died(self, process, how):
        with self.lock:
            self.own_deaths.append((time.time(), process, how))

    def deaths(self):
        """(time, process, place) of all that died by a failpoint or by our hand (place "kill")."""
        hits = []
        path = f"{self.hosts[0].failpoint}.hits"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    place, _, at, name = line.split()
                    hits.append((int(at) / 1e6, name.split(":")[-1], place.split("/")[0]))
        return hits + self.own_deaths

    def kill_child(self, host, name, signo=signal.SIGKILL):
        pid = host.children().get(name)
        try:
            os.kill(pid or 0x7fffffff, signo)
        except ProcessLookupError:  # it has died just now
            return False
        if signo == signal.SIGKILL:
            self.died(name, "kill")
        return True

    def kill(self, host):
        """kill -9 of the parent, and with it of all its children."""
        names = [n for n in host.children() if n != "checker"]
        host.kill()
        for name in names:
            self.died(name, "kill")

    def reload(self):
        """Another text of the rules, the same rules."""
        self.made += 1
        for host in self.hosts:
            host.write_rules({"rules.lua": RULES["rules.lua"] + f"-- {self.made}\n"})
        self.hosts[0].wait_ready(60)  # before it takes signals, HUP would end it
        self.hosts[0].reload()

    # the end

    def restart(self):
        """Everybody anew: children that rest for long after many deaths, too."""
        for host in self.hosts:
            self.kill(host)
            host.start(ready=False)
        for host in self.hosts:
            host.wait_ready(60)

    def left(self):
        """Examples of what is still to be done; a chain whose mail is in doubt waits on."""
        self.age()
        return [r for text in (
            "select 'chain', id::text, rule, state, wake_at::text from chain c where not exists "
            "(select from message m where m.chain = c.id and m.state = 'in_doubt') limit 3",
            "select 'message', id::text, rule, state, due::text from message where state in ('ready', 'sending') limit 3",
            "select 'inbox', id::text, type, '', due::text from inbox limit 3") for r in self.sql(text)]

    def age(self):
        """Mail that waits its minute to be sent again does not wait."""
        self.sql("update message set due = clock_timestamp() where state = 'ready' and doubts > 0 "
                 "and due > clock_timestamp()")

    def stop_load(self):
        for thread in self.posters:
            thread.ended.set()
        self.publisher.ended.set()
        for thread in self.posters:
            thread.join(130)
            assert not thread.is_alive(), "a batch is never answered"
            if thread.error:
                raise AssertionError(f"{thread.error}") from thread.error
        self.publisher.stop()

    def wait_still(self, what, seconds):
        """Waits until what() is empty, for as long as it changes; what is left then."""
        left, end = None, 0
        while left is None or left and time.monotonic() < end:
            time.sleep(0.2 if left else 0)
            now = what()
            if now != left:
                left, end = now, time.monotonic() + seconds
        return left

    def lost(self):
        return self.ledger.must - {r[0] for r in self.sql("select id from event where origin = 0")}

    def settle(self, seconds=20, restart=True):
        """No more load; then all that has been promised must come to its end.  Patient for as long as it goes on."""
        self.hosts[0].unfail()
        if restart:
            self.restart()
        self.stop_load()
        lost = self.wait_still(self.lost, seconds)
        left = self.wait_still(self.left, seconds)
        assert not lost, f"{len(lost)} acknowledged events are not there: {sorted(lost)[:5]}"
        assert not left, f"not done, and nothing happens any more: {left}"
        papers = "select count(*) from message where channel = 'publish' and state = 'sent'"
        until(lambda: len(self.papers) >= self.sql(papers)[0][0], 10)

    # for the checker

    def missing(self):
        gone = [f"{h.port}" for h in self.hosts if not h.is_ready()]
        for host in self.hosts:
            names = [f"engine{i + 1}" for i in range(host.sections["nudged"]["engines"])]
            names += [f"mail{i + 1}" for i in range(host.sections["mail"]["couriers"])]
            names += [f"publish{i + 1}" for i in range(host.sections["publish"]["couriers"])]
            there = {n[:8] for n in host.children()}  # a process has a short name
            gone += [n for n in names if n[:8] not in there]
            # who died of himself
            gone += [line[:200] for line in host.log().splitlines()
                     if re.search(r"ended with signal (4|6|7|8|11) |stands still for", line)]
        return gone

    def sizes(self):
        """The most memory that each process ever had, in bytes."""
        sizes = []
        for host in self.hosts:
            for name, pid in host.children().items():
                try:
                    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                        kib = re.search(r"VmHWM:\s+(\d+)", file.read())
                except OSError:
                    continue
                if kib:
                    sizes.append((name, int(kib.group(1)) * 1024))
        return sizes

    def secrets(self):
        """Lines of the logs with what must not stand there."""
        bad = re.compile(r"[a-z]+\d+@x\.test|store-token|admin-token|k{24}")
        return [line[:200] for host in self.hosts for line in host.log().splitlines() if bad.search(line)]
