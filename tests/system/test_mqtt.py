"""door/mqtt alone, as tests/mqtt_gate: a PUBACK leaves after the commit and never before.

Wants Mosquitto; runs on the configuration that we ship.  The program is looked for in the build
directory: $NUDGED_BUILD, else the current directory.
"""

import collections
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

import broker as broker_module
from broker import Broker

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
PROGRAM = os.path.join(BUILD, "tests", "mqtt_gate")
TOPIC = "nudged/main/events/x"

pytestmark = [
    pytest.mark.skipif(not os.path.exists(PROGRAM), reason="tests/mqtt_gate is not built"),
    pytest.mark.skipif(not broker_module.find_program(), reason="no mosquitto is installed"),
]


def until(what, seconds=15.0, step=0.02):
    """Waits until what() is true and returns it."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in {seconds:g} s")
        time.sleep(step)


def event(i, **more):
    return json.dumps({"id": f"e{i}", "type": "page.viewed", "data": {"n": i}, **more})


class Gate:
    """One process with the door, and the log of what it committed."""

    def __init__(self, tmp_path, port, stores="main", name="gate", **options):
        self.commits = tmp_path / "commits"
        self.log_path = tmp_path / f"{name}.log"
        self.out_path = tmp_path / f"{name}.out"
        options = {"log": self.commits, **options}
        self.argv = [PROGRAM, str(port), stores] + [f"{k}={v}" for k, v in options.items()]
        self.process = None

    def start(self, *more):
        self.process = subprocess.Popen(
            self.argv + list(more), stdout=open(self.out_path, "ab"), stderr=open(self.log_path, "ab"))
        return self

    def connected(self, times=1):
        """Waits for the broker's CONNACK."""
        until(lambda: len(re.findall("connected to", self.log())) >= times)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def out(self):
        return self.out_path.read_text() if self.out_path.exists() else ""

    def rows(self):
        if not self.commits.exists():
            return []
        return [json.loads(line) for line in self.commits.read_text().splitlines()]

    def ids(self):
        return collections.Counter(row["id"] for row in self.rows())

    def wait_for(self, n, seconds=15.0):
        """Waits for n different events, and a moment for what should not come."""
        until(lambda: len(self.ids()) >= n, seconds)
        time.sleep(0.2)
        return self.ids()

    def stats(self):
        before = self.out().count("{")
        self.process.send_signal(signal.SIGUSR1)
        until(lambda: self.out().count("{") > before and self.out().endswith("\n"))
        return json.loads(self.out().splitlines()[-1])

    def wait_dead(self):
        self.process.wait(20)
        return self

    def stop(self):
        """SIGTERM: drains; the last counters."""
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0
        return json.loads(self.out().splitlines()[-1])

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@pytest.fixture
def broker():
    with Broker() as b:
        yield b


@pytest.fixture
def gates(tmp_path):
    """Makes gates and ends them."""
    made = []

    def make(port, **options):
        gate = Gate(tmp_path, port, **options)
        made.append(gate)
        return gate

    yield make
    for gate in made:
        gate.kill()


# ---- the gate ----


def test_killed_between_reading_and_commit_all_come_again(broker, gates):
    """P1.  Were a PUBACK on the wire before the commit, the batch would be gone."""
    gate = gates(broker.port).start().connected()
    gate.stop()
    broker.publish(TOPIC, [event(i) for i in range(1200)])
    for _ in range(3):
        gate.start("die_read=1").wait_dead()
    gate.start()
    ids = gate.wait_for(1200)
    assert len(ids) == 1200 and set(ids.values()) == {1}


def test_killed_at_the_second_batch_nothing_is_lost(broker, gates):
    """PUBACKs of the first may die with the socket: then they come again, too."""
    gate = gates(broker.port).start().connected()
    gate.stop()
    broker.publish(TOPIC, [event(i) for i in range(1200)])
    gate.start("die_read=2").wait_dead()
    gate.start()
    assert len(gate.wait_for(1200)) == 1200


