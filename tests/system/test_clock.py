"""P13: a clock that disagrees with the database's pauses sends and deadlines, not ingest, until it agrees again.

The daemon's CLOCK_REALTIME is moved by a preloaded function; Postgres keeps the machine's.
"""

import os
import shutil
import subprocess

import pytest

from cluster import Postgres, find_bin
from daemon import ADMIN, Daemon, is_built, is_sanitized, until
from smtpd import Smtpd

CC = shutil.which("gcc") or shutil.which("cc")

pytestmark = [
    pytest.mark.skipif(not is_built(), reason="no nudged in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
    pytest.mark.skipif(CC is None, reason="no C compiler for the moved clock"),
    pytest.mark.skipif(is_built() and is_sanitized(), reason="a sanitizer must be loaded first"),
]

SHIM = r'''
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static const volatile long *seconds;
__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("MOVED_CLOCK"), O_RDONLY);
	void *p = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		seconds = p;
	close(fd);
}
int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_REALTIME && seconds)
		t->tv_sec += *seconds;
	return r;
}
'''

RULES = {"clock.lua": '''
rule "writes" {
  about = "mail", on = "mail.wanted", mode = "parallel", class = "transactional",
  run = function() email { template = "hello" } end,
}
rule "waits" {
  about = "a short wait", on = "wait.wanted", mode = "parallel",
  run = function() wait("1s") note("woke") end,
}
rule "asks" {
  about = "a task with a deadline", on = "task.wanted", mode = "parallel",
  run = function() task { title = "call", assign = "kate", deadline = "1s" } end,
}
'''}
TEMPLATES = {"hello.en.html": "<title>Hello</title><p>Hello</p>"}


@pytest.fixture(scope="module")
def pg():
    with Postgres({"max_connections": "60"}) as cluster:
        yield cluster


class Clock:
    def __init__(self, tmp_path):
        self.path, source, self.shim = tmp_path / "seconds", tmp_path / "shim.c", tmp_path / "shim.so"
        self.set(0)
        source.write_text(SHIM)
        subprocess.run([CC, "-shared", "-fPIC", "-o", str(self.shim), str(source)], check=True)

    def set(self, seconds):
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    def environ(self):
        return {"LD_PRELOAD": str(self.shim), "MOVED_CLOCK": str(self.path)}


@pytest.mark.parametrize("off", [3600, -3600])
def test_P13_sends_and_timers_pause_and_what_comes_in_does_not(pg, tmp_path, monkeypatch, off):
    clock = Clock(tmp_path)
    with Smtpd() as smtp:
        daemon = Daemon(pg, tmp_path, RULES, TEMPLATES, smtp=smtp, nudged={"log_level": "info"})
        try:
            for name, value in clock.environ().items():
                monkeypatch.setenv(name, value)
            daemon.start()
            for name in clock.environ():
                monkeypatch.delenv(name)
            kinds = ["task", "wait", "mail"]

            def wanted(n):
                return [{"id": f"{kind}-{n}", "type": f"{kind}.wanted",
                         "data": {"customer": {"id": f"{kind}{n}", "email": f"{kind}{n}@x.test"}}} for kind in kinds]

            assert daemon.settle(wanted(1)) == ["accepted"] * 3
            until(lambda: daemon.value("select count(*) from note") == 1 and len(smtp.messages) == 1 and
                  daemon.value("select count(*) from task where overdue") == 1, 30)
            clock.set(off)
            until(lambda: daemon.get("/readyz")[2]["clocks_disagree"], 10)
            assert daemon.settle(wanted(2)) == ["accepted"] * 3
            for _ in range(3):  # by the API: an inbox row, judged before the answer
                assert daemon.settle({"id": os.urandom(4).hex(), "type": "page.viewed",
                                      "data": {"customer": {"id": "x"}}}) == "accepted"
            task = daemon.value("select id from task where not overdue")
            status, _, answer = daemon.client.ask("POST", f"/tasks/{task}/take", {"manager": "kate"}, token=ADMIN)
            assert status == 200, answer
            # the receipt of a mail that a courier had before
            daemon.sql("insert into inbox (customer, store, type, data) select customer, 'main', 'message.opened', "
                       "json_build_object('message_id', id::text) from message where state = 'sent'")
            until(lambda: daemon.value("select count(*) from inbox") == 0, 10)
            until(lambda: daemon.value("select count(*) from chain where wake_at < now() - interval '2 s'") == 1, 10)
            assert daemon.value("select count(*) from note") == 1
            assert daemon.value("select count(*) from task where overdue") == 1
            assert daemon.value("select count(*) from message where state = 'ready'") == 1
            assert len(smtp.messages) == 1
            ready = daemon.get("/readyz")
            assert ready[0] == 200 and ready[2]["ready"] is True
            metrics = dict(line.rsplit(" ", 1) for line in daemon.get("/metrics")[2].splitlines() if line[0] != "#")
            assert metrics["nudged_clocks_disagree"] == "1"
            assert abs(float(metrics["nudged_clock_skew_seconds"]) - 3600) < 60
            clock.set(0)
            until(lambda: daemon.value("select count(*) from note") == 2 and len(smtp.messages) == 2 and
                  daemon.value("select count(*) from task where overdue") == 2, 30)
            until(lambda: not daemon.get("/readyz")[2]["clocks_disagree"], 10)
            log = daemon.log()
            assert log.count("off the database's: timers and deadlines pause") == 1
            assert "the database's agree again" in log and "clock is" in log
            assert log.count("email is held") == 1 or log.count("is held: this host's clock") == 1
        finally:
            daemon.close()
