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