def test_killed_between_commit_and_puback_come_again(broker, gates):
    """What was committed and not acknowledged is sent again: dedup knows it by its id."""
    gate = gates(broker.port).start().connected()
    gate.stop()
    broker.publish(TOPIC, [event(i) for i in range(800)])
    gate.start("die_commit=1").wait_dead()
    first = set(gate.ids())
    assert first
    gate.start()
    ids = gate.wait_for(800)
    assert {i for i, n in ids.items() if n == 2} == first
    assert len(ids) == 800


def test_no_puback_before_the_commit(broker, gates):
    """F2: while the commit takes its time the broker hears nothing."""
    gate = gates(broker.port, commit_ms=1500).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(20)])
    time.sleep(0.7)
    assert "Received PUBACK from nudged" not in broker.log_text()
    gate.wait_for(20)
    until(lambda: broker.log_text().count("Received PUBACK from nudged") == 20)


def test_a_trickle_is_taken_at_once(broker, gates):
    gate = gates(broker.port).start().connected()
    for i in range(5):
        begun = time.monotonic()
        broker.publish_one(TOPIC, event(i))
        until(lambda: len(gate.rows()) == i + 1, step=0.005)
        assert time.monotonic() - begun < 1
    assert gate.stats()["batches"] == 5


def test_killed_and_started_in_mid_stream(broker, gates):
    gate = gates(broker.port, commit_ms=5).start().connected()
    thread = threading.Thread(
        target=lambda: [broker.publish(TOPIC, [event(k * 500 + i) for i in range(500)]) for k in range(8)])
    thread.start()
    for _ in range(6):
        time.sleep(0.1)
        gate.kill()
        gate.start()
    thread.join()
    assert len(gate.wait_for(4000)) == 4000


# ---- the intake ----


def test_not_ready_nothing_is_read_and_nothing_lost(broker, gates, tmp_path):
    """P5: 5,000 messages wait at the broker until the database is back; all arrive, once."""
    shut = tmp_path / "shut"
    gate = gates(broker.port, shut=shut, keepalive_s=5).start().connected()
    shut.touch()
    broker.publish(TOPIC, [event(i) for i in range(5000)])
    time.sleep(13)  # longer than twice the keepalive: the connection is gone by then
    assert gate.rows() == []
    stats = gate.stats()
    assert stats["messages"] == 0 and not stats["connected"]
    shut.unlink()
    ids = gate.wait_for(5000)
    assert len(ids) == 5000 and set(ids.values()) == {1}
    assert gate.stop()["sessions_lost"] == 0


def test_a_short_outage_keeps_the_connection(broker, gates, tmp_path):
    shut = tmp_path / "shut"
    gate = gates(broker.port, shut=shut, keepalive_s=5).start().connected()
    shut.touch()
    broker.publish(TOPIC, [event(i) for i in range(100)])
    time.sleep(2)
    assert gate.stats()["paused"] and gate.rows() == []
    shut.unlink()
    gate.wait_for(100)
    assert gate.stop()["drops"] == 0


def test_a_commit_slower_than_the_keepalive(broker, gates):
    """F24: the broker drops us, sends again, and dedup sorts it out."""
    gate = gates(broker.port, commit_ms=14000, slow=1, keepalive_s=5).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(10)])
    gate.wait_for(10, 30)
    first = gate.rows()[0]["id"]
    until(lambda: gate.ids()[first] == 2)  # committed, not acknowledged, sent again
    stats = gate.stop()
    assert stats["drops"] == 1 and stats["sessions_lost"] == 0
    gate.start().connected(3)
    time.sleep(0.3)
    assert gate.stats()["messages"] == 0  # all are acknowledged now


def test_an_intake_without_room_is_not_read_for(broker, gates):
    gate = gates(broker.port, room=50, batch=500).start()
    time.sleep(1)
    broker.publish(TOPIC, [event(0)])
    time.sleep(0.5)
    assert gate.rows() == []


