/*
 * dev_parts.c: programs are started directly, without shells; their output goes to DIR/log.  Postgres refuses to
 * run as root, so initdb and postgres then run as the user "postgres" that its Debian package made, and their
 * directory belongs to him.
 */
#include "main/dev_parts.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "db/block.h"
#include "main/dev_smtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEV_START_MS = 60000, DEV_SOCKET_PATH_MOST = 100 };

static const struct log_ctx dev_log = { .room = "dev" };

void dev_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

bool dev_write_file(const char *path, unsigned mode, struct err *err, const char *fmt, ...)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	va_list ap;
	bool ok;

	if (fd < 0)
		return err_set(err, "could not write \"%s\": %s", path, strerror(errno));
	va_start(ap, fmt);
	ok = vdprintf(fd, fmt, ap) >= 0;
	va_end(ap);
	return (close(fd) == 0 && ok) ||
	       err_set(err, "could not write \"%s\": %s", path, strerror(errno));
}

/* Binds 127.0.0.1, any port; returns the socket. */
static int dev_bind(int *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*ret_port = ntohs(a.sin_port);
	return fd;
}

int dev_free_port(void)
{
	int port = 0, fd = dev_bind(&port);

	if (fd >= 0)
		close(fd);
	return port;
}

static bool dev_port_answers(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* In the child: output to the log, another user when asked for, then the program. */
static void dev_exec(const char *log, const char *user, const char *const argv[])
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644), null = open("/dev/null", O_RDONLY);
	struct passwd *pw = user ? getpwnam(user) : NULL;

	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (user != NULL && (pw == NULL || setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 ||
				    setuid(pw->pw_uid) != 0))
		_exit(126);
	if (chdir("/") != 0)
		_exit(126);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static pid_t dev_spawn(const char *log, const char *user, const char *const argv[])
{
	pid_t pid = proc_fork(strrchr(argv[0], '/') + 1);

	if (pid == 0)
		dev_exec(log, user, argv);
	return pid;
}

