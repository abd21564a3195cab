"""P2, P3, P5, P20 and the table of limits: what is refused, how, and that it costs nobody else anything."""

import http.client
import json
import os
import signal
import threading
import time

import pytest

from cluster import Postgres, find_bin
from daemon import ADMIN, TOKEN, Client, Daemon, digest, is_built, is_sanitized, until

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]

RULES = {"slow.lua": '''
rule "slow" {
  about = "keeps the engine busy", on = "page.viewed", mode = "parallel", class = "transactional",
  when = function(page) return page.slow end,
  run = function(page)
    local n = 0
    for i = 1, 300000 do n = n + i end
    note("slow " .. page.meta.id)
  end,
}
'''}


@pytest.fixture(scope="module")
def d(tmp_path_factory):
    with Postgres() as pg:
        daemon = Daemon(pg, tmp_path_factory.mktemp("limits"), RULES, engines=1,
                        limits={"queue_events": 500}, nudged={"clock_skew": "10s"},
                        **{"store other": {"tokens": f"{digest('reader')}:read"}})
        daemon.start()
        yield daemon
        daemon.close()


def page(i, **data):
    return {"id": i, "type": "page.viewed", "data": {"customer": {"email": "a@x.test"}, **data}}


def refused(answer, status, *, path=None):
    """The answer is that error, as JSON with a hint."""
    assert answer[0] == status, answer
    assert answer[1]["Content-Type"].startswith("application/json")
    assert answer[2]["error"] and answer[2]["hint"], answer[2]
    if path is not None:
        assert answer[2]["path"] == path
    return answer


def test_401_403(d):
    for token in ("", "wrong"):
        answer = refused(d.client.ask("POST", "/events", page("t1"), token=token), 401)
        assert "Bearer" in answer[1]["WWW-Authenticate"]
    for token in ("reader", ADMIN):
        refused(d.client.ask("POST", "/events", page("t1"), token=token), 403)
    refused(d.client.ask("GET", "/tasks", token="wrong"), 401)
    answer = d.client.ask("POST", "/tasks/1/done", {}, token=TOKEN)
    assert answer[0] in (401, 403) and answer[2]["error"]
    assert d.events() == set()


def test_bodies_that_are_no_events_are_400_with_the_path(d):
    for body in (b"", b"{", b"[1,", b'{"type":"a","type":"b"}', b"\xff", b'{"a":"\\u0000"}', b"{} {}"):
        answer = d.client.ask("POST", "/events", body, headers={"Content-Type": "application/json"})
        refused(answer, 400)
    assert d.client.ask("POST", "/events", b'{"type":')[2]["path"]


def test_too_large_is_413_and_costs_nothing_else(d):
    refused(d.client.ask("POST", "/events", [page(f"n{i}") for i in range(501)]), 413)
    refused(d.client.ask("POST", "/events", b"[" + b" " * (1 << 20) + b"]"), 413)
    status, verdicts = d.post([page("big", text="x" * 70000), page("fits")])
    assert status == 200 and verdicts == ["quarantined", "accepted"]


def test_batch_answers_per_event(d):
    """P3: one bad event never costs a good one; the reason and the path are told."""
    deep = json.loads("[" * 40 + "]" * 40)
    batch = [page("v1"), page("v1"), page("v1", other=1), {"id": "v2", "data": {}},
             page("v3", customer={"email": "no address"}), page("x" * 200), page("v5", deep=deep), page("v6")]
    status, _, answer = d.client.ask("POST", "/events", batch)
    assert status == 200
    got = [e["status"] for e in answer["events"]]
    assert got[0] == "accepted" and got[1] == "duplicate" and got[2] == "conflict" and got[-1] == "accepted", got
    for i in (3, 5, 6):
        assert got[i] == "quarantined" and answer["events"][i]["reason"], answer["events"][i]
    assert answer["events"][3]["path"] == "$.type" or "type" in answer["events"][3]["reason"]
    assert answer["events"][5]["path"] and answer["events"][6]["path"]
    assert d.value("select count(*) from conflict") == 1
    assert {"v1", "v6"} <= d.events()


def test_no_id(d):
    """P2: with a time the content is the id; without both it is taken, but not deduplicated."""
    timed = {"type": "page.viewed", "time": "2026-11-01T10:00:00Z", "data": {"customer": {"email": "b@x.test"}}}
    assert d.client.ask("POST", "/events", [timed])[2]["events"][0]["status"] == "accepted"
    first = d.client.ask("POST", "/events", [timed])[2]["events"][0]
    assert first["status"] == "duplicate", first
    del timed["time"]
    for _ in range(2):
        answer = d.client.ask("POST", "/events", [timed])[2]["events"][0]
        assert answer["status"] == "accepted" and answer["deduplicated"] is False


def test_a_time_ahead_is_replaced(d):
    ahead = {"id": "f1", "time": "2099-01-01T00:00:00Z", **{k: v for k, v in page("f1").items() if k != "id"}}
    assert d.settle([ahead]) == ["accepted"]
    [(claimed, late)] = d.sql("select claimed::text, time < now() + interval '1 minute' from event where id = 'f1'")
    assert claimed.startswith("2099-01-01") and late