def test_an_intake_with_little_room_gets_small_batches(broker, gates):
    """Others fill the queue: MQTT is not kept out for ever."""
    gate = gates(broker.port, room=100, batch=500, commit_ms=5).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(1000)])
    ids = gate.wait_for(1000)
    assert set(ids.values()) == {1}
    assert gate.stop()["largest"] <= 100


def test_idle_connections_live(broker, gates):
    """Keepalive works when nothing comes."""
    gate = gates(broker.port, keepalive_s=5).start().connected()
    time.sleep(12)
    assert gate.stats()["connects"] == 1 and gate.stats()["drops"] == 0
    assert "Received PINGREQ from nudged" in broker.log_text()


def test_batches_have_a_cap_and_the_order_is_kept(broker, gates):
    gate = gates(broker.port, batch=50, commit_ms=10).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(1000)])
    gate.wait_for(1000)
    assert [row["id"] for row in gate.rows()] == [f"e{i}" for i in range(1000)]
    assert gate.stop()["largest"] <= 50


def test_drain_acknowledges_what_is_in_hand(broker, gates):
    gate = gates(broker.port, commit_ms=500).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(10)])
    until(lambda: "committing" in gate.log())
    gate.stop()
    taken = len(gate.rows())
    assert taken > 0
    assert "Received DISCONNECT from nudged" in broker.log_text()
    gate.start()
    ids = gate.wait_for(10)
    assert set(ids.values()) == {1}


# ---- the broker ----


def test_broker_restart(broker, gates):
    gate = gates(broker.port).start().connected()
    broker.publish(TOPIC, [event(i) for i in range(100)])
    gate.wait_for(100)
    broker.stop()
    time.sleep(0.5)
    broker.start()
    gate.connected(2)
    broker.publish(TOPIC, [event(i) for i in range(100, 200)])
    ids = gate.wait_for(200)
    assert set(ids.values()) == {1}
    stats = gate.stop()
    assert stats["sessions_lost"] == 0 and stats["connects"] == 2


def test_broker_killed_keeps_what_it_saved(broker, gates):
    """F3 on the shipped configuration."""
    gate = gates(broker.port).start().connected()
    gate.stop()
    broker.publish(TOPIC, [event(i) for i in range(1500)])
    time.sleep(3)
    broker.kill()
    broker.start()
    gate.start()
    ids = gate.wait_for(1500)
    assert len(ids) == 1500 and set(ids.values()) == {1}


def test_a_forgotten_session_is_an_alarm(broker, gates):
    """Row 19."""
    gate = gates(broker.port).start().connected()
    broker.kill()
    for name in os.listdir(broker.dir):
        if name.endswith(".db"):
            os.unlink(os.path.join(broker.dir, name))
    broker.start()
    gate.connected(1)
    until(lambda: "events may have been lost" in gate.log())
    assert "level=error" in [x for x in gate.log().splitlines() if "may have been lost" in x][0]
    assert gate.stats()["sessions_lost"] == 1
    broker.publish(TOPIC, [event(1)])
    gate.wait_for(1)


def test_the_session_outlives_its_connection(broker, gates):
    """SESSION_EXPIRY_INTERVAL is really sent: a killed client's messages wait for it."""
    gate = gates(broker.port).start().connected()
    gate.kill()
    broker.publish(TOPIC, [event(i) for i in range(30)])
    gate.start()
    gate.wait_for(30)
    assert "the session goes on" in gate.log()


def test_a_session_of_no_length_is_forgotten(broker, gates):
    """The counter-proof: without an expiry MQTT 5 ends a session with its connection."""
    gate = gates(broker.port, expiry_s=0).start().connected()
    gate.kill()
    time.sleep(0.3)
    broker.publish(TOPIC, [event(1)])
    gate.start()
    time.sleep(1)
    assert gate.rows() == []


