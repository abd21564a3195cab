"""The parent process: lock, restarts, drain, reload, what systemd is told.

Runs the nudged of $NUDGED_BUILD (default: the current directory).  Most need no Postgres: the daemon must
be ready without one (PROMISES P5); a reload is carried out only where the rules can be put in place, so
those that reload have one.
"""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from cluster import Postgres, find_bin
from ports import free_port

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
NUDGED = os.path.join(BUILD, "nudged")

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytestmark = pytest.mark.skipif(not os.path.exists(NUDGED), reason="no nudged in $NUDGED_BUILD")


def until(what, seconds=10.0, step=0.02):
    """Waits until what() is true and returns it."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("did not happen in %g s" % seconds)
        time.sleep(step)


class Nudged:
    """One daemon with a configuration, a NOTIFY_SOCKET and a log of its own."""

    def __init__(self, tmp_path, dsn=None, **options):
        self.dsn = dsn or "host=%s dbname=none" % (tmp_path / "nowhere")
        self.dir = tmp_path
        self.port = free_port()
        self.conf = tmp_path / "nudged.conf"
        self.log_path = tmp_path / "log"
        self.process = None
        self.messages = []
        for name in ("rules", "templates", "state"):
            (tmp_path / name).mkdir(exist_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(tmp_path / "notify"))
        self.notify.setblocking(False)
        self.write(**options)

    def write(self, extra="", **options):
        values = {
            "listen": "127.0.0.1:%d" % self.port,
            "rules": self.dir / "rules",
            "templates": self.dir / "templates",
            "state_dir": self.dir / "state",
            "log_format": "logfmt",
        }
        values.update(options)
        lines = ["[nudged]"] + ["%s = %s" % item for item in values.items()]
        lines += ["[database]", "dsn = " + self.dsn, extra, ""]
        self.conf.write_text("\n".join(lines))

    def start(self, *args, env=None, ready=True):
        environ = dict(os.environ, NOTIFY_SOCKET=str(self.dir / "notify"), **(env or {}))
        self.process = subprocess.Popen(
            [NUDGED, "--config", str(self.conf)] + list(args),
            env=environ, stderr=open(self.log_path, "ab"), stdin=subprocess.DEVNULL)
        if ready:
            self.wait_for("READY=1")
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def poll(self):
        try:
            while True:
                self.messages.append(self.notify.recv(4096).decode())
        except BlockingIOError:
            pass
        return self.messages

    def wait_for(self, text, seconds=10.0):
        """Waits for a datagram with the text; returns it and forgets all before it."""
        def look():
            for i, message in enumerate(self.poll()):
                if text in message:
                    del self.messages[:i + 1]
                    return message
            return None
        try:
            return until(look, seconds)
        except AssertionError:
            raise AssertionError("no %r; log:\n%s" % (text, self.log()))

    def children(self):
        """pid by name."""
        out = subprocess.run(["ps", "-o", "pid=,comm=,stat=", "--ppid", str(self.process.pid)],
                             stdout=subprocess.PIPE, check=False).stdout.decode()
        rows = (line.split() for line in out.splitlines())
        return {r[1].split(":")[-1]: int(r[0]) for r in rows if "Z" not in r[2]}

    def stop(self, timeout=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process:
            return self.process.wait(timeout)
        return None

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.notify.close()


@pytest.fixture
def nudged(tmp_path):
    made = []

    def make(**options):
        made.append(Nudged(tmp_path, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture(scope="module")
def pg():
    if find_bin() is None:
        pytest.skip("no Postgres server is installed")
    with Postgres() as cluster:
        yield cluster


@pytest.fixture
def dsn(pg, tmp_path):
    """A database of its own with the schema."""
    pg.psql("create database one", database="postgres")
    found = pg.dsn.replace("dbname=%s" % pg.database, "dbname=one")
    migrate(found, tmp_path)
    yield found
    pg.psql("drop database one with (force)", database="postgres")


def migrate(dsn, tmp_path):
    conf = tmp_path / "migrate.conf"
    conf.write_text("[database]\ndsn = %s\n" % dsn)
    subprocess.run([os.path.join(BUILD, "nudgectl"), "--config", str(conf), "migrate"], check=True, timeout=60,
                   env=dict(os.environ, NUDGED_SQL_DIR=os.path.join(SOURCE, "sql")), stdout=subprocess.DEVNULL)


def settled(d):
    """The children when the checker of the start has ended."""
    until(lambda: "checker" not in d.children())
    return d.children()


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ready_without_database_then_drain(nudged):
    d = nudged(engines=2).start()
    assert set(d.children()) >= {"engine1", "engine2", "mail1"}
    with socket.create_connection(("127.0.0.1", d.port), 5):
        pass
    d.process.send_signal(signal.SIGTERM)
    d.wait_for("STOPPING=1")
    assert d.process.wait(20) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", d.port), 1)


def test_second_start_is_refused_and_names_the_process(nudged):
    d = nudged().start()
    second = subprocess.run([NUDGED, "--config", str(d.conf)], stderr=subprocess.PIPE, timeout=20,
                            check=False)
    assert second.returncode == 1
    assert "process %d" % d.process.pid in second.stderr.decode()
    assert d.stop() == 0
    d.start()
    assert d.stop() == 0


def test_beside_takes_over_port_and_lock(nudged):
    old = nudged().start()
    new = Nudged.__new__(Nudged)
    new.__dict__.update(old.__dict__)
    new.messages, new.process = [], None
    new.start("--beside")
    try:
        assert old.stop() == 0
        until(lambda: "the lock is ours" in old.log())
        with socket.create_connection(("127.0.0.1", new.port), 5):
            pass
        third = subprocess.run([NUDGED, "--config", str(new.conf)], stderr=subprocess.PIPE,
                               timeout=20, check=False)
        assert third.returncode == 1
        assert "process %d" % new.process.pid in third.stderr.decode()
        assert new.stop() == 0
    finally:
        if new.process.poll() is None:
            new.process.kill()
            new.process.wait(10)


def test_address_in_use_refuses(nudged):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        d = nudged(listen="127.0.0.1:%d" % other.getsockname()[1]).start(ready=False)
        assert d.process.wait(20) == 1
    assert "could not listen at 127.0.0.1" in d.log()


def connections(pid, port):
    """How many clients of that port the process has."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    clients = {r[9] for r in rows if r[1].endswith(":%04X" % port) and r[3] == "01"}
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += re.sub(r"\D", "", os.readlink(f"/proc/{pid}/fd/{fd}")) in clients
        except FileNotFoundError:
            pass
    return count


