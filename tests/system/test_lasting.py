"""P8, P9, P19: chains that wait over restarts and changed rules; restarts under load."""

import collections
import http.client
import json
import os
import random
import re
import signal
import socket
import tempfile
import threading
import time

import pytest

from cluster import Postgres, find_bin
from daemon import COUNT, LONG, TOKEN, Client, Load, digest, is_built, until

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]

WAITS = '''
rule "waits" {
  about = "two notes with a wait between", on = "cart.updated", mode = "parallel", class = "transactional",
  run = function(cart)
    note("begun by %(v)s " .. cart.meta.id)
    wait "%(d)s"
    note("ended by %(v)s " .. cart.meta.id)
  end,
}
'''

@pytest.fixture(scope="module")
def pg():
    with Postgres({"max_connections": "80"}) as cluster:
        yield cluster


def cart(i):
    return {"id": i, "type": "cart.updated", "data": {"customer": {"email": f"{i}@x.test"}}}


def order(n):
    return {"id": f"e{n}", "type": "order.placed",
            "data": {"customer": {"email": f"c{n % 100}@x.test"}, "order_id": f"o{n}", "total": 1}}


def notes(d):
    return sorted(r[0] for r in d.sql("select text from note"))


def wake(d):
    """Ends all waits now."""
    d.sql("update chain set wake_at = clock_timestamp() where wake_at is not null")


def check_counts(d, acknowledged):
    stored = d.events("e%")
    assert acknowledged <= stored
    counted = collections.Counter(notes(d))
    assert set(counted) == {f"counts {i}" for i in stored} and set(counted.values()) <= {1}
    assert d.value("select sum((attributes ->> 'n')::int) from customer") == len(stored)


def test_chain_waits_over_a_restart_and_a_changed_rule_file(daemon):
    """The old text finishes as it began, whatever stands in the file now; new starts use the new one."""
    d = daemon({"waits.lua": WAITS % {"v": "one", "d": "30d"}}).start()
    d.settle([cart("a1"), cart("a2")])
    d.kill()
    d.write_rules({"waits.lua": WAITS % {"v": "two", "d": "20d"}})
    d.start()
    until(lambda: d.value("select count(*) from rule_set") == 2)
    d.settle([cart("b1")])
    assert notes(d) == ["begun by one a1", "begun by one a2", "begun by two b1"]
    assert d.stop() == 0
    d.start()
    d.write_rules({"waits.lua": WAITS % {"v": "three", "d": "10d"}})
    d.ctl("reload")
    d.settle([cart("c1")])
    wake(d)
    until(lambda: d.value("select count(*) from chain") == 0)
    assert notes(d) == sorted(f"{when} by {v} {i}" for when in ("begun", "ended")
                              for v, i in (("one", "a1"), ("one", "a2"), ("two", "b1"), ("three", "c1")))
    assert {r[0] for r in d.sql("select state from chain_log")} == {"done"}


def test_what_was_checked_before_the_files_changed_is_not_activated(daemon):
    """A reload that has read the files and waits must not bring old rules back when newer ones are there."""
    d = daemon({"waits.lua": WAITS % {"v": "one", "d": "30d"}}).start()
    d.write_rules({"waits.lua": WAITS % {"v": "two", "d": "30d"}})
    lock = d.connect()
    lock.autocommit = False
    lock.cursor().execute("select from current for update")
    said = []
    reload = threading.Thread(target=lambda: said.append(d.ctl("reload")))
    reload.start()
    until(lambda: d.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like "
                          "'select from current for no key update%'") == 1)
    d.write_rules({"waits.lua": WAITS % {"v": "three", "d": "30d"}})
    lock.rollback()
    reload.join(30)
    lock.close()
    assert "changed while they were checked" in said[0] and "is current now" in said[0]
    d.settle([cart("a1")])
    assert notes(d) == ["begun by three a1"]


def test_the_configuration_that_was_checked_takes_effect(daemon):
    """While the rules are still being checked the file changes once more: that is the next reload's business."""
    d = daemon(COUNT).start()
    d.settle([cart("a1")])
    tokens = {"one": "t" * 40, "two": "u" * 40}
    d.sections["store main"]["tokens"] = digest(TOKEN) + " " + digest(tokens["one"])
    d.write()
    d.write_rules({"more.lua": WAITS % {"v": "one", "d": "30d"}})
    lock = d.connect()
    lock.autocommit = False
    lock.cursor().execute("select from current for update")
    d.reload()
    until(lambda: d.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like "
                          "'select from current for no key update%'") == 1)
    d.sections["store main"]["tokens"] = digest(tokens["two"])
    d.write()
    lock.rollback()
    lock.close()

    def answers():
        return [Client(d.port, token).post([cart("a2")])[0] for token in (TOKEN, *tokens.values())]

    until(lambda: answers() == [200, 200, 401])
    d.reload()
    until(lambda: answers() == [401, 401, 200])


def test_deleted_rule_drains_its_chains(daemon):
    d = daemon({"waits.lua": WAITS % {"v": "one", "d": "30d"}, **COUNT}).start()
    d.settle([cart("a1")])
    (d.dir / "rules" / "waits.lua").unlink()
    d.ctl("reload")
    d.settle([cart("a2")])
    assert notes(d) == ["begun by one a1"]
    d.kill()
    d.start()
    wake(d)
    until(lambda: notes(d) == ["begun by one a1", "ended by one a1"])


