"""P7: a rule that takes the process down on an event: two strikes, then without it; three events: suspended.

The crash is a failpoint in the evaluation (base/failpoint.h): Lua itself gives a rule no way to do it.
"""

import json
import re
import time

import pytest

import broker as broker_module
from broker import Broker
from cluster import Postgres, find_bin
from daemon import Client, Daemon, has_failpoints, until

pytestmark = [
    pytest.mark.skipif(not has_failpoints(), reason="no nudged with --enable-failpoints in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
    pytest.mark.skipif(not broker_module.find_program(), reason="no mosquitto is installed"),
]

RULES = {"rules.lua": '''
rule "bad" {
  about = "takes the process down", on = "page.viewed", mode = "parallel", class = "transactional",
  run = function(page) note("bad " .. page.meta.id) end,
}
rule "good" {
  about = "runs beside it", on = "page.viewed", mode = "parallel", class = "transactional",
  run = function(page) note("good " .. page.meta.id) end,
}
rule "sleeper" {
  about = "takes the process down when it wakes", on = "cart.updated", mode = "parallel", class = "transactional",
  run = function(cart)
    wait "1s"
    note("sleeper " .. cart.meta.id)
  end,
}
'''}


@pytest.fixture
def broker():
    with Broker() as b:
        yield b


@pytest.fixture
def daemon(tmp_path, broker):
    with Postgres() as pg:
        d = Daemon(pg, tmp_path, RULES, engines=1, broker=broker).start()
        yield d
        d.close()


def page(i):
    return {"id": i, "type": "page.viewed", "data": {"customer": {"email": f"{i}@x.test"}}}


def notes(d):
    return sorted(r[0] for r in d.sql("select text from note"))


def restarts(d):
    return len(re.findall("ended with signal 11|ended with SIGSEGV|died at", d.log()))


def verdict_of(d, event, rule):
    return [v["v"] for v in d.verdicts(event) if v["rule"] == rule]


def test_rule_that_crashes_the_engine(daemon, broker):
    """One MQTT message: two restarts, then it is judged without that rule, and the rest flows."""
    d = daemon
    until(lambda: 'room=mqtt msg="connected' in d.log())
    d.fail("judge.eval/bad/main//m5:*:segv")
    broker.publish("nudged/main/events/x", [json.dumps(page(f"m{i}")) for i in range(10)])
    since = time.monotonic()
    until(lambda: len(d.events("m%")) == 10, 30)
    took = time.monotonic() - since
    assert len(re.findall('died at event', d.log())) == 2, d.log()[-3000:]
    assert verdict_of(d, "m5", "bad") == ["struck"] and verdict_of(d, "m5", "good") == ["started"]
    assert notes(d) == sorted([f"good m{i}" for i in range(10)] + [f"bad m{i}" for i in range(10) if i != 5])
    assert d.sql("select kind, id, rule, times from strike") == [("event", "main//m5", "bad", 2)]
    assert d.value("select count(*) from suspended_rule") == 0
    d.unfail()
    assert d.settle([page("h1")]) == ["accepted"] and "bad h1" in notes(d)
    print(f"10 messages in {took:.1f} s, two restarts")


def test_three_events_suspend_the_rule(daemon, broker):
    """Strikes on three different events: suspended, with a task; resume brings it back."""
    d = daemon
    d.fail("judge.eval/bad/*:*:segv")
    for i in range(3):
        d.settle([page(f"s{i}")], 60)
    until(lambda: d.sql("select rule from suspended_rule") == [("bad",)])
    d.wait_ready()
    assert d.settle([page("s9")]) == ["accepted"]
    assert verdict_of(d, "s9", "bad") == ["suspended"] and verdict_of(d, "s9", "good") == ["started"]
    [task] = d.get("/tasks?state=open")[2]["tasks"]
    assert task["title"].startswith('Rule "bad" was suspended'), task
    assert Client(d.port, "admin-token").ask("POST", f"/tasks/{task['id']}/done", {"manager": "kate"})[0] == 200
    assert [n for n in notes(d) if n.startswith("bad")] == []
    assert len([n for n in notes(d) if n.startswith("good")]) == 4
    d.unfail()
    assert "bad" in d.ctl("rules", "resume", "bad")
    d.settle([page("r1")])
    assert verdict_of(d, "r1", "bad") == ["started"] and "bad r1" in notes(d)


def test_chain_that_crashes_the_engine_stands_still(daemon, broker):
    """A chain is set aside as stuck after two strikes; other chains go on."""
    d = daemon
    d.settle([{"id": f"c{i}", "type": "cart.updated", "data": {"customer": {"email": f"c{i}@x.test"}}} for i in range(3)])
    [chain] = d.sql("select id from chain where event::text like '%%c1@x.test%%'")
    d.fail(f"judge.eval/sleeper/{chain[0]}:*:segv")
    until(lambda: d.sql("select count(*), max(times) from strike where kind = 'chain'") == [(1, 2)], 40)
    until(lambda: notes(d) == ["sleeper c0", "sleeper c2"], 20)
    until(lambda: d.sql("select state from chain") == [("stuck",)], 20)
    d.unfail()
    d.ctl("chains", "retry", str(chain[0]))
    until(lambda: notes(d) == ["sleeper c0", "sleeper c1", "sleeper c2"], 20)


def test_rule_that_stalls_the_engine(daemon, broker):
    """Who stands still is killed by the parent, and that is a strike, too."""
    d = daemon
    d.stop()
    d.sections["nudged"]["stall_timeout"] = "1s"
    d.write()
    d.start()
    d.fail("judge.eval/bad/main//z1:*:stop")
    since = time.monotonic()
    d.settle([page("z1"), page("z2")], 60)
    took = time.monotonic() - since
    assert verdict_of(d, "z1", "bad") == ["struck"] and verdict_of(d, "z2", "bad") == ["started"]
    assert "stalled" in d.log()
    print(f"set aside after {took:.1f} s")


def test_a_kill_from_outside_is_no_strike(daemon, broker):
    """SIGKILL and SIGTERM tell nothing about a rule."""
    d = daemon
    d.fail("judge.eval/bad/main//k1:1")
    assert d.settle([page("k1")]) == ["accepted"]
    assert d.value("select count(*) from strike") == 0 and "bad k1" in notes(d)
