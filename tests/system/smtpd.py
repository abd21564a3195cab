"""An SMTP server for tests: keeps what it was given, and misbehaves on demand.

    with Smtpd() as smtp:
        smtp.on("rcpt", "550 5.1.1 no such user", when="nobody@")
        smtp.on("dot", DROP, times=1)            # takes the text, says nothing, hangs up
        ... smtp.messages[0].header("Subject")

Steps: connect ehlo starttls auth mail rcpt data body dot rset quit.  An action is an answer ("451 ..."),
DROP, STALL, DRIP, or a function(session, line) that returns an answer or one of these.  `body` is asked
before the text is read.  A message counts (messages) when the server said 2xx to its end, or when
action is DROP or STALL at `dot`: such a server may have kept it (`doubtful` is set then).
"""

import base64
import email
import email.policy
import re
import socket
import ssl
import subprocess
import threading
import time

DROP, STALL, DRIP = "!drop", "!stall", "!drip"


class Message:
    def __init__(self, sender, recipient, data, session):
        self.sender, self.recipient, self.data = sender, recipient, data
        self.connection, self.tls, self.user = session.number, session.tls, session.user
        self.doubtful = False
        self.mail = email.message_from_bytes(data, policy=email.policy.SMTP.clone(refold_source="none"))

    def header(self, name):
        return self.mail[name]

    def text(self, subtype="plain"):
        part = self.mail.get_body(("plain",) if subtype == "plain" else ("html",))
        return part.get_content() if part else None


class Gone(Exception):
    pass


class Session:
    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.tls = False
        self.user = None
        self.sender = self.recipient = None
        self.buffer = b""

    def send(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def line(self):
        while b"\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                raise Gone
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def act(self, step, line, default):
        """Answers the step; False when the answer was not 2xx or 3xx."""
        answer = self.server.action(step, self, line) or default
        if answer == DROP:
            raise Gone
        if answer == STALL:
            self.server.closing.wait(600)
            raise Gone
        if answer == DRIP:
            for c in "250-" + "x" * 900:
                self.sock.sendall(c.encode())
                if self.server.closing.wait(0.1):
                    raise Gone
            raise Gone
        if answer:
            self.send(answer)
        return answer[:1] in ("2", "3")

    def ehlo(self, line):
        more = list(self.server.extensions)
        if self.server.tls and not self.tls:
            more.append("STARTTLS")
        if self.server.users:
            more.append("AUTH PLAIN LOGIN")
        self.act("ehlo", line, "\r\n".join(["250-smtpd.test"] + ["250-" + m for m in more] + ["250 HELP"]))

    def starttls(self, line):
        if not self.act("starttls", line, "220 go"):
            return
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.tls = True

    def auth(self, line):
        words = line.split()
        if words[1].upper() == "LOGIN":
            self.send("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.line()).decode()
            self.send("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.line()).decode()
        else:
            if len(words) < 3:
                self.send("334 ")
                words.append(self.line().decode())
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
        good = self.server.users.get(user) == password
        if self.act("auth", line, "235 welcome" if good else "535 5.7.8 no"):
            self.user = user

    def data(self, line):
        if not self.act("data", line, "354 go on"):
            return
        action = self.server.action("body", self, "")
        if action == DROP:
            raise Gone
        lines = []
        while True:
            one = self.line()
            self.server.wire.append(one)
            if one == b".\r\n":
                break
            lines.append(one[1:] if one.startswith(b".") else one)
        message = Message(self.sender, self.recipient, b"".join(lines), self)
        action = self.server.action("dot", self, "") or "250 2.0.0 kept"
        if action in (DROP, STALL):
            message.doubtful = True
        if action[0] in "2!":
            self.server.messages.append(message)
        self.act_now(action)

    def act_now(self, action):
        if action == DROP:
            raise Gone
        if action == STALL:
            self.server.closing.wait(600)
            raise Gone
        self.send(action)

    def run(self):
        self.act("connect", "", "220 smtpd.test ESMTP")
        while True:
            line = self.line().decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.server.log.append((self.number, line))
            word = line.split(" ")[0].split(":")[0].upper()
            if word in ("EHLO", "HELO"):
                self.ehlo(line)
            elif word == "STARTTLS" and self.server.tls:
                self.starttls(line)
            elif word == "AUTH":
                self.auth(line)
            elif word == "MAIL":
                self.sender = line
                self.act("mail", line, "250 2.1.0 ok")
            elif word == "RCPT":
                if self.act("rcpt", line, "250 2.1.5 ok"):
                    self.recipient = re.search("<(.*)>", line).group(1)
            elif word == "DATA":
                self.data(line)
            elif word == "RSET":
                self.act("rset", line, "250 ok")
            elif word == "QUIT":
                self.act("quit", line, "221 bye")
                return
            else:
                self.send("500 what?")


class Smtpd:
    def __init__(self, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"), tls=None, users=None):
        self.extensions, self.tls, self.users = extensions, tls, users or {}
        self.messages, self.log, self.wire = [], [], []
        self.rules = []
        self.connections = 0
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def on(self, step, action, times=None, when=None):
        """From now on the step is answered so (the newest rule wins), at most `times` times, and only when
        the line matches `when`."""
        self.rules.append({"step": step, "action": action, "times": times, "when": when})

    def good(self):
        self.rules.clear()

    def action(self, step, session, line):
        with self.lock:
            for rule in reversed(self.rules):
                if rule["step"] != step or rule["times"] == 0:
                    continue
                if rule["when"] and not re.search(rule["when"], line):
                    continue
                if rule["times"] is not None:
                    rule["times"] -= 1
                action = rule["action"]
                break
            else:
                return None
        return action(session, line) if callable(action) else action

    def accept(self):
        while not self.closing.is_set():
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock, self.connections), daemon=True).start()

    def serve(self, sock, number):
        session = Session(self, sock, number)
        try:
            session.run()
        except (Gone, OSError, ssl.SSLError):
            pass
        finally:
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            session.sock.close()

    def commands(self, word):
        return [line for _, line in self.log if line.upper().startswith(word)]

    def wait(self, n, seconds=10):
        """Waits for n messages."""
        end = time.time() + seconds
        while len(self.messages) < n and time.time() < end:
            time.sleep(0.01)
        return self.messages

    def close(self):
        self.closing.set()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make_certificates(directory, name="localhost"):
    """A root and a certificate for the name; paths of (root, context of the server)."""
    root, key, cert = (f"{directory}/{f}" for f in ("root.pem", f"{name}.key", f"{name}.pem"))

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{directory}/root.key", "-out", root,
            "-days", "2", "-subj", "/CN=test root")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", f"{directory}/{name}.csr",
            "-subj", f"/CN={name}")
    with open(f"{directory}/{name}.ext", "w", encoding="utf-8") as file:
        file.write(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", f"{directory}/{name}.csr", "-CA", root, "-CAkey", f"{directory}/root.key",
            "-CAcreateserial", "-days", "2", "-out", cert, "-extfile", f"{directory}/{name}.ext")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return root, context