def test_doctored_history_is_stuck_and_nothing_is_guessed(daemon):
    """P8: text and history disagree: nothing happens, both sides are shown."""
    d = daemon({"waits.lua": WAITS % {"v": "one", "d": "30d"}}).start()
    d.settle([cart("a1")])
    history = d.value("select history::text from chain")
    assert '"note"' in history, history
    d.sql("update chain set history = replace(history::text, '\"note\"', '\"email\"')::json")
    wake(d)
    until(lambda: d.sql("select state from chain") == [("stuck",)])
    reason = d.value("select reason from chain")
    assert "note" in reason and "email" in reason, reason
    assert notes(d) == ["begun by one a1"]


def test_sigterm_under_load(daemon):
    """Restarted again and again: every answer is whole, nothing acknowledged is lost, it ends within 15 s."""
    d = daemon(COUNT, engines=2).start()
    load = Load(d, order, threads=4, batch=10).start()
    slowest = 0.0
    for _ in range(20 if LONG else 5):
        time.sleep(random.uniform(0.3, 1.0))
        since = time.monotonic()
        assert d.stop() == 0, d.log()[-3000:]
        slowest = max(slowest, time.monotonic() - since)
        d.start()
    acknowledged = load.stop()
    check_counts(d, acknowledged)
    assert slowest < 15
    print(f"{len(acknowledged)} events, the slowest stop took {slowest:.2f} s")


def test_upgrade_beside_the_old_one(daemon):
    """P19: the new daemon starts beside the old one, takes over its sockets; nobody is refused or reset."""
    d = daemon(COUNT, engines=2).start()
    refused = []

    def one(client, events):
        while True:
            try:
                status, headers, answer = client.ask("POST", "/events", events)
                if status == 200:
                    return headers.get("Connection") != "close"
                refused.append((status, answer))
            except (OSError, http.client.HTTPException) as e:
                refused.append(repr(e))
            client.close()
            time.sleep(0.01)

    ended, sent = threading.Event(), []

    def run(k):
        """Each of the first two uses a connection once; the others keep theirs as long as they may, and pause."""
        n, client = 0, Client(d.port)
        while not ended.is_set():
            events = [order(k * 100000 + n + i) for i in range(5)]
            n += 5
            if not one(client, events) or k < 2:
                client.close()
                client = Client(d.port)
            elif k > 2:
                time.sleep(0.005)
            sent.extend(e["id"] for e in events)
        client.close()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for upgrade in range(3):
        time.sleep(0.5)
        old = d.process
        d.start("--beside", ready=False)
        until(lambda n=upgrade: len(re.findall('room=parent msg="?ready', d.log())) == n + 2, 15)
        old.send_signal(signal.SIGTERM)
        assert old.wait(20) == 0
        assert d.log().count("1 of 1 sockets taken over") == upgrade + 1
    ended.set()
    for t in threads:
        t.join(30)
    check_counts(d, set(sent))
    print(f"{len(sent)} events over 3 upgrades, refused: {refused}")
    assert not refused


def test_a_new_daemon_that_is_stopped_takes_nothing_away(daemon):
    """P19: an upgrade that is taken back: the old daemon serves on, and the next upgrade takes over as well."""
    with tempfile.TemporaryDirectory() as short:
        path = f"{short}/http"
        d = daemon(COUNT)
        d.sections["nudged"]["listen"] = f"127.0.0.1:{d.port}, {path}"
        d.write()
        d.start()
        old = d.process
        for upgrade in (1, 2):
            d.start("--beside", ready=False)
            until(lambda n=upgrade: len(re.findall('room=parent msg="?ready', d.log())) == n + 1, 15)
            assert d.log().count("2 of 2 sockets taken over") == upgrade
            if upgrade == 1:
                assert d.stop() == 0
                d.process = old
            else:
                old.send_signal(signal.SIGTERM)
                assert old.wait(20) == 0
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(path)
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
            assert Client(d.port).post([order(upgrade)]) == (200, ["accepted"])
        until(lambda: "the lock is ours" in d.log())
        assert d.stop() == 0
        assert not os.path.exists(path)
        assert not list((d.dir / "state").glob("*.sock"))


def test_what_had_begun_is_served_after_sigterm(daemon):
    """P19: half a head, a head without its body, a connection without a word: all of them end with 200."""
    d = daemon(COUNT).start()
    body = json.dumps(order(1)).encode()
    head = (f"POST /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    cuts = [0, 30, len(head), len(head) + 5]
    sockets = [socket.create_connection(("127.0.0.1", d.port), 10) for _ in cuts]
    for s, cut in zip(sockets, cuts):
        s.sendall((head + body)[:cut])
    # all are accepted and what they sent is read: they stood in the queue before this client
    assert d.get("/healthz")[0] == 200
    d.process.send_signal(signal.SIGTERM)
    until(lambda: "finishing what is in flight" in d.log())
    for s, cut in zip(sockets, cuts):
        s.sendall((head + body)[cut:])
    for s in sockets:
        answer = b""
        while piece := s.recv(4096):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer, answer
        s.close()
    assert d.process.wait(20) == 0
