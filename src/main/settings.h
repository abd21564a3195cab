#ifndef MAIN_SETTINGS_H
#define MAIN_SETTINGS_H
/*
 * The settings of the daemon: every option there is, checked, as plain data.
 *
 * One table in settings.c says what may stand in nudged.conf; `--show-config`, the sample file and the
 * manual are checked against it.  settings_read gives a new struct or a list of mistakes; on a reload
 * read a new one with the old one at hand, so that options marked "at restart" keep their values, then
 * swap and free the old one when nobody lends from it any more.  Everything in the struct is owned by
 * it.  Rooms below main never see it: whoever opens a room fills that room's own options from here.
 *
 * Texts are never NULL ("" = not set), times are microseconds, sizes bytes.
 */
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "model/message.h"
#include "model/shop.h"
#include "model/staff.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* One address to listen at: an ip address with a port, or an absolute path of a Unix socket. */
struct settings_address {
	const char *text; /* as in the file: 127.0.0.1:8080, [::]:8080, /run/nudged/http */
	struct sockaddr_storage addr;
	socklen_t len;
};

/* [nudged] */
struct settings_nudged {
	struct conf_list listen; /* texts of settings.listen */
	int engines;             /* engine processes */
	enum log_format log_format;
	int log_level;             /* index in settings_log_levels; see settings_log_level() */
	const char *rules_dir;     /* where *.lua of the rules are */
	const char *templates_dir; /* where templates are */
	const char *state_dir;     /* where the lock file is */
	bool unsafe_durability;    /* run although Postgres may lose what it committed */
	const char *admin_token;   /* SHA-256 of the admin's token in hex, "" = no admin API */
	const char *sign_key;      /* signs the links in mails, "" = no such links */
	const char *public_url;    /* what those links begin with, no slash at the end */
	int64_t drain_timeout_us;  /* SIGTERM: how long to finish what is in flight */
	int64_t stall_timeout_us;  /* an engine whose loop stands longer is killed */
	int64_t stall_timeout_courier_us; /* a courier that stands longer is killed */
	int64_t check_timeout_us;         /* reload: how long the rule checker may take */
	int64_t clock_skew_us;            /* further from the database's clock: sends pause */
};

/* [database] */
struct settings_database {
	const char *dsn; /* libpq connection string or URI */
	int connections; /* per engine, for batches */
	int64_t statement_timeout_us;
	int64_t idle_timeout_us; /* idle_in_transaction_session_timeout */
	int64_t poll_us;         /* longest sleep between looks for due work */
};

/* [http] */
struct settings_http {
	int connections;          /* per engine */
	int per_address;          /* per address, except loopback and trusted */
	struct conf_list trusted; /* addresses or networks: 10.0.0.0/8 */
	int64_t head_timeout_us;
	int64_t body_timeout_us;
	int64_t idle_timeout_us;   /* between requests of a connection */
	int64_t answer_timeout_us; /* not settled by then: 503 */
	int64_t head_bytes;        /* largest head of a request */
	int backlog;               /* of listen(2) */
};

/* [mqtt] */
struct settings_mqtt {
	const char *host; /* "" = no MQTT */
	int port;
	const char *client_id; /* the same on all engines and hosts */
	const char *user;
	const char *password;
	bool tls;
	const char *tls_ca; /* file; "" = the system's */
	const char *tls_cert;
	const char *tls_key;
	int64_t keepalive_us;
	int receive_maximum;
	int64_t session_expiry_us;
	const char *topic;       /* prefix: TOPIC/<store>/events/# */
	struct conf_list stores; /* which stores may use it; empty = all that are defined */
	bool events;             /* take events */
	int64_t takeover_us;     /* how often the others ask for the session */
};