/* Runs a program to its end. */
static bool dev_run(const char *log, const char *user, const char *const argv[], struct err *err)
{
	pid_t pid = dev_spawn(log, user, argv);
	int status;

	if (pid < 0)
		return err_set(err, "could not start \"%s\": %s", argv[0], strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(
				err, "could not wait for \"%s\": %s", argv[0], strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	return err_set(err, "\"%s\" ended with %s; its output is in \"%s\"", argv[0],
		proc_end_text(status), log);
}

void dev_stop(pid_t *pid, int signo, int wait_ms)
{
	int status;

	if (*pid <= 0)
		return;
	kill(*pid, signo);
	for (int ms = 0; waitpid(*pid, &status, WNOHANG) == 0; ms += 20) {
		if (ms >= wait_ms) {
			log_warning(
				&dev_log, "process %d did not stop in time, killing it", (int)*pid);
			kill(*pid, SIGKILL);
			waitpid(*pid, &status, 0);
			break;
		}
		dev_pause();
	}
	*pid = 0;
}

/* ---- Postgres ---- */

/* The newest server's folder of programs. */
static bool dev_postgres_bin(char *ret, size_t n, struct err *err)
{
	glob_t g;
	bool found = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) == 0 && g.gl_pathc > 0;

	if (found)
		found = span_into((struct span){ g.gl_pathv[g.gl_pathc - 1],
					  strlen(g.gl_pathv[g.gl_pathc - 1]) - strlen("/initdb") },
			ret, n);
	globfree(&g);
	if (found)
		return true;
	err_set(err, "found no Postgres server in /usr/lib/postgresql");
	return err_hint(err, "On Debian: apt-get install postgresql-15");
}

static bool dev_mkdir(const char *path, const char *user, struct err *err)
{
	struct passwd *pw = user ? getpwnam(user) : NULL;

	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return err_set(err, "could not make directory \"%s\": %s", path, strerror(errno));
	if (pw != NULL && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(err, "could not give \"%s\" to user \"%s\": %s", path, user,
			strerror(errno));
	return true;
}

static bool dev_initdb(
	const char *bin, const char *data, const char *log, const char *user, struct err *err)
{
	char program[300], version[1100];
	const char *argv[] = { program, "-D", data, "-U", "nudged", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--no-instructions", NULL };

	snprintf(program, sizeof program, "%s/initdb", bin);
	snprintf(version, sizeof version, "%s/PG_VERSION", data);
	return access(version, F_OK) == 0 || dev_run(log, user, argv, err);
}

/* Waits until the server answers and makes the database on first use. */
static bool dev_postgres_wait(struct dev_parts *p, const char *admin_dsn, struct err *err)
{
	for (int ms = 0; ms < DEV_START_MS; ms += 20) {
		struct block *db =
			block_open(admin_dsn, "nudged dev", BLOCK_UNCHECKED, DEV_START_MS, err);
		int status;

		if (db != NULL) {
			struct db_rows *rows = NULL;
			bool ok = block_script(db,
				"select 1 from pg_database where datname = 'nudged'", &rows, err);

			if (ok && db_rows_count(rows) == 0)
				ok = block_script(db, "create database nudged", NULL, err);
			block_rows_free(rows);
			block_close(db);
			return ok;
		}
		if (waitpid(p->postgres, &status, WNOHANG) == p->postgres) {
			p->postgres = 0;
			return err_set(err,
				"Postgres ended with %s; its output is in \"%s/log/postgres.log\"",
				proc_end_text(status), p->dir);
		}
		dev_pause();
	}
	return err_set(err, "Postgres did not answer in %d s: see \"%s/log/postgres.log\"",
		DEV_START_MS / 1000, p->dir);
}

bool dev_postgres_start(struct dev_parts *p, struct err *err)
{
	const char *user = geteuid() == 0 ? "postgres" : NULL;
	char bin[256], program[300], *dir, *data, *run, *log, *sockets;
	struct arena a = { 0 };
	bool ok;

	dir = arena_printf(&a, "%s/pg", p->dir);
	data = arena_printf(&a, "%s/data", dir);
	run = arena_printf(&a, "%s/run", dir);
	log = arena_printf(&a, "%s/log/postgres.log", p->dir);
	sockets = arena_printf(&a, "unix_socket_directories=%s", run);
	snprintf(p->dsn, sizeof p->dsn, "host=%s dbname=nudged user=nudged", run);
	ok = strlen(run) <= DEV_SOCKET_PATH_MOST ||
	     (err_set(err, "the path \"%s\" is too long for a socket", run),
		     err_hint(err, "Choose a directory with a shorter path."));
	ok = ok && dev_postgres_bin(bin, sizeof bin, err) && dev_mkdir(dir, user, err) &&
	     dev_mkdir(run, user, err) && dev_initdb(bin, data, log, user, err);
	if (ok) {
		const char *argv[] = { program, "-D", data, "-c", "listen_addresses=", "-c",
			sockets, "-c", "max_connections=60", "-c", "shared_buffers=128MB", "-c",
			"max_wal_size=1GB", "-c", "log_line_prefix=%m [%p] %a ", NULL };

		snprintf(program, sizeof program, "%s/postgres", bin);
		p->postgres = dev_spawn(log, user, argv);
		ok = p->postgres > 0
			     ? dev_postgres_wait(p,
				       arena_printf(&a, "host=%s dbname=postgres user=nudged", run),
				       err)
			     : err_set(err, "could not start Postgres: %s", strerror(errno));
	}
	arena_fini(&a);
	return ok;
}

/* ---- Mosquitto, mail ---- */

static const char *dev_mosquitto_program(void)
{
	static const char *const places[] = { "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto",
		"/usr/bin/mosquitto" };

	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

bool dev_mosquitto_start(struct dev_parts *p, struct err *err)
{
	const char *program = dev_mosquitto_program();
	char conf[1100], dir[1100], log[1100];
	const char *argv[] = { program, "-c", conf, NULL };
	struct passwd *pw = getpwuid(geteuid());

	if (program == NULL) {
		err_set(err, "found no mosquitto");
		return err_hint(err, "On Debian: apt-get install mosquitto");
	}
	snprintf(conf, sizeof conf, "%s/mosquitto.conf", p->dir);
	snprintf(dir, sizeof dir, "%s/mosquitto", p->dir);
	snprintf(log, sizeof log, "%s/log/mosquitto.log", p->dir);
	p->mqtt_port = dev_free_port();
	if (!dev_mkdir(dir, NULL, err) ||
		!dev_write_file(conf, 0644, err,
			"# made by nudged --dev; etc/mosquitto.conf explains the lines\n"
			"listener %d 127.0.0.1\nallow_anonymous true\nuser %s\n"
			"persistence true\npersistence_location %s/\n"
			"autosave_interval 1\nautosave_on_changes false\n"
			"max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n",
			p->mqtt_port, pw ? pw->pw_name : "root", dir))
		return false;
	if ((p->mosquitto = dev_spawn(log, NULL, argv)) < 0)
		return err_set(err, "could not start mosquitto: %s", strerror(errno));
	for (int ms = 0; ms < DEV_START_MS; ms += 20) {
		int status;

		if (dev_port_answers(p->mqtt_port))
			return true;
		if (waitpid(p->mosquitto, &status, WNOHANG) == p->mosquitto) {
			p->mosquitto = 0;
			return err_set(err, "mosquitto ended with %s; its output is in \"%s\"",
				proc_end_text(status), log);
		}
		dev_pause();
	}
	return err_set(err, "mosquitto did not answer; its output is in \"%s\"", log);
}

bool dev_smtp_start(struct dev_parts *p, struct err *err)
{
	char mail[1100];
	int fd = dev_bind(&p->smtp_port);

	snprintf(mail, sizeof mail, "%s/mail", p->dir);
	if (fd < 0 || listen(fd, 16) != 0)
		return err_set(err, "could not listen for mail: %s", strerror(errno));
	if (!dev_mkdir(mail, NULL, err)) {
		close(fd);
		return false;
	}
	p->smtp = proc_fork("catch-all");
	if (p->smtp == 0)
		_exit(dev_smtp_run(fd, mail));
	close(fd);
	return p->smtp > 0 ||
	       err_set(err, "could not start the mail catch-all: %s", strerror(errno));
}

void dev_parts_stop(struct dev_parts *p)
{
	dev_stop(&p->mosquitto, SIGTERM, 5000);
	dev_stop(&p->smtp, SIGTERM, 5000);
	dev_stop(&p->postgres, SIGINT, 20000); /* fast shutdown */
}