def test_clients_who_come_at_once_are_shared_out(nudged):
    """Not all to the engine that was quicker; and who is frozen is not waited for."""
    d = nudged(engines=2).start()
    engines = [pid for name, pid in d.children().items() if name.startswith("engine")]
    assert len(engines) == 2
    fair = 0
    for _ in range(10):
        clients = [socket.create_connection(("127.0.0.1", d.port)) for _ in range(16)]
        until(lambda: sum(connections(pid, d.port) for pid in engines) == 16)
        fair += min(connections(pid, d.port) for pid in engines)
        for client in clients:
            client.close()
        until(lambda: sum(connections(pid, d.port) for pid in engines) == 0)
    assert fair >= 40, f"{fair} of 160, 80 would be even"
    os.kill(engines[0], signal.SIGSTOP)
    try:
        clients = [socket.create_connection(("127.0.0.1", d.port)) for _ in range(50)]
        until(lambda: connections(engines[1], d.port) == 50, 5)
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for client in clients:
            client.settimeout(5)
            assert b" 200 " in client.recv(100)
            client.close()
    finally:
        os.kill(engines[0], signal.SIGCONT)
    assert d.stop() == 0


def test_killed_engine_is_restarted_with_growing_delay(nudged):
    d = nudged().start()
    delays = []
    for _ in range(4):
        pid = until(lambda: d.children().get("engine1"))
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid))
        until(lambda: d.children().get("engine1", pid) != pid)
        delays.append(int(re.findall(r"the next one starts in (\d+) ms", d.log())[-1]))
    assert delays == [100, 200, 400, 800]
    assert d.process.poll() is None
    assert d.stop() == 0


def test_stalled_engine_is_killed(nudged):
    d = nudged(stall_timeout="1s").start()
    pid = d.children()["engine1"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: not alive(pid), 10)
    until(lambda: d.children().get("engine1", pid) != pid)
    assert "stands still" in d.log()
    assert d.stop() == 0