def test_two_clients_with_one_id_do_not_race(broker, gates, tmp_path):
    """Who is kicked out backs off: a few connects per second at most, for each."""
    (tmp_path / "b").mkdir()
    one = gates(broker.port).start().connected()
    other = Gate(tmp_path / "b", broker.port).start()
    time.sleep(5)
    try:
        assert one.stats()["connects"] < 12
        assert "is another client using our client id?" in one.log()
    finally:
        other.kill()


def test_no_broker_yet(gates):
    port = broker_module.free_port()
    gate = gates(port).start()
    time.sleep(0.5)
    b = Broker.__new__(Broker)
    free_port, broker_module.free_port = broker_module.free_port, lambda: port
    try:
        b.__init__()
    finally:
        broker_module.free_port = free_port
    with b:
        gate.connected()
        b.publish(TOPIC, [event(1)])
        gate.wait_for(1)


def test_a_broker_that_accepts_and_is_silent(gates):
    """Row 24: the connect has a deadline, and the loop runs on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(5)
        gate = gates(s.getsockname()[1]).start()
        until(lambda: "does not answer" in gate.log(), 10)
        assert gate.stats()["connected"] is False
        gate.stop()


def test_a_frozen_broker_is_given_up(broker, gates):
    gate = gates(broker.port, keepalive_s=5).start().connected()
    broker.signal(signal.SIGSTOP)
    until(lambda: gate.stats()["drops"] >= 1, 20)
    broker.signal(signal.SIGCONT)
    gate.connected(2)
    broker.publish(TOPIC, [event(1)])
    gate.wait_for(1)


def test_wrong_password(gates, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    os.chmod(tmp_path, 0o755)
    os.chmod(passwords, 0o644)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "nudged", "secret"], check=True)
    os.chmod(passwords, 0o644)
    copy = "/tmp/nudged-passwords-%d" % os.getpid()
    with open(copy, "w", encoding="utf-8") as file:
        file.write(passwords.read_text())
    os.chmod(copy, 0o644)
    try:
        with Broker({"allow_anonymous": "false"}, f"password_file {copy}") as b:
            gate = gates(b.port, user="nudged", password="wrong").start()
            until(lambda: "ot authori" in gate.log())
            gate.kill()
            gate = gates(b.port, user="nudged", password="secret", name="good").start().connected()
            assert gate.stats()["connected"]
    finally:
        os.unlink(copy)


def make_certificate(directory, name="cert", *more):
    """Key and certificate, readable by everybody: the broker may run as another user."""
    key, cert = f"{directory}/{name}.key", f"{directory}/{name}"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-days", "2", *(more or ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"))],
        check=True, capture_output=True)
    os.chmod(key, 0o644)
    return key, cert


def test_tls(gates):
    with tempfile.TemporaryDirectory(prefix="nudged-tls-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        key, cert = make_certificate(directory)
        with Broker(extra=f"certfile {cert}\nkeyfile {key}") as b:
            gate = gates(b.port, ca=cert).start().connected()
            subprocess.run(
                ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(b.port), "--cafile", cert, "-q", "1",
                 "-t", TOPIC, "-l"], input="".join(event(i) + "\n" for i in range(2000)).encode(),
                check=True)
            ids = gate.wait_for(2000)
            assert set(ids.values()) == {1}
            gate.kill()
            _, other = make_certificate(directory, "other", "-subj", "/CN=other")
            for name, ca in (("plain", {}), ("wary", {"ca": other})):
                stranger = gates(b.port, name=name, **ca).start()
                until(lambda: "no connection" in stranger.log())
                assert stranger.stats()["connects"] == 0
                stranger.kill()


def packet_from(sock):
    """The next MQTT packet: its type and body (MQTT 5, section 2.1)."""
    def exactly(n):
        got = b""
        while len(got) < n:
            more = sock.recv(n - len(got))
            assert more, "the client closed the connection"
            got += more
        return got

    kind, size, shift = exactly(1)[0] >> 4, 0, 0
    while True:
        byte = exactly(1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, exactly(size)


def test_messages_in_the_same_tls_record_as_the_connack(gates, tmp_path):
    """The library reads on as long as the record lasts: they come before we know that we are connected."""
    key, cert = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    payload = event(1).encode()
    rest = len(TOPIC).to_bytes(2, "big") + TOPIC.encode() + b"\0\7" + b"\0" + payload  # no properties
    connack = b"\x20\3\1\0\0"  # the session is present, success, no properties
    with socket.create_server(("127.0.0.1", 0)) as server:
        gate = gates(server.getsockname()[1], ca=cert).start()
        server.settimeout(10)
        with context.wrap_socket(server.accept()[0], server_side=True) as client:
            client.settimeout(10)
            assert packet_from(client)[0] == 1  # CONNECT
            client.sendall(connack + b"\x32" + bytes([len(rest)]) + rest)
            kind, body = packet_from(client)
            while kind != 4:  # PUBACK; before it the subscription
                kind, body = packet_from(client)
            assert body[:2] == b"\0\7"
            assert dict(gate.ids()) == {"e1": 1}


def test_many_messages_in_one_tls_record(gates, tmp_path):
    """More than a batch in one record: the socket is quiet, and the rest of them lies in OpenSSL's buffer."""
    key, cert = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def publish(n):
        rest = len(TOPIC).to_bytes(2, "big") + TOPIC.encode() + n.to_bytes(2, "big") + b"\0" + event(n).encode()
        assert len(rest) < 128
        return b"\x32" + bytes([len(rest)]) + rest

    def acknowledged(client, n):
        got = 0
        while got < n:
            got += packet_from(client)[0] == 4

    with socket.create_server(("127.0.0.1", 0)) as server:
        gate = gates(server.getsockname()[1], ca=cert, batch=10, keepalive_s=60).start()
        server.settimeout(10)
        with context.wrap_socket(server.accept()[0], server_side=True) as client:
            client.settimeout(5)
            assert packet_from(client)[0] == 1  # CONNECT
            client.sendall(b"\x20\3\1\0\0")
            for n in range(1, 401):  # the library reads record by record only after some hundred PUBACKs
                client.sendall(publish(n))
            acknowledged(client, 400)
            client.sendall(b"".join(publish(n) for n in range(401, 461)))
            acknowledged(client, 60)
            assert len(gate.ids()) == 460


