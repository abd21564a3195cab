#ifndef DB_SQL_H
#define DB_SQL_H
/*
 * Every statement of the program, in one table.  Prepared by name on each connection that may use it,
 * after each connect; parameters and results are binary.
 *
 * Types of parameters are letters, upper case for arrays:
 *   i bigint, n int, f float8, b boolean, t timestamptz, s text, j json, u uuid, y bytea
 *
 * What writes wide rows has one array of them for its first parameter: a digit, ROW_... in sql.c, and the type
 * of the rows in sql_rows.
 *
 * A new statement = one name here, one row in sql.c; statements of couriers and tools have SQL_TOOL.
 */
#include <stdbool.h>

enum {
	SQL_SCHEMA_VERSION = 5, /* the newest file in sql/ that this program knows */
	SQL_PRUNE_ROWS = 5000
};

/* What identity_taken() raises: a key that is claimed belongs to another customer. */
#define SQL_STATE_TAKEN "NK001"

enum sql_id {
	/* transactions */
	SQL_BEGIN,
	SQL_BEGIN_SNAPSHOT,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_PATIENT,
	SQL_PLAN_ANEW,
	/* identify */
	SQL_IDENTITY_FIND,
	SQL_IDENTITY_FIND_NUMBER,
	SQL_IDENTITY_MAKE,
	/* load */
	SQL_CARD_LOCK,
	SQL_CARD_LOCK_PATIENT,
	SQL_CARD_READ,
	SQL_CHAIN_READ,
	SQL_EVENT_KNOWN,
	SQL_RULE_LAST_READ,
	SQL_ORDER_READ,
	SQL_INBOX_READ,
	SQL_TASK_READ,
	SQL_CURRENT,
	SQL_CLOCK,
	SQL_ENGINES,
	SQL_NEXT_DUE,
	SQL_PICK_CHAIN_1,
	SQL_PICK_CHAIN_10,
	SQL_PICK_CHAIN_50,
	SQL_PICK_CHAIN_200,
	SQL_PICK_CHAIN_500,
	SQL_PICK_TASK_1,
	SQL_PICK_TASK_10,
	SQL_PICK_TASK_50,
	SQL_PICK_TASK_200,
	SQL_PICK_TASK_500,
	SQL_PICK_INBOX_1,
	SQL_PICK_INBOX_10,
	SQL_PICK_INBOX_50,
	SQL_PICK_INBOX_200,
	SQL_PICK_INBOX_500,
	SQL_INBOX_FOLLOW,
	/* fetch */
	SQL_QUERY_COUNT,
	SQL_QUERY_EVENTS,
	SQL_QUERY_ORDERS,
	SQL_QUERY_TEXT,
	SQL_QUERY_CHAIN,
	SQL_QUERY_REASON,
	SQL_QUERY_SENDING,
	/* save, in the order in which a save sends them */
	SQL_EVENT_ADD,
	SQL_IDENTITY_CLAIM,
	SQL_ORDER_ADD,
	SQL_ORDER_CHANGE,
	SQL_ORDER_STATUS_ADD,
	SQL_CARD_ACTIVITY,
	SQL_CARD_PROFILE,
	SQL_CARD_IDENTITY,
	SQL_CHAIN_ADD,
	SQL_CHAIN_CHANGE,
	SQL_CHAIN_END,
	SQL_CHAIN_LOG_ADD,
	SQL_RULE_LAST_PUT,
	SQL_MESSAGE_ADD,
	SQL_TASK_ADD,
	SQL_TASK_CHANGE,
	SQL_MESSAGE_WITHDRAW,
	SQL_TASK_WITHDRAW,
	SQL_TASK_EXIT,
	SQL_MESSAGE_OUTCOME,
	SQL_NOTE_ADD,
	SQL_CONSENT_ADD,
	SQL_SUPPRESSION_ADD,
	SQL_FAULT_ADD,
	SQL_RULE_SUSPEND,
	SQL_INBOX_DONE,
	SQL_QUARANTINE_ADD,
	SQL_CONFLICT_ADD,
	SQL_JOIN_MOVE,
	SQL_JOIN_MESSAGE,
	SQL_JOIN_INBOX,
	/* rule sets, switches, inbox */
	SQL_SET_READ,
	SQL_SET_READ_TEXTS,
	SQL_SET_READ_TEMPLATES,
	SQL_SET_WRITE_TEXTS,
	SQL_SET_WRITE_TEMPLATES,
	SQL_SET_WRITE,
	SQL_SWITCHES_VERSION,
	SQL_SWITCHES_RULES,
	SQL_SWITCHES_PAIRS,
	SQL_STRIKE,
	SQL_ASIDE_CHAIN,
	SQL_ASIDE_TASK,
	SQL_ASIDE_INBOX,
	SQL_INBOX_ADD,
	/* couriers: claim and record */
	SQL_CLAIM_OWNER,
	SQL_CLAIM_SETTINGS,
	SQL_CLAIM_CANDIDATES,
	SQL_IS_COPY,
	SQL_CLAIM_MESSAGES,
	SQL_CLAIM_WORLD,
	SQL_CLAIM_FIRST,
	SQL_CLAIM_FOLLOW,
	SQL_CLAIM_END,
	SQL_CLAIM_TAKE,
	SQL_CLAIM_RECORD,
	SQL_CLAIM_SWEEP,
	SQL_TEMPLATE_READ,
	/* the MQTT session's seat */
	SQL_SEAT_TAKE,
	SQL_SEAT_HOLD,
	/* what is kept how long; each prune deletes at most SQL_PRUNE_ROWS, the oldest first */
	SQL_PARTITIONS_AHEAD,
	SQL_PARTITIONS_UNTIL,
	SQL_PARTITIONS_OLD,
	SQL_END_SILENT,
	SQL_EXPIRE_UNCLAIMED, /* what no courier came for, at most SQL_PRUNE_ROWS */
	SQL_PRUNE_MESSAGE,
	SQL_PRUNE_TASK,
	SQL_PRUNE_QUARANTINE,
	SQL_PRUNE_CONFLICT,
	SQL_PRUNE_AUDIT,
	SQL_PRUNE_CONSENT,
	SQL_PRUNE_FAULT,
	/* nudgectl and the checker */
	SQL_CURRENT_LOCK,
	SQL_SET_IS,
	SQL_SET_OF_HOST,
	SQL_AUDIT_ADD,
	SQL_PAUSE_ADD,
	SQL_PAUSE_END,
	SQL_PAUSE_LIST,
	SQL_WAITING_LOCK,
	SQL_WAITING_END,
	SQL_DEADLINE_LOCK,
	SQL_DEADLINE_END,
	SQL_IDENTITY_ACCEPT,
	SQL_SUSPENDED_LIST,
	SQL_SUSPENDED_END,
	SQL_STATUS,
	SQL_WRITES_AHEAD,
	SQL_WRITES_OVER,
	SQL_SUSPENDED_LOCK,
	SQL_SUSPENDED_WAKE,
	SQL_DOUBT_LIST,
	SQL_DOUBT_HOLDER,
	SQL_DOUBT_RESOLVE,
	SQL_CHAIN_LIST,
	SQL_CHAIN_HOLDER,
	SQL_CARD_FIND,
	SQL_RENDER_SEND,
	SQL_RENDER_STATE,
	SQL_RENDER_DROP,
	SQL_CHAIN_STOP,
	SQL_CHAIN_RETRY,
	/* the API's reads and its few writes */
	SQL_API_INBOX_LEFT,
	SQL_API_PAUSES,
	SQL_API_GAUGES,
	SQL_API_CARD,
	SQL_API_IDENTITIES,
	SQL_API_ORDERS,
	SQL_API_TASKS,
	SQL_API_TASKS_LIVE,
	SQL_API_TASKS_OF,
	SQL_API_TASK,
	SQL_API_TASK_MOVE,
	SQL_API_TASK_MOVED,
	SQL_API_MESSAGES,
	SQL_API_MESSAGES_OF,
	SQL_API_CHAINS,
	SQL_API_CHAINS_OF,
	SQL_API_UNSUBSCRIBE,
	SQL_LINE_EVENTS, /* a customer's timeline: one statement per kind of entry */
	SQL_LINE_CONSENTS,
	SQL_LINE_CHAINS,
	SQL_LINE_TASKS,
	SQL_LINE_NOTES,
	SQL_LINE_MESSAGES,
	SQL_LINE_CHAIN_ENDS,
	SQL_COUNT
};

enum sql_user {
	SQL_LANE = 1,   /* the lanes of store/pg */
	SQL_KEEPER = 2, /* db/keeper */
	SQL_SEAT = 8,   /* door/mqtt_seat */
	SQL_TOOL = 4,   /* db/block: couriers, nudgectl; prepared when first used */
	SQL_API = 16,   /* door/ask: what people and their programs look at */
};

struct sql {
	const char *name;
	const char *params; /* letters, see above */
	const char *text;
	unsigned users; /* who prepares it after connect: enum sql_user, or-ed */
	bool ragged;    /* its arrays may differ in length */
};
extern const struct sql sql_table[SQL_COUNT];

/* A row type of sql/005_rows.sql and the letters of its fields. */
struct sql_row {
	const char *type, *fields;
};
enum { SQL_ROWS = 8 };
extern const struct sql_row sql_rows[SQL_ROWS];
/* The type of the rows that are its first parameter; -1: it has none. */
int sql_row_of(const struct sql *s);

#endif
