"""Events stand in partitions by month: the engines make the next ones, drop the old ones by [keep], say on /readyz how
far they reach; a key is known over the border of a month."""

import datetime

import pytest

from cluster import Postgres, find_bin
from daemon import Daemon, is_built, until

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]


@pytest.fixture(scope="module")
def pg():
    with Postgres() as cluster:
        yield cluster


@pytest.fixture
def daemon(pg, tmp_path):
    d = Daemon(pg, tmp_path, keep={"events": "6 months"})
    yield d
    d.close()


def month(ahead):
    """The first day of a month, counted from this one."""
    today = datetime.datetime.now(datetime.timezone.utc)
    at = today.year * 12 + today.month - 1 + ahead
    return datetime.datetime(at // 12, at % 12 + 1, 1, tzinfo=datetime.timezone.utc)


def name(ahead):
    return month(ahead).strftime("event_%Y_%m")


def partitions(daemon):
    return {row[0] for row in daemon.sql("select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
                                         "where i.inhparent = 'event'::regclass")}


def test_engines_make_what_is_missing_and_say_how_far_it_reaches(daemon):
    daemon.sql(f"drop table {name(1)}, {name(2)}")
    daemon.start()
    until(lambda: {name(0), name(1), name(2)} <= partitions(daemon))
    until(lambda: daemon.get("/readyz")[2]["partitions_until"] == month(3).strftime("%Y-%m-%dT00:00:00Z"))


def test_engines_drop_what_is_older_than_keep(daemon):
    for ahead in (-8, -7, -3):
        daemon.sql("select partition_make('event', %s)", month(ahead))
        daemon.sql("insert into event (received, store, source, id, content_hash, seq, customer, type, time, origin, data, "
                   "verdicts) values (%s, 'main', '', 'old', gen_random_uuid(), 1, 1, 'page.viewed', %s, 0, '{}', '[]')",
                   month(ahead), month(ahead))
    daemon.start()
    until(lambda: not {name(-8), name(-7)} & partitions(daemon), 20)
    until(lambda: daemon.value("select count(*) from pg_class where relname = any(%s)", [name(-8), name(-7)]) == 0, 20)
    assert name(-3) in partitions(daemon)
    assert daemon.value("select count(*) from event where id = 'old'") == 1


def test_what_is_open_keeps_nothing_old_from_being_pruned(daemon):
    """Old open messages and tasks stay, however many, and what is over behind them goes."""
    daemon.sql("insert into message (id, customer, store, rule, channel, class, created, due, state) "
               "select n, 1, 'main', 'r', 'email', 'marketing', now() - interval '9 years', now() + interval '9 years', "
               "case when n <= 12000 then 'in_doubt' else 'sent' end from generate_series(1, 12010) n")
    daemon.sql("insert into task (id, customer, store, rule, title, created, state) "
               "select n, 1, 'main', 'r', 't', now() - interval '9 years', "
               "case when n <= 6000 then 'open' else 'done' end from generate_series(1, 6010) n")
    daemon.start()
    until(lambda: daemon.value("select count(*) from message") == 12000, 30)
    until(lambda: daemon.value("select count(*) from task") == 6000, 30)


def test_what_no_courier_comes_for_expires(daemon):
    """[publish] couriers = 0 on every host: the chain is not live for ever."""
    daemon.write_rules({"publish.lua": """
rule "tells" {
  about = "tells the store", on = "page.viewed", mode = "single",
  run = function() publish("seen", { n = 1 }) end,
}
"""})
    daemon.start()
    assert daemon.settle({"id": "1", "type": "page.viewed", "data": {"customer": {"id": "c"}}}) == "accepted"
    assert daemon.value("select count(*) from message where expires between now() + interval '23 h' and now() + "
                        "interval '25 h'") == 1
    assert daemon.value("select state from chain") == "settling"
    daemon.stop()
    daemon.sql("update message set expires = now() - interval '1 hour'")
    daemon.start()
    until(lambda: daemon.value("select count(*) from chain") == 0, 20)
    assert daemon.sql("select state, code from message") == [("expired", "nobody")]
    assert daemon.value("select state from chain_log") == "done"
    assert daemon.settle({"id": "2", "type": "page.viewed", "data": {"customer": {"id": "c"}}}) == "accepted"
    assert daemon.value("select count(*) from chain") == 1


def test_P2_a_key_is_known_over_the_border_of_a_month(daemon):
    daemon.start()
    event = {"id": "over-the-border", "type": "page.viewed", "data": {"customer": {"id": "anna"}}}
    assert daemon.settle(event) == "accepted"
    # received at the end of last month, as far as the table knows
    daemon.sql("select partition_make('event', %s)", month(-1))
    late = month(0) - datetime.timedelta(minutes=5)
    if datetime.datetime.now(datetime.timezone.utc) - late > datetime.timedelta(days=30):
        late = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)  # day 31: as old as is promised
    daemon.sql("update event set received = %s where id = 'over-the-border'", late)
    assert daemon.settle(event) == "duplicate"
    assert daemon.settle({**event, "data": {"customer": {"id": "boris"}}}) == "conflict"
    assert daemon.value("select count(*) from event where id = 'over-the-border'") == 1