# ---- messages ----


def test_plain_and_cloudevents(broker, gates):
    gate = gates(broker.port, stores="main,second").start().connected()
    structured = {"specversion": "1.0", "id": "s1", "source": "/shop", "type": "order.placed",
                  "data": {"order_id": "7"}}
    broker.publish_one(TOPIC, json.dumps(structured),
                       properties=[("content-type", "application/cloudevents+json; charset=utf-8")])
    broker.publish_one(
        "nudged/second/events/orders", '{"order_id": "8"}',
        properties=[("content-type", "application/json"), ("user-property", "specversion", "1.0"),
                    ("user-property", "id", "b1"), ("user-property", "source", "/shop"),
                    ("user-property", "type", "order.placed"),
                    ("user-property", "datacontenttype", "application/json")])
    broker.publish_one("nudged/main/events", '{"type":"a.b","id":"p1","data":{}}', version="mqttv311")
    broker.publish_one(TOPIC, json.dumps(dict(structured, id="s2")), version="mqttv311")
    broker.publish_one(TOPIC, '{"type":"a.b","id":"q0","data":{}}', qos=0)
    broker.publish_one(TOPIC, '{"type":"a.b","id":"q2","data":{}}', qos=2)
    gate.wait_for(6)
    rows = {row["id"]: row for row in gate.rows()}
    assert {row["status"] for row in rows.values()} == {"accepted"}, rows
    assert rows["s1"]["source"] == "/shop" and rows["s1"]["store"] == "main"
    assert rows["b1"]["store"] == "second" and rows["b1"]["type"] == "order.placed"
    assert json.loads(rows["b1"]["data"]) == {"order_id": "8"}
    assert set(rows) == {"s1", "b1", "p1", "s2", "q0", "q2"}


