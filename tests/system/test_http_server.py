"""door/http alone, as tests/http_echo: frames, deadlines, caps, order.

The program is looked for in the build directory: $NUDGED_BUILD, else the current directory.
"""
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import time

import pytest

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
PROGRAM = os.path.join(BUILD, "tests", "http_echo")
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

SANITIZED = os.path.exists(PROGRAM) and b"__asan_init" in open(PROGRAM, "rb").read()

pytestmark = pytest.mark.skipif(not os.path.exists(PROGRAM), reason="tests/http_echo is not built")


class Server:
    def __init__(self, *limits, nofile=None):
        def limit():
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        self.process = subprocess.Popen(
            [PROGRAM, "0", *limits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit
        )
        self.port = int(self.process.stdout.readline().split()[1])

    def connect(self, source="127.0.0.1", rcvbuf=None):
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(10)
        s.bind((source, 0))
        s.connect(("127.0.0.1", self.port))
        return s

    def talk(self, *pieces, pause=0.02, wait=10):
        """Sends the pieces; returns (answers, closed): what came until the end or a quiet while."""
        s = self.connect()
        for i, piece in enumerate(pieces):
            if i:
                time.sleep(pause)
            try:
                s.sendall(piece)
            except OSError:
                break
        out = read_answers(s, wait=wait)
        s.close()
        return out

    def stats(self):
        s = self.connect()
        s.sendall(b"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n")
        answers, _ = read_answers(s, n=1)
        s.close()
        return {k: int(v) for k, v in (line.split() for line in answers[0][2].decode().splitlines())}

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read())[1])

    def stop(self):
        """Drains; returns what was logged."""
        self.process.send_signal(signal.SIGTERM)
        try:
            _, log = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.returncode == 0, log.decode()
        return log.decode()


@pytest.fixture
def start():
    servers = []

    def make(*limits, **kw):
        servers.append(Server(*limits, **kw))
        return servers[-1]

    yield make
    for s in servers:
        if s.process.poll() is None:
            s.stop()


@pytest.fixture(scope="module")
def server():
    s = Server()
    yield s
    s.stop()


