"""P1, P5, P18 by MQTT, with whole daemons: outage of Postgres, of the broker, of the engine that holds the session."""

import collections
import json
import os
import re
import signal
import threading
import time

import pytest

import broker as broker_module
from broker import Broker
from cluster import Postgres, find_bin
from daemon import LONG, Load, is_built, until

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
    pytest.mark.skipif(not broker_module.find_program(), reason="no mosquitto is installed"),
]

TOPIC = "nudged/main/events/x"
COUNT = {"count.lua": '''
rule "counts" {
  about = "one number per customer", on = "page.viewed", mode = "parallel", class = "transactional",
  run = function(page, customer)
    set { n = (customer.attributes.n or 0) + 1 }
    note("counts " .. page.meta.id)
  end,
}
'''}


@pytest.fixture
def pg():
    with Postgres() as cluster:
        yield cluster


@pytest.fixture
def broker():
    with Broker() as b:
        yield b


def event(i):
    return {"id": i, "type": "page.viewed", "data": {"customer": {"email": f"c{hash(i) % 50}@x.test"}}}


def lines(prefix, n):
    return [json.dumps(event(f"{prefix}{i}")) for i in range(n)]


def connected(d, times=1):
    until(lambda: len(re.findall('room=mqtt msg="connected', d.log())) >= times, 20)


def check_once(d, ids, seconds=60):
    until(lambda: d.value("select count(*) from event where id = any(%s)", list(ids)) == len(ids), seconds, 0.1)
    notes = collections.Counter(r[0] for r in d.sql("select text from note"))
    assert {f"counts {i}" for i in ids} <= set(notes) and set(notes.values()) == {1}
    assert d.value("select sum((attributes ->> 'n')::int) from customer") == sum(notes.values())
    assert d.value("select count(*) from quarantine") == 0


def test_mqtt_outage(daemon, pg, broker):
    """Postgres stopped for a minute, 5,000 messages queued at the broker as we ship it: all arrive, once."""
    d = daemon(COUNT, engines=2, broker=broker).start()
    connected(d)
    broker.publish(TOPIC, lines("a", 300))
    pg.stop("immediate")
    since = time.monotonic()
    broker.publish(TOPIC, lines("b", 5000))
    assert d.client.ask("POST", "/events", [event("x")])[0] == 503
    time.sleep(max(0.0, 60 - (time.monotonic() - since)))
    pg.start()
    back = time.monotonic()
    ids = {f"a{i}" for i in range(300)} | {f"b{i}" for i in range(5000)}
    check_once(d, ids)
    took = time.monotonic() - back
    print(f"5,300 messages, {time.monotonic() - since - took:.0f} s without Postgres, all in {took:.1f} s later")


def test_mqtt_seat_takeover(daemon, broker):
    """Two engines by HTTP and MQTT; the one that holds the session is killed: taken over in 5 s, nothing lost."""
    d = daemon(COUNT, engines=2, broker=broker, mqtt={"takeover": "1s"}).start()
    connected(d)
    load = Load(d, lambda n: event(f"h{n}"), threads=2, batch=5, pause=0.01).start()
    ended, sent, slowest = threading.Event(), [], 0.0

    def publish():
        while not ended.is_set():
            more = lines(f"p{len(sent)}_", 50)
            broker.publish(TOPIC, more)
            sent.extend(json.loads(line)["id"] for line in more)
            time.sleep(0.02)

    publisher = threading.Thread(target=publish)
    publisher.start()
    for _ in range(6 if LONG else 3):
        time.sleep(0.7)
        holder = int(re.findall(r'pid=(\d+) room=mqtt msg="connected', d.log())[-1])
        assert holder in d.engines().values()
        times = len(re.findall('room=mqtt msg="connected', d.log()))
        since = time.monotonic()
        os.kill(holder, signal.SIGKILL)
        connected(d, times + 1)
        slowest = max(slowest, time.monotonic() - since)
    ended.set()
    publisher.join(30)
    acknowledged = load.stop()
    check_once(d, set(sent) | acknowledged)
    print(f"{len(sent)} by MQTT, {len(acknowledged)} by HTTP; the session was taken over in {slowest:.1f} s at most")
    assert slowest <= 5


def test_broker_restart_and_kill(daemon, broker):
    """An orderly restart loses nothing; a killed broker what it had not saved and nudged had not got."""
    d = daemon(COUNT, engines=2, broker=broker).start()
    connected(d)
    broker.publish(TOPIC, lines("a", 1000))
    broker.stop()
    broker.start()
    broker.publish(TOPIC, lines("b", 1000))
    check_once(d, {f"a{i}" for i in range(1000)} | {f"b{i}" for i in range(1000)})
    time.sleep(2.2)  # the broker saves every second: the session stands on its disk
    broker.kill()
    times = len(re.findall('room=mqtt msg="connected', d.log()))
    broker.start()
    connected(d, times + 1)
    broker.publish(TOPIC, lines("c", 1000))
    check_once(d, {f"c{i}" for i in range(1000)})
