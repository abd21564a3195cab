/*** @module sending
 * Messages that a chain writes.  Each call is one step of the chain: carried out exactly once, recorded in its history.
 *
 *	local m = email { template = "cart-reminder", with = { cart = cart } }
 *	if not wait("1d", m.clicked) then
 *	  publish("shop/main/reminded", { email = customer.email })
 *	end
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/planted.h"
#include "base/suggest.h"
#include "engine/arbiter.h"
#include "engine/args.h"
#include "engine/binds.h"
#include "engine/chain_step.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "model/staff.h"

#include <lauxlib.h>
#include <string.h>

enum {
	SEND_REASON_BYTES = 500, /* it stands in an index */
	SEND_ATTACH_BYTES = 4096,
	SEND_REASON_MOST =
		100, /* ready ones of chains that give way may stand before the one that counts */
};

/* What is not handed over to the broker within a day expires. */
#define SEND_PUBLISH_US CLOCK_DAY_US

/* The most that a message may carry: [limits] with_bytes. */
static size_t send_with_bytes(const struct eval *e)
{
	return e->desk->sitting->judge->env.limits.with_bytes;
}

/*** email ***/

/* Adds `"key":value` to a JSON object that is being written. */
static void send_put(struct buf *b, const char *key, struct span json)
{
	if (!json.n)
		return;
	json_put_key(b, key);
	buf_span(b, json);
}

/* {"attach":...,"event":{...},"with":{...}} */
static struct span send_email_data(lua_State *L, struct eval *e)
{
	struct span with = args_json(L, e, 1, "with", send_with_bytes(e));
	struct span attach = args_json(L, e, 1, "attach", SEND_ATTACH_BYTES);
	struct buf *b = &e->desk->sitting->judge->scratch;

	if (with.n && json_kind(with) != JSON_OBJECT)
		luaL_error(L, "email: field \"with\" must have names: with = { cart = cart }");
	buf_clear(b);
	buf_char(b, '{');
	send_put(b, "attach", attach);
	send_put(b, "event", e->event->data);
	json_put_key(b, "with");
	buf_span(b, with.n ? with : SPAN("{}"));
	buf_char(b, '}');
	return sitting_keep(e->desk->sitting, b);
}

/* The address of a manager, a group or the head; {NULL,0}: `to` is none of them. */
static const char *send_staff_address(const struct staff *staff, struct span to)
{
	for (size_t i = 0; staff && i < staff->nmanagers; i++)
		if (span_is(to, staff->managers[i].name) ||
			(span_is(to, "head") && staff->managers[i].head))
			return staff->managers[i].email;
	for (size_t i = 0; staff && i < staff->ngroups; i++)
		if (span_is(to, staff->groups[i].name))
			return staff->groups[i].email;
	return NULL;
}

/* Who it goes to, when it is not the customer. */
static struct span send_email_to(lua_State *L, struct eval *e)
{
	const struct judge_env *env = &e->desk->sitting->judge->env;
	struct span to = args_text(L, e, 1, "to"), own;
	const char *address;

	if (!to.p || span_is(to, "customer"))
		return (struct span){ NULL, 0 };
	own = e->desk->visit->card->text[CARD_EMAIL];
	if (own.n > 0 && to.n == own.n && strncasecmp(to.p, own.p, to.n) == 0)
		return (struct span){ NULL,
			0 }; /* his own, however it is written: his word counts */
	if (memchr(to.p, '@', to.n))
		return to;
	address = send_staff_address(env->staff, to);
	if (!address)
		luaL_error(L, "email: \"%s\" is no manager, group or address", to.p);
	if (!*address)
		luaL_error(L, "email: \"%s\" has no address in the configuration", to.p);
	return span_of(arena_strdup(eval_arena(e), address));
}

static enum message_class send_class(lua_State *L, struct eval *e)
{
	static const char *const words[] = { "transactional", "marketing", "bulk", NULL };
	struct span word = args_text(L, e, 1, "class");
	enum message_class class_ = e->rule->class_;