def test_drain_is_cut_off(nudged):
    d = nudged(drain_timeout="1s").start()
    pid = d.children()["engine1"]
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert d.stop() == 3
    assert 0.8 < time.monotonic() - began < 5
    assert not alive(pid)


def test_second_sigterm_ends_now(nudged):
    d = nudged(drain_timeout="15s").start()
    os.kill(d.children()["engine1"], signal.SIGSTOP)
    d.process.send_signal(signal.SIGTERM)
    d.wait_for("STOPPING=1")
    began = time.monotonic()
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(5) == 3
    assert time.monotonic() - began < 3


def test_orphans_do_not_live(nudged):
    d = nudged(engines=2).start()
    pids = list(d.children().values())
    d.process.kill()
    d.process.wait(10)
    until(lambda: not any(alive(pid) for pid in pids))


def test_reload_changes_number_of_couriers(nudged, dsn):
    d = nudged(dsn=dsn).start()
    engine = d.children()["engine1"]
    d.write("[mail]\ncouriers = 3", log_level="debug")
    d.process.send_signal(signal.SIGHUP)
    assert re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+", d.wait_for("RELOADING=1"))
    d.wait_for("READY=1")
    until(lambda: {"mail1", "mail2", "mail3"} <= set(d.children()))
    d.write("[mail]\ncouriers = 0")
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("READY=1")
    until(lambda: set(d.children()) == {"engine1"})
    assert d.children()["engine1"] == engine
    assert d.stop() == 0


def test_a_courier_that_was_leaving_is_wanted_again(nudged, dsn):
    """Fewer, and as many again, while the one in question has not ended yet."""
    d = nudged(dsn=dsn)
    d.write("[mail]\ncouriers = 1")
    d.start()
    old = until(lambda: d.children().get("mail1"))
    os.kill(old, signal.SIGSTOP)
    for couriers in (0, 1):
        d.write(f"[mail]\ncouriers = {couriers}")
        d.process.send_signal(signal.SIGHUP)
        d.wait_for("READY=1")
    assert d.children()["mail1"] == old
    os.kill(old, signal.SIGCONT)
    assert until(lambda: d.children().get("mail1") not in (None, old))
    assert d.stop() == 0


def test_fixed_option_waits_for_restart(nudged, dsn):
    d = nudged(engines=1, dsn=dsn).start()
    d.write(engines=2)
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("READY=1")
    until(lambda: "takes effect at restart: [nudged] engines" in d.log())
    assert "engine2" not in d.children()
    assert d.stop() == 0


def test_reload_keeps_old_on_error(nudged, dsn):
    d = nudged(dsn=dsn).start()
    before = settled(d)
    d.write("[limits]\nbatch_evnts = 3")
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("RELOADING=1")
    d.wait_for("READY=1")
    status = d.wait_for("refused")
    assert 'did you mean "batch_events"?' in status
    assert re.search(r"nudged.conf:\d+: unknown option", d.log())
    assert settled(d) == before
    d.write()
    os.rmdir(d.dir / "rules")
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("READY=1")
    assert "rules directory" in d.wait_for("refused")
    assert settled(d) == before
    os.mkdir(d.dir / "rules")
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("READY=1")
    assert "refused" not in d.wait_for("STATUS=")
    assert d.stop() == 0


def test_storm_of_reloads(nudged, dsn):
    d = nudged(engines=2, dsn=dsn).start()
    before = settled(d)
    for _ in range(50):
        d.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    time.sleep(0.5)
    after = d.children()
    assert {k: after[k] for k in before} == before
    assert d.stop() == 0


GOOD_RULE = """rule "greet" {
	about = "greets who is new",
	on = "customer.created",
	run = function(e) note("hello") end,
}
"""


