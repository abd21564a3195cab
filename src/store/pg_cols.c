/* pg_cols.c: which column of a table is which field of a struct, in the order of db/sql.c.
 *
 * The same list writes and reads.  `customer` is not in it where a table has one: it comes first and is
 * always the visit's.
 */
#include "model/shop.h"
#include "store/pg_int.h"

#define COL(kind_, type, field)                                                                    \
	{                                                                                          \
		.kind = (kind_), .at = offsetof(struct type, field)                                \
	}
#define COL_LIST(kind_, type, field, n)                                                            \
	{                                                                                          \
		.kind = (kind_), .at = offsetof(struct type, field),                               \
		.count = offsetof(struct type, n)                                                  \
	}
#define COL_WORD(type, field, words)                                                               \
	{                                                                                          \
		.kind = BIND_WORD, .at = offsetof(struct type, field), .word = pg_word_##words,    \
		.parse = pg_parse_##words                                                          \
	}
/* The two directions of an enum, as bind_col wants them. */
#define WORDS(words, enum_, name, parse)                                                           \
	static const char *pg_word_##words(int v)                                                  \
	{                                                                                          \
		return name((enum enum_)v);                                                        \
	}                                                                                          \
	static bool pg_parse_##words(struct span word, int *ret)                                   \
	{                                                                                          \
		enum enum_ v;                                                                      \
		bool ok = parse(word, &v);                                                         \
                                                                                                   \
		if (ok)                                                                            \
			*ret = (int)v;                                                             \
		return ok;                                                                         \
	}

WORDS(chain, chain_state, chain_state_name, chain_state_parse)
WORDS(task, task_state, task_state_name, task_state_parse)
WORDS(message, message_state, message_state_name, message_state_parse)
WORDS(channel, message_channel, message_channel_name, message_channel_parse)
WORDS(class, message_class, message_class_name, message_class_parse)

#define CARD_TEXT(which)                                                                           \
	{                                                                                          \
		.kind = BIND_TEXT, .at = offsetof(struct customer, text[which])                    \
	}
#define CARD_JSON(which)                                                                           \
	{                                                                                          \
		.kind = BIND_TEXT, .at = offsetof(struct customer, json[which])                    \
	}

const struct bind_col pg_customer_cols[] = {
	COL(BIND_I64, customer, id),
	COL(BIND_KEY, customer, base),
	COL(BIND_BOOL, customer, hidden),
	COL(BIND_I64, customer, merged_into),
	COL(BIND_I64, customer, identity_version),
	CARD_TEXT(CARD_EMAIL),
	CARD_TEXT(CARD_PHONE),
	CARD_TEXT(CARD_NAME),
	CARD_TEXT(CARD_FIRST_NAME),
	CARD_TEXT(CARD_LAST_NAME),
	CARD_TEXT(CARD_LANG),
	CARD_TEXT(CARD_TZ),
	CARD_TEXT(CARD_CITY),
	CARD_TEXT(CARD_BIRTHDAY),
	CARD_TEXT(CARD_GENDER),
	CARD_TEXT(CARD_MANAGER),
	CARD_TEXT(CARD_FIRST_SOURCE),
	COL(BIND_I64, customer, orders_count),
	COL(BIND_F64, customer, orders_total),
	COL(BIND_TIME, customer, orders_first_us),
	COL(BIND_TIME, customer, orders_last_us),
	COL(BIND_TEXT, customer, orders_last_id),
	COL(BIND_TIME, customer, created_us),
	COL(BIND_TIME, customer, last_seen_us),
	CARD_JSON(CARD_TAGS),
	CARD_JSON(CARD_ATTRIBUTES),
	CARD_JSON(CARD_CONSENT),
	CARD_JSON(CARD_SUPPRESSED),
	CARD_JSON(CARD_CART),
	CARD_JSON(CARD_SPEND),
};

const struct bind_col pg_gone_col = COL_LIST(BIND_I64S, visit, gone, n_gone);