	if (word.p && !message_class_parse(word, &class_)) {
		const char *near = suggest_word(word.p, words);

		luaL_error(L, "email: unknown class \"%s\"; write \"%s\"", word.p,
			near ? near : "transactional\", \"marketing\" or \"bulk");
	}
	return class_;
}

/* The text that it will have, pinned by its hash. */
static void send_email_template(lua_State *L, struct eval *e, struct message *m)
{
	const struct judge *j = e->desk->sitting->judge;
	const struct judge_template *t =
		arbiter_template(j, m->template_name, e->desk->visit->card, e->shop);
	struct suggest near;

	if (!t) {
		suggest_init(&near, m->template_name.p);
		for (size_t i = 0; i < j->n_templates; i++)
			suggest_offer(&near, j->templates[i].name.p);
		if (near.best)
			luaL_error(L, "email: there is no template \"%s\"; did you mean \"%s\"?",
				m->template_name.p, near.best);
		luaL_error(L, "email: there is no template \"%s\"", m->template_name.p);
		return;
	}
	m->template_hash = span_of(arena_strdup(eval_arena(e), t->hash));
	m->lang = (struct span){ arena_dup(eval_arena(e), t->lang.p, t->lang.n), t->lang.n };
}

/* What all messages have; its number is taken. */
static struct message *send_message(struct eval *e, enum message_channel channel)
{
	struct message *m = arena_new(eval_arena(e), struct message);

	m->id = sitting_number(e->desk->sitting);
	m->customer = e->desk->visit->customer;
	m->chain = e->chain->id;
	m->shop = e->shop;
	m->rule = e->chain->rule;
	m->channel = channel;
	m->class_ = e->rule->class_;
	m->priority = e->rule->priority;
	m->due_us = eval_now(e);
	m->expires_us = duration_add(m->due_us, (struct duration){ .days = 1 }, e->zone);
	m->state = MESSAGE_READY;
	return m;
}

/* Puts it among the effects. */
static void send_write_message(struct eval *e, struct message *m)
{
	struct visit *v = e->desk->visit;

	BATCH_PUSH(eval_arena(e), v->messages, v->n_messages, v->cap_messages) = m;
}

/* Writes the message; refused ones too, so that they are seen. */
static struct message *send_email_write(lua_State *L, struct eval *e, struct span template_name)
{
	struct span to = send_email_to(L, e), data = send_email_data(L, e);
	enum message_class class_ = send_class(L, e);
	int64_t due_us = args_moment(L, e, 1, "at", eval_now(e), eval_now(e));
	int64_t day_us = duration_add(due_us, (struct duration){ .days = 1 }, e->zone);
	int64_t expires_us = args_moment(L, e, 1, "expires", due_us, day_us);
	struct span subject = args_text(L, e, 1, "subject");
	struct message *m = send_message(e, CHANNEL_EMAIL);
	const char *refused;

	m->template_name = template_name;
	m->to = to;
	m->data = data;
	m->class_ = class_;
	m->due_us = due_us;
	m->expires_us = expires_us;
	m->subject = subject;
	m->reason = args_text(L, e, 1, "reason");
	m->keep = args_flag(L, 1, "keep");
	send_email_template(L, e, m);
	refused =
		to.p ? NULL : arbiter_refuses(e->desk->visit->card, e->shop, CHANNEL_EMAIL, class_);
	if (PLANTED(ignore_consent_written))
		refused = NULL;
	if (refused) {
		m->state = MESSAGE_REFUSED;
		m->code = span_of(refused);
	}
	send_write_message(e, m);
	return m;
}

/* Has the customer had this from this rule, or will he? */
static bool send_is_repeated(lua_State *L, struct eval *e, struct span reason)
{
	struct query q = { .kind = QUERY_REASON,
		.since_us = TIME_NONE,
		.rule = e->chain->rule,
		.reason = reason,
		.limit = SEND_REASON_MOST };
	const struct query *answered = eval_ask(L, e, &q);
	const struct visit *v = e->desk->visit;

	for (size_t i = 0; i < answered->n_messages; i++)
		if (!answered->messages[i].is_loose ||
			!chain_gives_way(
				e->desk, e->frame, e->rule, e->chain, answered->messages[i].chain))
			return true;
	for (size_t i = 0; i < v->n_messages; i++) {
		const struct message *m = v->messages[i];

		if (m->state == MESSAGE_READY && span_eq(m->rule, q.rule) &&
			span_eq(m->reason, reason) &&
			(m->keep ||
				!chain_gives_way(e->desk, e->frame, e->rule, e->chain, m->chain)))
			return true;
	}
	return false;
}