def test_P9_rules_are_put_in_place_at_start_and_on_reload(nudged, dsn, pg):
    def value(sql):
        return pg.psql("set search_path = nudged;" + sql, database="one")[0][0]

    d = nudged(dsn=dsn)
    (d.dir / "rules" / "greet.lua").write_text(GOOD_RULE)
    d.start()
    until(lambda: value("select set_id from current") == "1")
    assert value("select by from rule_set") == "nudged"
    settled(d)
    assert d.stop() == 0

    d.start()  # the same files: nothing to do, even when another host has moved on since
    settled(d)
    assert value("select count(*) from rule_set") == "1"
    pg.psql("set search_path = nudged; insert into rule_set (id, hash, by, host) values "
            "(nextval('rule_set_no'), 'other', 'anna', 'elsewhere'); update current set set_id = 2", database="one")
    assert d.stop() == 0
    d.start()
    settled(d)
    assert value("select set_id from current") == "2"

    (d.dir / "rules" / "greet.lua").write_text(GOOD_RULE.replace("function(e)", "functoin(e)"))
    d.process.send_signal(signal.SIGHUP)
    d.wait_for("RELOADING=1")
    assert "greet.lua:4" in d.wait_for("refused")
    assert re.search(r"reload refused: .*greet.lua:4", d.log())
    assert value("select set_id from current") == "2"

    (d.dir / "rules" / "greet.lua").write_text(GOOD_RULE + "-- mended\n")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: value("select set_id from current") == "3")
    assert "refused" not in d.wait_for("STATUS=")
    assert d.stop() == 0


def test_rules_wait_for_the_database(nudged, pg, tmp_path):
    pg.psql("create database two", database="postgres")
    dsn = pg.dsn.replace("dbname=%s" % pg.database, "dbname=two")
    d = nudged(dsn=dsn).start()
    until(lambda: "the database has no schema" in d.log())
    assert "checker" in d.children()
    migrate(dsn, tmp_path)
    settled(d)
    assert pg.psql("select set_id from nudged.current", database="two") == [["1"]]
    assert d.stop() == 0
    pg.psql("drop database two with (force)", database="postgres")


def test_reload_without_a_database_is_refused(nudged):
    d = nudged().start()
    d.process.send_signal(signal.SIGHUP)
    assert "could not connect to the database" in d.wait_for("refused")
    assert d.stop() == 0


def test_check_finds_mistakes_in_rules(nudged):
    d = nudged()
    (d.dir / "rules" / "greet.lua").write_text(GOOD_RULE.replace("about", "abuot"))
    (d.dir / "templates" / "hi.en.html").write_text("<title>{{ customer.name | monney }}</title>")
    bad = subprocess.run([NUDGED, "--config", str(d.conf), "--check"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=20, check=False, text=True)
    assert bad.returncode == 1
    assert "greet.lua:" in bad.stderr and "abuot" in bad.stderr and "hi.en.html:1" in bad.stderr


def test_watchdog_pings_while_all_is_well(nudged):
    d = nudged(stall_timeout="1s").start(env={"WATCHDOG_USEC": "400000"})
    for _ in range(3):
        d.wait_for("WATCHDOG=1", 2)
    assert d.stop() == 0


def test_inherited_socket(nudged):
    d = nudged()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        port = s.getsockname()[1]
        code = ("import os,sys; os.dup2(%d, 3); os.set_inheritable(3, True); "
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
                "os.execv(sys.argv[1], sys.argv[1:])" % s.fileno())
        d.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", code, NUDGED, "--config", str(d.conf)],
            env=dict(os.environ, NOTIFY_SOCKET=str(d.dir / "notify")),
            pass_fds=[s.fileno()], stderr=open(d.log_path, "ab"))
    d.wait_for("READY=1")
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", d.port), 1)
    assert d.stop() == 0


def test_unix_socket_is_removed(nudged):
    d = nudged()
    path = d.dir / "http"
    d.write(listen=path)
    d.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
    assert d.stop() == 0
    assert not path.exists()


def test_command_line(nudged):
    d = nudged()

    def run(*args):
        return subprocess.run([NUDGED] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=20, check=False)

    assert run("--version").stdout.startswith(b"nudged ")
    assert b"--show-config" in run("--help").stdout
    assert run("--nonsense").returncode == 2
    assert run("extra").returncode == 2
    assert run("--config", str(d.conf), "--check").returncode == 0
    d.write("[mail]\npassword = geheim")
    shown = run("--config", str(d.conf), "--show-config").stdout.decode()
    assert "geheim" not in shown and "password = ***" in shown
    assert re.search(r"# \S+nudged.conf:\d+\nlisten = 127", shown)
    d.write("[nugded]\n[mail]\nport = x")
    bad = run("--config", str(d.conf), "--check")
    assert bad.returncode == 1
    assert b"unknown section [nugded]" in bad.stderr and b"is not a whole number" in bad.stderr
