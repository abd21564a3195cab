"""P9: a reload under load, with two engines: from its commit on no batch is judged by the old set.

Each version of the rule writes its number and the moment of its batch (the database's clock) as a note on the
card.  Runs the programs of $NUDGED_BUILD (default: the current directory).
"""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from cluster import Postgres, find_bin
from ports import free_port

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
NUDGED, NUDGECTL = os.path.join(BUILD, "nudged"), os.path.join(BUILD, "nudgectl")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENV = dict(os.environ, NUDGED_SQL_DIR=os.path.join(SOURCE, "sql"))

pytestmark = [
    pytest.mark.skipif(not os.path.exists(NUDGED) or not os.path.exists(NUDGECTL),
                       reason="no nudged and nudgectl in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]

RULE = '''rule "counts" {
	about = "tells which version judged",
	on = "product.viewed",
	mode = "parallel",
	run = function(e) note("%d") end,
}
'''
RELOADS, POSTERS = 6, 6


class Poster(threading.Thread):
    """Posts one event after the other over one connection until it is told to stop."""

    def __init__(self, port, number, stop):
        super().__init__()
        self.port, self.number, self.stop, self.sent, self.wrong = port, number, stop, 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.stop.is_set():
            body = json.dumps({"type": "product.viewed", "id": f"{self.number}-{self.sent}", "source": "load",
                               "data": {"product_id": "p", "customer": {
                                   "email": f"c{self.number}-{self.sent % 7}@example.com"}}})
            connection.request("POST", "/events", body, {"Authorization": "Bearer token",
                                                         "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                self.wrong.append((answer.status, text))
            self.sent += 1
        connection.close()


def until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen in %g s" % seconds
        time.sleep(0.05)


@pytest.fixture
def pg():
    with Postgres() as cluster:
        yield cluster


def test_P9_no_event_after_a_reload_has_the_old_rules(pg, tmp_path):
    def value(sql):
        return pg.psql("set search_path = nudged;" + sql)[0][0]

    def ctl(*args):
        return subprocess.run([NUDGECTL, "--config", str(conf), *args], env=ENV, check=True, timeout=60, text=True,
                              stdout=subprocess.PIPE).stdout

    port = free_port()
    for name in ("rules", "templates"):
        (tmp_path / name).mkdir()
    conf, rule = tmp_path / "nudged.conf", tmp_path / "rules" / "counts.lua"
    conf.write_text(
        f"[nudged]\nlisten = 127.0.0.1:{port}\nengines = 2\nlog_format = logfmt\nrules = {tmp_path}/rules\n"
        f"templates = {tmp_path}/templates\nstate_dir = {tmp_path}\n[database]\ndsn = {pg.dsn}\n"
        f"[store shop]\nzone = UTC\ntokens = {hashlib.sha256(b'token').hexdigest()}\n[mail]\ncouriers = 0\n"
        "[publish]\ncouriers = 0\n")
    rule.write_text(RULE % 0)
    ctl("migrate")
    stop, reloaded = threading.Event(), []
    with open(tmp_path / "log", "wb") as log:
        daemon = subprocess.Popen([NUDGED, "--config", str(conf)], stderr=log, env=ENV)
    posters = [Poster(port, n, stop) for n in range(POSTERS)]
    try:
        until(lambda: value("select set_id from current") == "1")
        until(lambda: len(re.findall("rule set 1 is active", (tmp_path / "log").read_text())) == 2)
        for poster in posters:
            poster.start()
        for version in range(1, RELOADS + 1):
            time.sleep(0.4)
            rule.write_text(RULE % version)
            if version % 2:
                before = value("select clock_timestamp()")
                ctl("reload")
            else:
                before = value("select clock_timestamp()")
                daemon.send_signal(signal.SIGHUP)
                until(lambda: value("select set_id from current") == str(version + 1))
            reloaded.append((version, before, value("select clock_timestamp()")))
        time.sleep(0.4)
    finally:
        stop.set()
        for poster in posters:
            if poster.ident:
                poster.join()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert [poster.wrong for poster in posters] == [[]] * POSTERS
    assert value("select count(*) from event") == str(sum(poster.sent for poster in posters))
    assert value("select count(*) from note") == value("select count(*) from event")
    for version, before, after in reloaded:
        assert value(f"select count(*) from note where at > '{after}' and text::int < {version}") == "0"
        assert value(f"select count(*) from note where at < '{before}' and text::int >= {version}") == "0"
        assert int(value(f"select count(*) from note where text::int = {version}")) > 0
    # the verdicts of an event name the set: version n is set n + 1
    assert value("select count(*) from event e join note n on n.seq = e.seq where e.rule_set <> n.text::int + 1") == "0"
    assert int(value("select count(distinct rule_set) from event")) == RELOADS + 1