/* The handle of a message that is over and was never written.  It has the number of its chain: no message has that,
 * and all such handles of a chain tell the same. */
static int send_email_repeated(lua_State *L, struct eval *e, struct span template_name)
{
	eval_record(L, e, "email", template_name,
		eval_made(e, SPAN("repeated"), NULL, 0, e->chain->id));
	what_push_handle(L, WHAT_MESSAGE, e->chain->id);
	return 1;
}

/*** @function email(t)
 * Writes an email; it goes out as soon as quiet hours and limits let it.  With reason= it is written once: when
 * one of this rule with this reason stands to reach the customer, or may have, it is over at once (code "repeated").
 * @param {table} t template=, to=, with=, subject=, attach=, at=, expires=, class=, keep=, reason=
 * @return {handle} outcomes .sent .delivered .opened .clicked .replied .failed
 */
static int l_send_email(lua_State *L)
{
	static const char *const keys[] = { "template", "to", "with", "subject", "attach", "at",
		"expires", "class", "keep", "reason", NULL };
	struct eval *e = eval_of_run(L, "email");
	struct span name, result, reason;
	struct message *m;

	args_open(L, 1, "email", keys);
	name = args_need_text(L, e, 1, "email", "template");
	if (eval_step(L, e, "email", name, &result)) {
		what_push_handle(L, WHAT_MESSAGE, eval_made_id(L, e, result));
		return 1;
	}
	reason = args_text(L, e, 1, "reason");
	if (reason.n > SEND_REASON_BYTES)
		return luaL_error(L, "email: reason: %d bytes at most", SEND_REASON_BYTES);
	if (reason.n && send_is_repeated(L, e, reason))
		return send_email_repeated(L, e, name);
	eval_effect(L, e);
	m = send_email_write(L, e, name);
	eval_record(L, e, "email", name, eval_made(e, m->code, "expires", m->expires_us, m->id));
	what_push_handle(L, WHAT_MESSAGE, m->id);
	return 1;
}

/*** @function publish(topic, payload)
 * Publishes to MQTT, back to the store.
 * @param {string} topic below the store's own
 * @param {any} payload text as it is, anything else as JSON
 */
static int l_send_publish(lua_State *L)
{
	struct eval *e = eval_of_run(L, "publish");
	struct span topic = eval_text(L, e, 1), payload, result;
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct message *m;
	struct err err;

	if (!topic.n || topic.n > 256 || strpbrk(topic.p, "+#"))
		return luaL_argerror(L, 1, "a topic of 1 to 256 bytes, without + and #");
	if (eval_step(L, e, "publish", topic, &result))
		return 0;
	eval_effect(L, e);
	if (!luajson_encode(L, 2, send_with_bytes(e), eval_arena(e), &payload, &err))
		return luaL_error(L, "publish: payload: %s", err.text);
	buf_clear(b);
	buf_str(b, "{\"payload\":");
	buf_span(b, payload);
	buf_str(b, ",\"topic\":");
	json_put_text(b, topic);
	buf_char(b, '}');
	m = send_message(e, CHANNEL_PUBLISH);
	m->keep =
		true; /* it goes to the store, not to him: a chain that ended takes nothing back */
	m->expires_us = eval_now(e) + SEND_PUBLISH_US;
	m->data = sitting_keep(e->desk->sitting, b);
	send_write_message(e, m);
	eval_record(L, e, "publish", topic, eval_made(e, (struct span){ NULL, 0 }, NULL, 0, m->id));
	return 0;
}

static const luaL_Reg send_calls[] = {
	{ "email", l_send_email },
	{ "publish", l_send_publish },
	{ NULL, NULL },
};

void bind_send(struct script *s)
{
	script_define(s, send_calls);
}
