"""P11: timers after an outage: the oldest first, at a bounded rate, each by its rule's `late`; none early.

Chains wait in the database; their wake-ups are moved into the past by SQL, as an outage would leave them.
"""

import time

import pytest

from cluster import Postgres, find_bin
from daemon import Daemon, is_built, until

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]

RULES = {"waits.lua": '''
local function waits(name, late, after)
  rule(name) {
    about = "waits", on = "wait." .. name, mode = "parallel", late = late,
    run = function(event)
      wait(after)
      note(name .. " woke")
    end,
  }
end
waits("runs", "run", "30d")
waits("ends", "end", "30d")
waits("two-hours", "2h", "30d")
waits("soon", "run", "2s")
'''}


@pytest.fixture(scope="module")
def pg():
    with Postgres({"max_connections": "60"}) as cluster:
        yield cluster


@pytest.fixture
def make(pg, tmp_path):
    made = []

    def start(**options):
        made.append(Daemon(pg, tmp_path, RULES, **options))
        return made[-1].start()

    yield start
    for d in made:
        d.close()


def post(daemon, rule, first, n):
    """n chains of the rule, each of a customer of its own."""
    for at in range(first, first + n, 500):
        events = [{"id": f"{rule}-{i}", "type": f"wait.{rule}", "data": {"customer": {"id": f"c{i}"}}}
                  for i in range(at, min(at + 500, first + n))]
        assert set(daemon.settle(events)) == {"accepted"}


def test_P11_after_an_outage_the_oldest_first_at_a_bounded_rate(make):
    rate, chains = 1000, 10000
    daemon = make(engines=2, limits={"catch_up": rate})
    post(daemon, "runs", 0, chains)
    assert daemon.value("select count(*) from chain where state = 'waiting'") == chains
    # each a millisecond after the other, a day ago, in an order that has nothing to do with their numbers
    daemon.sql("update chain c set wake_at = now() - interval '1 day' + r.n * interval '1 ms' from "
               "(select id, row_number() over (order by md5(id::text)) n from chain) r where r.id = c.id")
    due = dict(daemon.sql("select id, wake_at from chain"))
    began = time.monotonic()
    slowest = 0.0
    n = 0
    while daemon.value("select count(*) from chain"):
        since = time.monotonic()
        assert daemon.settle({"id": f"meanwhile-{n}", "type": "page.viewed",
                              "data": {"customer": {"id": f"m{n % 50}"}}}) == "accepted"
        slowest = max(slowest, time.monotonic() - since)
        n += 1
        assert time.monotonic() - began < 240
        time.sleep(0.02)
    took = time.monotonic() - began
    ended = daemon.sql("select id from chain_log order by ended, id")
    assert len(ended) == chains and daemon.value("select count(*) from note where text = 'runs woke'") == chains
    # bounded: a second's worth may come at once on each engine, and batches round it up
    assert took > (chains - 2 * rate) / rate - 1, f"{chains} in {took:.1f} s"
    # in order: two engines take batches of 200 side by side, and one of them may be slow with one
    place = {chain: i for i, chain in enumerate(sorted(due, key=due.get))}
    offs = sorted(abs(place[row[0]] - i) for i, row in enumerate(ended))
    off = offs[len(offs) * 9 // 10]
    assert off <= 1000, f"one in ten chains was {off} places or more from its turn"
    print(f"\n{chains} overdue chains in {took:.1f} s at catch_up {rate}, nine in ten at most {off} places from their turn; "
          f"{n} events meanwhile, the slowest in {slowest * 1000:.0f} ms")


def test_P11_the_rate_is_that_of_the_whole_fleet(make):
    """Two daemons with one database, as on two hosts, share the rate."""
    rate, chains = 500, 5000
    first = make(limits={"catch_up": rate})
    second = make(limits={"catch_up": rate}, beside=first)
    post(first, "runs", 0, chains)
    time.sleep(3)  # they count each other every two seconds
    first.sql("update chain set wake_at = now() - interval '1 day'")
    until(lambda: first.value("select count(*) from chain") == 0, 120)
    took = float(first.value("select extract(epoch from max(ended) - min(ended)) from chain_log"))
    assert took > (chains - rate) / rate - 2, f"{chains} in {took:.1f} s"
    second.stop()
    post(first, "runs", chains, 2 * rate)
    time.sleep(3)  # now all of it is the first one's
    first.sql("update chain set wake_at = now() - interval '1 day'")
    began = time.monotonic()
    until(lambda: first.value("select count(*) from chain") == 0, 120)
    alone = time.monotonic() - began
    print(f"\n{chains} chains by two daemons in {took:.1f} s at catch_up {rate}; then {2 * rate} by one in {alone:.1f} s")


def test_P11_each_by_its_rules_late(make):
    daemon = make()
    for rule in ("runs", "ends", "two-hours"):
        post(daemon, rule, 0, 20)
    daemon.sql("update chain set wake_at = now() - interval '1 hour' where id % 2 = 0")
    daemon.sql("update chain set wake_at = now() - interval '3 hours' where id % 2 = 1")
    an_hour = dict(daemon.sql("select rule, count(*) from chain where id % 2 = 0 group by rule"))
    until(lambda: daemon.value("select count(*) from chain") == 0, 30)
    woken = dict(daemon.sql("select text, count(*) from note group by text"))
    assert woken.get("runs woke") == 20
    assert woken.get("ends woke") is None
    assert woken.get("two-hours woke", 0) == an_hour.get("two-hours", 0)
    states = dict(daemon.sql("select state, count(*) from chain_log where rule = 'ends' group by state"))
    assert states == {"cancelled": 20}


def test_P11_no_timer_is_early_and_none_is_late_by_a_second(make):
    daemon = make(engines=2)
    post(daemon, "soon", 0, 300)
    until(lambda: daemon.value("select count(*) from chain") == 0, 30)
    rows = daemon.sql("select extract(epoch from n.at - l.started - interval '2 seconds')::float8 "
                      "from note n join chain_log l on l.id = n.chain")
    lateness = sorted(row[0] for row in rows)
    assert len(lateness) == 300
    assert lateness[0] >= 0, f"{-lateness[0]:.3f} s early"
    assert lateness[int(len(lateness) * 0.99)] <= 1.0
    print(f"\n300 timers: p99 {lateness[int(len(lateness) * 0.99)] * 1000:.0f} ms late, none early")
