"""A private Mosquitto for system tests, with the configuration that we ship (etc/mosquitto.conf).

    with Broker() as broker:
        broker.publish("nudged/main/events/x", ['{"type":"a"}'])
        broker.kill(); broker.start()          # a crash

It listens on a free port of 127.0.0.1, keeps its data in a directory of its own, and is stopped by its
process id.  Only what has to differ from the shipped file is replaced: listener and data directory.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from ports import free_port

SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "etc", "mosquitto.conf")


def find_program():
    """The broker's program, or None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return shutil.which("mosquitto", path=path)


class Broker:
    """One broker; `replace` maps options of the shipped file to other values (None: left out),
    `extra` is added as it is."""

    def __init__(self, replace=None, extra=""):
        self.program = find_program()
        if self.program is None:
            raise FileNotFoundError("no mosquitto is installed")
        self.dir = tempfile.mkdtemp(prefix="nudged-mqtt-")
        self.port = free_port()
        self.log = os.path.join(self.dir, "log")
        self.process = None
        if os.geteuid() == 0:  # started by root it becomes the user mosquitto
            os.chmod(self.dir, 0o777)
        self.replace = {"listener": f"{self.port} 127.0.0.1",
                        "persistence_location": self.dir + "/", **(replace or {})}
        self.extra = extra
        self.write_conf()
        self.start()

    def write_conf(self):
        with open(SHIPPED, encoding="utf-8") as file:
            text = file.read()
        for key, value in self.replace.items():
            line = "" if value is None else f"{key} {value}"
            text, n = re.subn(rf"(?m)^{key} .*$", line, text)
            assert n == 1, f"the shipped file has {n} lines {key}"
        with open(os.path.join(self.dir, "conf"), "w", encoding="utf-8") as file:
            file.write(text + "\n" + self.extra + "\n")

    def start(self, wait=True):
        """Starts it on the same port and data."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-v", "-c", os.path.join(self.dir, "conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while wait:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("mosquitto does not start: " + self.log_text()) from None
                time.sleep(0.02)

    def signal(self, signo):
        self.process.send_signal(signo)

    def stop(self):
        """An orderly end: everything is saved."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def kill(self):
        """A crash."""
        self.process.kill()
        self.process.wait()

    def publish(self, topic, payloads, version="mqttv5", qos=1, options=()):
        """Publishes each payload (no line breaks in them) as a message of its own."""
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-V", version, "-q", str(qos),
             "-t", topic, "-l", *options],
            input="".join(p + "\n" for p in payloads).encode(), check=True, timeout=60)

    def publish_one(self, topic, payload, version="mqttv5", qos=1, properties=(), options=()):
        """One message with any bytes, with properties as ("content-type", "...") or
        ("user-property", name, value)."""
        args = []
        for prop in properties:
            args += ["-D", "PUBLISH", *prop]
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-V", version, "-q", str(qos),
             "-t", topic, "-s", *args, *options],
            input=payload if isinstance(payload, bytes) else payload.encode(), check=True, timeout=60)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def remove(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