def is_ready(s, seconds):
    poll = select.poll()  # select() knows descriptors below 1024 only
    poll.register(s, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def read_answers(s, n=None, wait=10):
    """Reads answers until n came, the peer closed, or it was quiet for `wait` s (0.3 once one came)."""
    data, answers, closed = b"", [], False
    while n is None or len(answers) < n:
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            head = data[:end].decode()
            length = int((re.search(r"(?i)content-length: (\d+)", head) or [0, 0])[1])
            if len(data) < end + 4 + length:
                break
            answers.append((int(head.split()[1]), head, data[end + 4 : end + 4 + length]))
            data = data[end + 4 + length :]
        if n is not None and len(answers) >= n:
            break
        if not is_ready(s, 0.3 if answers and not data else wait):
            break
        try:
            piece = s.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            closed = True
            break
        data += piece
    assert not data or closed, data[:200]
    return answers, closed


def statuses(answers):
    return [a[0] for a in answers]


def closed_within(s, seconds):
    """The time until the peer closed, reading what comes; None if it did not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if is_ready(s, 0.05):
            try:
                if not s.recv(1 << 16):
                    return time.monotonic() - began
            except ConnectionResetError:
                return time.monotonic() - began
    return None


# ---- frames ----

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DOUBTFUL = {
    "cl_and_te": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te_and_cl": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "te_gzip_chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te_xchunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "te_twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te_tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "two_cl_differ": HEAD + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n",
    "two_cl_same": HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "cl_list": HEAD + b"Content-Length: 0, 0\r\n\r\n",
    "cl_plus": HEAD + b"Content-Length: +0\r\n\r\n",
    "cl_minus": HEAD + b"Content-Length: -1\r\n\r\n",
    "cl_hex": HEAD + b"Content-Length: 0x0\r\n\r\n",
    "cl_space_colon": HEAD + b"Content-Length : 36\r\n\r\n",
    "obs_fold": HEAD + b"X-A: 1\r\n  folded\r\nContent-Length: 0\r\n\r\n",
    "nul": HEAD + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "nul_in_token": HEAD + b"Authorization: Bearer sec\0ret\r\nContent-Length: 0\r\n\r\n",
    "two_tokens": HEAD + b"Authorization: Bearer a\r\nAuthorization: Bearer secret\r\n\r\n",
    "bare_lf": b"POST /echo HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "bare_cr": HEAD + b"X-A: a\rContent-Length: 36\r\n\r\n",
    "no_host": b"POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two_hosts": HEAD + b"Host: b\r\nContent-Length: 0\r\n\r\n",
    "absolute": b"POST http://evil/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "connect": b"CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "nul_escape": b"POST /echo%00 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "chunk_0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk_plus": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk_minus": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk_long_number": CHUNKED + b"7fffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk_bare_lf": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "chunk_too_much": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "body_without_length": HEAD + b"\r\nabc",
}


@pytest.mark.parametrize("name", DOUBTFUL)
@pytest.mark.parametrize("cut", [False, True])
def test_doubtful_frame_is_400_and_nothing_hidden_runs(server, name, cut):
    text = DOUBTFUL[name] + HIDDEN
    before = server.stats()
    pieces = [text[i : i + 7] for i in range(0, len(text), 7)] if cut else [text]
    answers, closed = server.talk(*pieces, pause=0.001)
    if name == "body_without_length":  # a whole request, and rubbish behind it
        assert statuses(answers) == [200, 400] and closed
        assert server.stats()["handled"] == before["handled"] + 1
        return
    assert statuses(answers) == [400] and closed
    assert "connection: close" in answers[0][1].lower()
    assert server.stats()["handled"] == before["handled"]


@pytest.mark.parametrize(
    "status,text",
    [
        (505, b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (505, b"POST /echo HTTP/9.9\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        (417, HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
        (415, HEAD + b"Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc"),
        (431, HEAD + b"X: " + b"a" * 17000 + b"\r\n\r\n"),
        (431, HEAD + b"a:b\r\n" * 1500 + b"\r\n"),
        (413, HEAD + b"Content-Length: 99999999999999999999\r\n\r\nabc"),
        (413, HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 30)),
        (413, CHUNKED + b"40000000\r\nabc"),
    ],
)
def test_refused_before_the_body_and_closed(server, status, text):
    before = server.stats()
    answers, closed = server.talk(text + HIDDEN)
    assert statuses(answers) == [status] and closed
    assert server.stats()["handled"] == before["handled"]


def test_large_body_is_refused_while_it_is_sent(server):
    for head, piece in (
        (HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 30), b"x" * 65536),
        (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ):
        s = server.connect()
        s.sendall(head)
        sent = 0
        try:
            while sent < 1 << 28 and not is_ready(s, 0):
                sent += s.send(piece)
        except OSError:
            pass
        answers, _ = read_answers(s)
        assert statuses(answers) == [413]
        assert sent < 16 << 20
        s.close()
    assert server.rss_kb() < 30000


def test_bodies_arrive_whole_however_cut(server):
    body = bytes(range(256)) * 3000
    chunked = b"".join(b"%x;e=1\r\n%s\r\n" % (len(p), p) for p in (body[i : i + 7001] for i in range(0, len(body), 7001)))
    for text in (
        HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        CHUNKED + chunked + b"0\r\nX-Auth: evil\r\n\r\n",
    ):
        for step in (1000, 65536, 1 << 20):
            pieces = [text[i : i + step] for i in range(0, len(text), step)]
            answers, closed = server.talk(*pieces, pause=0.0001)
            assert statuses(answers) == [200] and not closed
            assert answers[0][2] == body


def test_a_request_byte_by_byte(server):
    text = HEAD + b"Content-Length: 5\r\n\r\nhello" + CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    answers, closed = server.talk(*[text[i : i + 1] for i in range(len(text))], pause=0.001)
    assert [a[2] for a in answers] == [b"hello", b"abcde"] and not closed


# ---- connections ----


def test_pipelined_answers_keep_the_order(server):
    text = b""
    for i in range(40):
        path = b"/later" if i % 3 == 0 else b"/echo"
        text += b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n%03d" % (path, i)
    s = server.connect()
    s.sendall(text)
    answers, closed = read_answers(s, n=40)
    assert [a[2] for a in answers] == [b"%03d" % i for i in range(40)] and not closed
    s.close()


def test_a_long_pipeline_is_taken_piece_by_piece(server):
    one = b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"p" * 1000
    s = server.connect()
    s.sendall(one * 300)
    answers, _ = read_answers(s, n=300)
    assert statuses(answers) == [200] * 300
    s.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert read_answers(s, n=1)[0][0][2] == b"ok"
    s.close()


def hold_up(server):
    """150 clients with 20,000 requests each; how long another one waits at most, and what the log says."""
    clients = [server.connect() for _ in range(150)]
    for s in clients:
        s.setblocking(False)
        try:
            s.send(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 20000)
        except BlockingIOError:
            pass
    slowest, other = 0.0, server.connect()
    for _ in range(20):
        began = time.monotonic()
        other.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
        assert statuses(read_answers(other, n=1)[0]) == [200]
        slowest = max(slowest, time.monotonic() - began)
        for s in clients:
            try:
                while s.recv(1 << 20):
                    pass
            except BlockingIOError:
                pass
    for s in [*clients, other]:
        s.close()
    return slowest, server.stop()


def test_many_long_pipelines_do_not_hold_up_the_loop(start):
    """A machine that is busy with something else may hold up a turn as well, but hardly three times in a row."""
    for _ in range(3):
        slowest, log = hold_up(start())
        assert slowest < 2
        if SANITIZED or "a turn of the loop took" not in log:
            return
    raise AssertionError(log[-2000:])


def test_keep_alive_survives_errors(server):
    s = server.connect()
    for text, status in (
        (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 404),
        (b"DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 401),
        (b"POST /private HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\nContent-Length: 2\r\n\r\nhi", 200),
        (b"POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 503),
        (b"HEAD /stats HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (HEAD + b"Content-Length: 2\r\n\r\nok", 200),
    ):
        s.sendall(text)
        if status is None:  # HEAD: the length of a body that does not come
            head = s.recv(4096)
            assert b"200 OK" in head and re.search(rb"Content-Length: [1-9]", head)
            assert head.endswith(b"\r\n\r\n")
            continue
        answers, closed = read_answers(s, n=1)
        assert statuses(answers) == [status] and not closed, text
        if status == 405:
            assert "Allow: POST, PUT" in answers[0][1]
        if status == 503:
            assert "Retry-After: 1" in answers[0][1]
            assert answers[0][2] == b'{"error":"too \\"busy\\"","path":"$.a"}'
        if status == 401:
            assert b'"hint"' in answers[0][2]
    s.close()


def test_refused_body_is_skipped_not_run(server):
    body = HIDDEN + b"x" * 100
    text = b"POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    before = server.stats()
    answers, closed = server.talk(text, body, HEAD + b"Content-Length: 2\r\n\r\nok", pause=0.05)
    assert statuses(answers) == [401, 200] and not closed
    assert server.stats()["handled"] == before["handled"] + 1
    answers, closed = server.talk(
        b"POST /private HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + HIDDEN
    )
    assert statuses(answers) == [401] and closed


def test_connection_close_is_honoured(server):
    answers, closed = server.talk(
        b"POST /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx" + HIDDEN
    )
    assert statuses(answers) == [200] and closed
    assert "Connection: close" in answers[0][1]


def test_refused_last_request_is_closed_when_its_body_is_skipped(server):
    text = b"POST /private HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab"
    answers, closed = server.talk(text, b"cd", pause=0.1)
    assert statuses(answers) == [401] and closed


def test_half_closed_client_gets_its_answers(server):
    s = server.connect()
    s.sendall(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + HEAD)
    s.shutdown(socket.SHUT_WR)
    answers, closed = read_answers(s)
    assert statuses(answers) == [200] and closed
    s.close()


def test_client_gone_before_the_answer(server):
    for _ in range(20):
        s = server.connect()
        s.sendall(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" * 3)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    time.sleep(0.4)
    stats = server.stats()
    assert stats["open"] == 1 and stats["requests"] == 1


def test_query_and_headers_reach_the_handler(server):
    answers, _ = server.talk(
        b"GET /look/a%2Fb?x=1&q=%D0%B9+%26 HTTP/1.1\r\nHost: a\r\nX-TEST: v\r\n\r\n"
    )
    assert answers[0][2].decode() == "peer=127.0.0.1 tail=a/b q=й & x=v Host X-TEST"
    assert "X-Seen: yes" in answers[0][1]


# ---- time ----


def test_slow_heads_and_bodies_are_cut(start):
    server = start("head_ms=500", "body_ms=800", "idle_ms=1200")
    for text, late, status in ((b"POST /echo HT", 0.5, 408), (HEAD + b"Content-Length: 99\r\n\r\n", 0.8, 408)):
        s = server.connect()
        began = time.monotonic()
        s.sendall(text)
        data = b""
        while time.monotonic() - began < 5:
            try:
                if is_ready(s, 0.1):
                    piece = s.recv(4096)
                    if not piece:
                        break
                    data += piece
                else:
                    s.sendall(b"a")  # a byte now and then keeps nobody alive
            except OSError:
                break
        took = time.monotonic() - began
        assert late - 0.05 < took < late + 1.6
        assert data.startswith(b"HTTP/1.1 %d" % status)
    s = server.connect()
    took = closed_within(s, 5)
    assert took is not None and 1.0 < took < 2.5
    stats = server.stats()
    assert stats["head_late"] == 1 and stats["body_late"] == 1


def test_each_pipelined_head_has_its_own_deadline(start):
    server = start("head_ms=600")
    s = server.connect()
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        s.sendall(HEAD + b"Content-Length: 0\r\n\r\n" + HEAD[:20])
        time.sleep(0.2)
        s.sendall(HEAD[20:] + b"Content-Length: 0\r\n\r\n")
    answers, closed = read_answers(s)
    assert set(statuses(answers)) == {200} and len(answers) >= 12 and not closed


def test_client_that_does_not_read_is_cut(start):
    server = start("send_ms=700")
    s = server.connect(rcvbuf=4096)
    s.sendall(b"GET /long?n=20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    began, got, ended = time.monotonic(), 0, False
    while time.monotonic() - began < 6 and not ended:
        try:
            piece = s.recv(100)  # single bytes do not help
            got += len(piece)
            ended = not piece
        except ConnectionResetError:
            ended = True
        time.sleep(0.05)
        if server.stats()["send_late"]:
            break
    assert server.stats()["send_late"] == 1
    assert time.monotonic() - began < 4
    s.close()


def test_long_answer_arrives(server):
    s = server.connect()
    s.sendall(b"GET /long?n=20000000 HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nok")
    answers, _ = read_answers(s, n=2)
    assert len(answers[0][2]) == 20000000 and answers[1][2] == b"ok"
    s.close()


# ---- caps ----


def test_cap_per_address(start):
    server = start("per_address=5", "count_loopback=1")
    held = [server.connect("127.0.0.9") for _ in range(5)]
    time.sleep(0.1)
    s = server.connect("127.0.0.9")
    answers, closed = read_answers(s)
    assert statuses(answers) == [503] and closed and "Retry-After" in answers[0][1]
    other = server.connect("127.0.0.10")
    other.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert statuses(read_answers(other, n=1)[0]) == [200]
    held.pop().close()
    time.sleep(0.1)
    s = server.connect("127.0.0.9")
    s.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert statuses(read_answers(s, n=1)[0]) == [200]
    assert server.stats()["address"] == 1


def test_cap_of_connections_and_who_idles_makes_room(start):
    server = start("connections=20")
    busy = [server.connect() for _ in range(20)]
    for s in busy:
        s.sendall(HEAD + b"Content-Length: 5\r\n\r\nhe")
    time.sleep(0.2)
    answers, closed = read_answers(server.connect())
    assert statuses(answers) == [503] and closed
    for s in busy:
        s.sendall(b"llo")
        assert statuses(read_answers(s, n=1)[0]) == [200]
    time.sleep(1.2)
    s = server.connect()
    s.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert statuses(read_answers(s, n=1)[0]) == [200]
    assert closed_within(busy[0], 1) is not None


def test_idle_connections_are_cheap(start):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(1500, most - 100)
    server = start("connections=20000")
    server.talk(HEAD + b"Content-Length: 2\r\n\r\nok")
    before = server.rss_kb()
    held = [server.connect() for _ in range(count)]
    for s in held:
        s.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    for s in held:
        read_answers(s, n=1)
    per = (server.rss_kb() - before) * 1024 / count
    cpu = server.cpu()
    time.sleep(1)
    assert server.cpu() - cpu < 0.05
    assert per < 4096 or SANITIZED
    for s in held:
        s.close()


def test_out_of_descriptors_pauses_and_recovers(start):
    server = start("connections=1000", nofile=40)
    held = [server.connect() for _ in range(60)]
    cpu = server.cpu()
    time.sleep(2)
    assert server.cpu() - cpu < 0.1  # below 5 %
    held[0].sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert statuses(read_answers(held[0], n=1)[0]) == [200]
    for s in held:
        s.close()
    time.sleep(0.8)
    answers, _ = server.talk(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert statuses(answers) == [200]
    assert server.stats()["files"] >= 1
    assert server.stop().count("could not accept") <= 2


# ---- the end ----


def test_drain_finishes_what_is_in_flight(start):
    server = start()
    idle = server.connect()
    busy = server.connect()
    busy.sendall(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
    half = server.connect()
    half.sendall(HEAD)
    time.sleep(0.03)
    server.process.send_signal(signal.SIGTERM)
    assert closed_within(idle, 2) is not None
    half.sendall(b"Content-Length: 2\r\n\r\nok")
    for s, body in ((busy, b"x"), (half, b"ok")):
        answers, closed = read_answers(s)
        assert [a[2] for a in answers] == [body] and closed
        assert "Connection: close" in answers[0][1]
    with pytest.raises(OSError):
        server.connect()
    assert server.process.wait(5) == 0


def test_second_signal_ends_at_once(start):
    server = start()
    s = server.connect()
    s.sendall(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + HEAD)
    time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(2) == 0


# ---- whatever clients do ----


def random_request(rng):
    head = b" HTTP/1.1\r\nHost: a\r\n"
    body = rng.randbytes(rng.choice([0, 1, 10, 1000, 70000]))
    path = rng.choice([b"/echo", b"/later", b"/private", b"/busy", b"/nothing", b"/events"])
    kind = rng.randrange(12)
    if kind == 0:
        return b"GET /long?n=%d" % rng.choice([1, 1000, 3000000]) + head + b"\r\n"
    if kind == 1:
        return b"POST " + path + head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    if kind == 2:
        return rng.choice(list(DOUBTFUL.values()))
    if kind == 3:
        return b"HEAD /stats" + head + b"\r\n"
    if kind < 7:
        chunks = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return b"POST " + path + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return b"POST " + path + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def random_step(rng, s, text):
    """Does something with a connection; returns what is left to send, None when it is to be left."""
    dice = rng.random()
    try:
        if dice < 0.6 and text:
            return text[s.send(text[: rng.choice([1, 5, 100, 5000, 100000])]) :]
        if dice < 0.9:
            return text if s.recv(rng.choice([1, 1000, 100000])) else None
        if dice < 0.92:
            s.shutdown(socket.SHUT_WR)
        elif dice < 0.94:
            if rng.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return None
    except BlockingIOError:
        pass
    except OSError:
        return None
    return text


@pytest.mark.parametrize("seed", [1, 2])
def test_random_clients_leave_nothing_behind(start, seed):
    rng = random.Random(seed)
    server = start("head_ms=150", "body_ms=200", "send_ms=200", "idle_ms=300", "connections=60")
    clients = []
    end = time.monotonic() + 3
    while time.monotonic() < end:
        if len(clients) < 70 and rng.random() < 0.5:
            s = server.connect()
            s.setblocking(False)
            clients.append([s, b"".join(random_request(rng) for _ in range(rng.choice([1, 3, 100])))])
        client = rng.choice(clients) if clients else None
        if client:
            client[1] = random_step(rng, *client)
            if client[1] is None:
                client[0].close()
                clients.remove(client)
    for s, _ in clients:
        s.close()
    time.sleep(1.5)  # the ceremony of closing takes a second
    stats = server.stats()
    assert stats["open"] == 1 and stats["requests"] == 1
    assert stats["handled"] > 100