@pytest.mark.parametrize("payload, reason", [
    (b"", "the message is empty"),
    (b"hello", ""),
    (b"\xff\xfe\x00", ""),
    (b'{"type":"a.b","id":"x","data":{"a":1}', ""),
    (b'{"type":"a.b","data":{}}', "neither id nor time"),
    (b'{"id":"x","data":{}}', "type is missing"),
    (b'{"type":"a.b","id":"x","data":{"a":"' + b"y" * 70000 + b'"}}', "64 KiB"),
    (b'{"type":"a.b","id":"x","id":"y","data":{}}', ""),
])
def test_what_can_not_be_read_is_quarantined(broker, gates, payload, reason):
    gate = gates(broker.port).start().connected()
    if payload:
        broker.publish_one(TOPIC, payload)
    else:
        subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", TOPIC, "-n"], check=True)
    broker.publish_one(TOPIC, event("good"))
    until(lambda: len(gate.rows()) == 2)
    bad, good = gate.rows()
    assert bad["status"] == "quarantined" and reason in bad["reason"] and bad["reason"]
    assert good["status"] == "accepted"
    if b"hello" in payload or payload.startswith(b'{"id"'):
        assert bad["data"].encode() == payload
    assert gate.stop()["quarantined"] == 1


def test_too_many_properties(broker, gates):
    gate = gates(broker.port).start().connected()
    broker.publish_one(TOPIC, event(1), properties=[("user-property", f"n{i}", "v") for i in range(200)])
    until(lambda: len(gate.rows()) == 1)
    assert "user properties" in gate.rows()[0]["reason"]


def test_larger_than_the_broker_takes(broker, gates):
    """The shipped limit: refused before it is acknowledged, and nothing else suffers."""
    gate = gates(broker.port).start().connected()
    broker.publish_one(TOPIC, b"x" * (2 << 20))
    broker.publish(TOPIC, [event(1)])
    assert set(gate.wait_for(1)) == {"e1"}


def test_other_stores_and_topics_are_not_taken(broker, gates):
    gate = gates(broker.port).start().connected()
    for topic in ("nudged/other/events/x", "nudged/main/eventsx", "nudged/main/x", "other/main/events/x",
                  "nudged/events/x"):
        broker.publish_one(topic, event(topic))
    broker.publish_one(TOPIC, event("ours"))
    assert set(gate.wait_for(1)) == {"eours"}


def test_a_store_that_may_no_longer(broker, gates):
    """Its subscription is still in the session: what comes is passed over, and the subscription ends."""
    gate = gates(broker.port, stores="main,old").start().connected()
    gate.stop()
    broker.publish("nudged/old/events/x", [event(f"old{i}") for i in range(3)])
    broker.publish(TOPIC, [event("new")])
    gate = gates(broker.port, name="later").start().connected()
    assert set(gate.wait_for(1)) == {"enew"}
    assert gate.stats()["foreign"] == 3
    until(lambda: "Received UNSUBSCRIBE from nudged" in broker.log_text())
    broker.publish("nudged/old/events/x", [event("again")])
    time.sleep(0.3)
    assert gate.stats()["foreign"] == 3


def test_retained_messages_come_once(broker, gates):
    """A live one is an event like any other; the broker's copy does not come with each connection."""
    gate = gates(broker.port).start().connected()
    broker.publish_one(TOPIC, event(1), options=["-r"])
    gate.wait_for(1)
    for i in range(3):
        gate.stop()
        gate.start().connected(2 + i)
    time.sleep(0.3)
    assert gate.ids() == {"e1": 1}


