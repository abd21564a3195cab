"""A throw-away Postgres cluster for system tests.

    with Postgres() as pg:
        pg.psql("create table t(i int)")
        rows = pg.psql("select * from t")          # list of lists of text
        pg.stop("immediate"); pg.start()            # a crash and a recovery

The cluster lives in a directory of its own, listens on a Unix socket there and nowhere else, keeps
fsync on, and is stopped and removed at the end.  Postgres refuses to run as root: started by root, it
runs as the user `postgres`.  Usable without pytest too (tests/store/run_pg.sh does).
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

SETTINGS = {
    "listen_addresses": "''",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "60",
    "max_wal_size": "1GB",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "'%m [%p] %a '",
    "deadlock_timeout": "200ms",
}


def find_bin():
    """The directory of initdb and postgres, or None when no server is installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
    if found:
        return os.path.dirname(found[-1])
    path = shutil.which("initdb")
    return os.path.dirname(os.path.realpath(path)) if path else None


class Postgres:
    """One cluster with one database; `settings` are added to postgresql.conf."""

    port = 5432

    def __init__(self, settings=None, database="nudged", parent=None):
        self.bin = find_bin()
        if self.bin is None:
            raise FileNotFoundError("no Postgres server is installed")
        self.database = database
        # a short path: a Unix socket's may have 107 bytes
        self.dir = tempfile.mkdtemp(prefix="nudged-pg-", dir=parent)
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.running = False
        self.user = "postgres"
        self._as = []
        if os.geteuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        os.chmod(self.dir, 0o755)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", self.user, "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            for key, value in {**SETTINGS, **(settings or {})}.items():
                conf.write(f"{key} = {value}\n")
            conf.write(f"unix_socket_directories = '{self.dir}'\n")
        self.start()
        self.psql(f"create database {database}", database="postgres")

    def _run(self, program, *args, check=True):
        done = subprocess.run([*self._as, os.path.join(self.bin, program), *args], cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}")
        return done.stdout

    @property
    def dsn(self):
        """A libpq connection string."""
        return f"host={self.dir} port={self.port} user={self.user} dbname={self.database}"

    @property
    def pid(self):
        """The postmaster's process id."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            return int(file.readline())

    def start(self):
        """Starts the server and waits until it takes connections."""
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "60", "start")
        self.running = True

    def stop(self, mode="fast"):
        """Stops it: smart, fast, or immediate (which is a crash)."""
        if self.running:
            self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-m", mode, "stop")
            self.running = False

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def configure(self, **settings):
        """Changes settings by ALTER SYSTEM and reloads (settings that need it want a restart())."""
        for key, value in settings.items():
            self.psql(f"alter system set {key} = {value}")
        self.psql("select pg_reload_conf()")

    def psql(self, sql, database=None, user=None):
        """Runs SQL text; the rows of its statements as lists of text ('' for NULL).  It does not wait for ever behind a
        lock that a failed test has left."""
        done = subprocess.run(
            [os.path.join(self.bin, "psql"), "-XqAt", "-F", "\x1f", "-R", "\x1e", "-v", "ON_ERROR_STOP=1",
             "-h", self.dir, "-p", str(self.port), "-U", user or self.user,
             "-d", database or self.database, "-f", "-"],
            env={**os.environ, "PGOPTIONS": "-c lock_timeout=60s"},
            input=sql, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        out = done.stdout.rstrip("\n")
        return [row.split("\x1f") for row in out.split("\x1e") if row != ""]

    def value(self, sql):
        """The single value of a query, as text, or None when there is no row."""
        rows = self.psql(sql)
        return rows[0][0] if rows else None

    def backends(self, like="nudged%"):
        """Process ids of the backends whose application_name is like that."""
        rows = self.psql(f"select pid from pg_stat_activity where application_name like '{like}'")
        return [int(row[0]) for row in rows]

    def signal_backends(self, signo=signal.SIGSTOP, like="nudged%"):
        """Freezes (or kills) those backends; SIGKILL of one makes Postgres restart all."""
        pids = self.backends(like)
        for pid in pids:
            os.kill(pid, signo)
        return pids

    def terminate_backends(self, like="nudged%"):
        """Ends those connections from the server's side; how many there were."""
        rows = self.psql("select pg_terminate_backend(pid) from pg_stat_activity "
                         f"where application_name like '{like}'")
        return len(rows)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def remove(self):
        """Stops it at once and removes its directory."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def main(argv):
    """Runs a command with NUDGED_TEST_DSN set to a fresh cluster; 77 when Postgres is missing."""
    if find_bin() is None:
        print("skipped: no Postgres server is installed", file=sys.stderr)
        return 77
    with Postgres() as pg:
        env = dict(os.environ, NUDGED_TEST_DSN=pg.dsn)
        done = subprocess.run(argv, env=env, check=False).returncode
        if done != 0:
            print(pg.log_text()[-4000:], file=sys.stderr)
        return done if done >= 0 else 128 - done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