const struct bind_col pg_chain_cols[] = {
	COL(BIND_I64, chain, id),
	COL(BIND_SHOP, chain, shop),
	COL(BIND_KEY, chain, rule),
	COL(BIND_KEY, chain, key),
	COL(BIND_KEY, chain, text_hash),
	COL(BIND_INT, chain, level),
	COL_WORD(chain, state, chain),
	COL(BIND_TIME, chain, started_us),
	COL(BIND_TIME, chain, wake_us),
	COL_LIST(BIND_TEXTS, chain, awaits, n_awaits),
	COL(BIND_TEXT, chain, exits),
	COL_LIST(BIND_I64S, chain, open, n_open),
	COL(BIND_TEXT, chain, reason),
	COL(BIND_TEXT, chain, event),
	COL(BIND_TEXT, chain, history),
	COL(BIND_TEXT, chain, arrived),
	COL(BIND_BOOL, chain, loaded),
};

const struct bind_col pg_order_cols[] = {
	COL(BIND_SHOP, order, shop),
	COL(BIND_KEY, order, id),
	COL(BIND_TEXT, order, number),
	COL(BIND_TEXT, order, status),
	COL(BIND_TEXT, order, currency),
	COL(BIND_TEXT, order, payment),
	COL(BIND_TEXT, order, channel),
	COL(BIND_TEXT, order, coupon),
	COL(BIND_TEXT, order, tracking_number),
	COL(BIND_TEXT, order, carrier),
	COL(BIND_TEXT, order, tracking_url),
	COL(BIND_F64, order, total),
	COL(BIND_F64, order, refunded),
	COL(BIND_TIME, order, placed_us),
	COL(BIND_TIME, order, delivery_us),
	COL(BIND_TIME, order, delivery_until_us),
	COL(BIND_TIME, order, updated_us),
	COL(BIND_BOOL, order, cancelled),
	COL(BIND_TEXT, order, products),
	COL(BIND_TEXT, order, stamps),
};

const struct bind_col pg_task_cols[] = {
	COL(BIND_I64, task, id),
	COL(BIND_I64, task, chain),
	COL(BIND_SHOP, task, shop),
	COL(BIND_KEY, task, rule),
	COL(BIND_KEY, task, title),
	COL(BIND_TEXT, task, text),
	COL(BIND_TEXT, task, manager),
	COL(BIND_TEXT, task, group),
	COL(BIND_TEXT, task, order_id),
	COL(BIND_TEXT, task, call),
	COL(BIND_TEXT, task, results),
	COL(BIND_TEXT, task, result),
	COL(BIND_INT, task, priority),
	COL(BIND_TIME, task, created_us),
	COL(BIND_TIME, task, deadline_us),
	COL(BIND_TIME, task, remind_us),
	COL(BIND_TIME, task, taken_us),
	COL(BIND_TIME, task, done_us),
	COL(BIND_BOOL, task, overdue),
	COL(BIND_BOOL, task, keep),
	COL_WORD(task, state, task),
};

const struct bind_col pg_message_cols[] = {
	COL(BIND_I64, message, id),
	COL(BIND_I64, message, chain),
	COL(BIND_SHOP, message, shop),
	COL(BIND_KEY, message, rule),
	COL_WORD(message, channel, channel),
	COL_WORD(message, class_, class),
	COL(BIND_INT, message, priority),
	COL(BIND_TEXT, message, template_name),
	COL(BIND_TEXT, message, template_hash),
	COL(BIND_TEXT, message, lang),
	COL(BIND_TEXT, message, data),
	COL(BIND_TEXT, message, to),
	COL(BIND_TEXT, message, subject),
	COL(BIND_TEXT, message, reason),
	COL(BIND_TIME, message, due_us),
	COL(BIND_TIME, message, expires_us),
	COL(BIND_BOOL, message, keep),
	COL_WORD(message, state, message),
	COL(BIND_TEXT, message, code),
};

#define COUNT(cols) sizeof(cols) / sizeof *(cols)

const size_t pg_n_customer_cols = COUNT(pg_customer_cols), pg_n_chain_cols = COUNT(pg_chain_cols),
	     pg_n_order_cols = COUNT(pg_order_cols), pg_n_task_cols = COUNT(pg_task_cols),
	     pg_n_message_cols = COUNT(pg_message_cols);