# ---- the seat ----


@pytest.fixture(scope="module")
def postgres():
    import cluster
    if cluster.find_bin() is None:
        pytest.skip("no Postgres server is installed")
    with cluster.Postgres() as pg:
        sql = os.path.join(os.path.dirname(__file__), "..", "..", "sql")
        subprocess.run([PROGRAM, "migrate", pg.dsn, sql], check=True, capture_output=True)
        yield pg


class Fleet:
    """Two gates that want one seat."""

    def __init__(self, gates, port, pg):
        self.a = gates(port, name="a", dsn=pg.dsn).start()
        until(lambda: "held" in self.a.out())
        self.a.connected()
        self.b = gates(port, name="b", dsn=pg.dsn).start()
        until(lambda: "ready" in self.b.out())
        time.sleep(1.5)
        assert "held" not in self.b.out()


def test_one_holds_the_session_and_is_replaced(broker, gates, postgres):
    """P18: killed, it is taken over within 5 s, and nothing is lost."""
    fleet = Fleet(gates, broker.port, postgres)
    broker.publish(TOPIC, [event(i) for i in range(500)])
    fleet.a.process.kill()
    killed = time.monotonic()
    broker.publish(TOPIC, [event(i) for i in range(500, 1000)])
    until(lambda: "session goes on" in fleet.b.log(), 10, 0.005)
    assert time.monotonic() - killed < 5
    assert len(fleet.b.wait_for(1000)) == 1000
    assert fleet.b.stop()["sessions_lost"] == 0


def test_one_that_stops_hands_over(broker, gates, postgres):
    fleet = Fleet(gates, broker.port, postgres)
    fleet.a.stop()
    begun = time.monotonic()
    until(lambda: "session goes on" in fleet.b.log(), 10, 0.005)
    assert time.monotonic() - begun < 2.5


def test_a_frozen_one_is_replaced_and_lets_go(broker, gates, postgres):
    fleet = Fleet(gates, broker.port, postgres)
    fleet.a.process.send_signal(signal.SIGSTOP)
    frozen = time.monotonic()
    until(lambda: "session goes on" in fleet.b.log(), 10, 0.005)
    assert time.monotonic() - frozen < 5
    broker.publish(TOPIC, [event(i) for i in range(50)])
    fleet.b.wait_for(50)
    fleet.a.process.send_signal(signal.SIGCONT)
    until(lambda: "lost" in fleet.a.out())
    time.sleep(2)
    assert fleet.b.stats()["connects"] == 1, "the one that was frozen came back to the broker"
    assert fleet.a.out().count("held") == 1


def test_without_its_database_session_it_lets_go_at_once(broker, gates, postgres):
    gate = gates(broker.port, name="a", dsn=postgres.dsn, commit_ms=700).start()
    until(lambda: "held" in gate.out())
    gate.connected()
    broker.publish(TOPIC, [event(i) for i in range(5)])
    until(lambda: "committing" in gate.log())
    postgres.terminate_backends("nudged mqtt")
    until(lambda: "lost" in gate.out(), 3)
    assert "Received PUBACK from nudged" not in broker.log_text()
    until(lambda: gate.out().count("held") == 2)
    gate.wait_for(5)
    until(lambda: broker.log_text().count("Received PUBACK from nudged") >= 5)


def test_postgres_down_and_back(broker, gates, postgres):
    """Messages wait at the broker meanwhile."""
    gate = gates(broker.port, name="a", dsn=postgres.dsn).start()
    until(lambda: "held" in gate.out())
    gate.connected()
    postgres.stop("immediate")
    until(lambda: "lost" in gate.out())
    broker.publish(TOPIC, [event(i) for i in range(300)])
    time.sleep(1)
    assert gate.rows() == []
    postgres.start()
    ids = gate.wait_for(300, 20)
    assert set(ids.values()) == {1}
    assert gate.stop()["sessions_lost"] == 0