/* [mail] */
struct settings_mail {
	int couriers; /* processes; 0 = no mail is sent */
	const char *host;
	int port;
	enum { STARTTLS_NO, STARTTLS_IF_OFFERED, STARTTLS_REQUIRED } starttls;
	const char *ca_file; /* "" = the system's */
	const char *user;    /* "" = no AUTH */
	const char *password;
	const char *from; /* of stores that have none */
	const char *helo; /* "" = the host's name */
	int64_t timeout_us;
	int per_connection; /* messages */
	int64_t retry_us;   /* the first delay, doubling */
	int64_t retry_most_us;
	int64_t give_up_us;       /* after this a message has failed */
	int64_t claim_us;         /* hand-over must begin so soon after the claim */
	struct conf_list only_to; /* addresses or @domains; empty = everybody */
	bool resend_in_doubt;     /* transactional mail in doubt goes out once more */
	int max_messages;         /* a courier process starts afresh after so many; 0 = never */
	int64_t message_bytes;    /* largest message with its attachments */
};

/* [publish] */
struct settings_publish {
	int couriers; /* processes; 0 = nothing is published */
	const char *client_id;
	int64_t timeout_us; /* for the broker's PUBACK */
	int64_t retry_us;
	int64_t retry_most_us;
	int64_t give_up_us;
	struct conf_list only_to; /* topics or prefixes that end with /#; empty = all */
};

/* [limits] */
struct settings_limits {
	int64_t event_bytes;
	int batch_events; /* of one request */
	int64_t batch_bytes;
	int id_bytes;
	int identities;    /* keys that an engine remembers */
	int64_t future_us; /* an event further ahead gets the time of receipt */
	int batch;         /* events judged in one transaction */
	int mqtt_batch;    /* the same by MQTT */
	int queue_events;  /* uncommitted ones per engine */
	int64_t queue_bytes;
	int catch_up; /* overdue chains per second, all engines */
	int due;      /* due chains taken at a time */
	int effects;  /* per judged event */
	int steps;    /* per chain */
	int64_t history_bytes;
	int64_t history_warn_bytes;
	int chains; /* live ones per customer */
	int chains_warn;
	int64_t eval_bytes;
	int64_t eval_us;
	int64_t judge_us; /* per batch */
	int emit_depth;
	int64_t with_bytes; /* data of one message */
};

/* [keep]: months, 0 = for ever */
struct settings_keep {
	int events;
	int chain_log;
	int messages;
	int tasks;
	int audit;
	int consent_log;
	int quarantine;
};

struct settings {
	struct settings_nudged nudged;
	struct settings_database database;
	struct settings_http http;
	struct settings_mqtt mqtt;
	struct settings_mail mail;
	struct settings_publish publish;
	struct settings_limits limits;
	struct settings_keep keep;

	const char *path;                      /* the file; "" = defaults only */
	const struct settings_address *listen; /* [nudged] listen */
	size_t nlisten;
	bool has_admin;                      /* [nudged] admin_token is set */
	uint8_t admin_hash[SHOP_HASH_BYTES]; /* its bytes */
	const struct shop *shops;            /* [store NAME], in order of the file */
	size_t nshops;
	struct staff staff;                    /* [manager NAME], [group NAME] */
	const struct shop_calendar *calendars; /* [calendar NAME]; the first is "always" */
	size_t ncalendars;
	const char *
		kept; /* options that were changed but take effect at restart: "[nudged] engines, ..." */
	struct conf *conf; /* where it all came from, for settings_show */
};

struct settings_problems {
	struct err *v; /* each says file and line */
	size_t n;
};

/* Reads and checks the file (NULL: defaults only).  With `old`, options that change at restart only
 * keep their old values and are listed in `kept`.  NULL: *problems says why, free it with
 * settings_problems_free. */
struct settings *settings_read(
	const char *path, const struct settings *old, struct settings_problems *problems);
/* The same for the text of a file that was read before (NULL: reads it now). */
struct settings *settings_read_text(const char *path, const char *text, const struct settings *old,
	struct settings_problems *problems);
/* What was read, lent; "" without a file. */
const char *settings_text(const struct settings *s);
void settings_problems_free(struct settings_problems *p);
void settings_free(struct settings *s);

/* [nudged] log_level as the log wants it. */
enum log_level settings_log_level(const struct settings *s);
/* NULL when there is no such store. */
const struct shop *settings_shop(const struct settings *s, struct span id);

/* The configuration as text; flags of enum conf_show. */
void settings_show(const struct settings *s, unsigned flags, struct buf *out);
/* The table alone: every option with its default, named sections as [store NAME]. */
void settings_show_defaults(unsigned flags, struct buf *out);

#endif