def test_overload_is_429_before_memory_grows(d):
    """P5: what was accepted is served in time; the rest is told to come again."""
    counts, lock, ended = {}, threading.Lock(), time.monotonic() + 4

    def push(k):
        client, n = Client(d.port), 0
        while time.monotonic() < ended:
            n += 1
            try:
                status, headers, answer = client.ask("POST", "/events", [
                    page(f"o{k}_{n}_{i}", slow=i == 0, customer={"email": f"o{k}_{i}@x.test"}) for i in range(100)])
            except (OSError, http.client.HTTPException):
                status, headers, answer = 0, {}, {}
            if status in (429, 503):
                assert headers["Retry-After"] and answer["error"] and answer["hint"]
            with lock:
                counts[status] = counts.get(status, 0) + 1
        client.close()

    threads = [threading.Thread(target=push, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(counts)
    assert counts.get(200, 0) > 0 and counts.get(429, 0) > 0 and set(counts) <= {200, 429, 503}
    until(lambda: d.settle([page("after")], 10) in (["accepted"], ["duplicate"]), 10)
    with open(f"/proc/{d.engines()['engine1']}/status", encoding="ascii") as file:
        rss_kb = int(next(line for line in file if line.startswith("VmRSS")).split()[1])
    assert rss_kb < 200000 or is_sanitized(), rss_kb


def test_metrics_tell_what_the_database_knows(d):
    """Queues, pauses, partitions: as of now, whoever is asked, and nothing stays of what was an hour ago."""
    def metrics():
        return dict(line.rsplit(" ", 1) for line in d.get("/metrics")[2].splitlines() if line[0] != "#")

    d.ctl("pause", "channel", "email")
    d.ctl("pause", "rule", "slow")
    d.sql("insert into inbox (customer, store, type, data, due) values (0, 'nowhere', 'x', '{}', now() - interval '1 hour')")
    seen = metrics()
    assert seen['nudged_paused{scope="channel"}'] == "1" and seen['nudged_paused{scope="rule"}'] == "1"
    assert seen['nudged_paused{scope="all"}'] == "0"
    assert seen['nudged_queue_depth{queue="inbox"}'] == "1"
    assert 3590 < float(seen['nudged_queue_oldest_seconds{queue="inbox"}']) < 3700
    assert int(seen["nudged_event_partitions"]) == d.value(
        "select count(*) from pg_inherits where inhparent = 'nudged.event'::regclass")
    d.ctl("resume", "channel", "email")
    d.ctl("resume", "rule", "slow")
    d.sql("delete from inbox where customer = 0")
    seen = metrics()
    assert seen['nudged_paused{scope="channel"}'] == "0" and seen['nudged_queue_depth{queue="inbox"}'] == "0"


@pytest.mark.parametrize("path, without", [("/metrics", "nudged_events_ingested_total"), ("/readyz", '"paused":null')])
def test_who_asks_together_shares_an_answer(d, path, without):
    """One question and one text for all who wait; what the database does not answer is left out."""
    doors = [http.client.HTTPConnection("127.0.0.1", d.port, timeout=10) for _ in range(5)]
    frozen = d.pg.signal_backends(signal.SIGSTOP, "nudged api%")
    assert frozen
    try:
        for door in doors:
            door.request("GET", path, headers={"Authorization": f"Bearer {ADMIN}"})
        answers = [door.getresponse() for door in doors]
        texts = {answer.read().decode() for answer in answers}
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert len({answer.status for answer in answers}) == 1
    assert len(texts) == 1 and without in next(iter(texts))
    until(lambda: float(next(line for line in d.get("/metrics")[2].splitlines()
                             if line.startswith("nudged_event_partitions ")).split()[1]) > 0)
    for door in doors:
        door.request("GET", path, headers={"Authorization": f"Bearer {ADMIN}"})
    for door in doors:
        answer = door.getresponse()
        assert answer.status == 200 and without not in ("" if path == "/metrics" else answer.read().decode())
        door.close()


def test_two_unreadable_events_of_equal_data_are_two(d):
    """CloudEvents in binary mode: what tells them apart is in the head."""
    for number in ("a", "b", "b"):
        head = {"ce-specversion": "1.0", "ce-id": f"equal-{number}", "ce-source": "x", "ce-type": "no type",
                "Content-Type": "application/json"}
        status, _, answer = d.client.ask("POST", "/events", '{"customer":{"email":"q@x.test"}}', headers=head)
        assert status == 200 and answer["status"] == "quarantined", answer
    assert d.sql("select id from quarantine where id like 'equal-%' order by id") == [("equal-a",), ("equal-b",)]


def test_tasks_are_counted(d):
    def tasks(state):
        text = f'nudged_tasks_total{{state="{state}"}} '
        return int(next(x for x in d.get("/metrics")[2].splitlines() if x.startswith(text))[len(text):])

    d.write_rules({"slow.lua": RULES["slow.lua"] + '''
rule "job" { about = "a task", on = "job.wanted", mode = "parallel", class = "transactional",
  run = function(e) task { title = "do it", deadline = "10m" } end }
'''})
    d.ctl("reload")
    before = tasks("created"), tasks("done")
    assert d.settle({"id": "job-1", "type": "job.wanted", "data": {"customer": {"email": "j@x.test"}}}) == "accepted"
    number = d.value("select max(id) from task")
    status, _, answer = d.client.ask("POST", f"/tasks/{number}/done", {"manager": "kate"}, token=ADMIN)
    assert status == 200, answer
    assert (tasks("created"), tasks("done")) == (before[0] + 1, before[1] + 1)
