/*
 * replay.c: the history of a chain, read once, walked with the text, written by adding to its end.
 *
 * A history is never changed, only continued: the recorded parts are copied as text, what is new is written
 * behind.  So an old history can not be damaged by a newer writer, and a stretch costs its own length.
 * That works because a stretch always ends with a wait, which closes its part, and the next one always begins
 * with the answer to it, which opens one.
 *
 * Reads belong to parts, not to stretches: `set` and `tag` change what the next reading must say, and a
 * replay must see both values in turn.  Rejected: recording every reading as a step, which would make a
 * history grow with every loop over `customer`, and would make the order of readings part of the agreement.
 */
#include "engine/replay.h"

#include "base/json.h"
#include "base/planted.h"
#include "model/batch.h"

#include <string.h>

enum { REPLAY_LINEAR = 12 }; /* reads of a part that are looked through one by one */

/* Appends an empty part. */
static struct replay_part *replay_part_add(struct replay *r)
{
	struct replay_part part = { .answered = false };

	BATCH_PUSH(r->arena, r->parts, r->n_parts, r->cap_parts) = part;
	return &r->parts[r->n_parts - 1];
}

/* Enters a read into the hash table of a part, which has room. */
static void replay_index_put(struct replay_part *p, uint32_t number)
{
	uint32_t at = span_hash(p->reads[number].path) & (uint32_t)(p->n_index - 1);

	while (p->index[at])
		at = (at + 1) & (uint32_t)(p->n_index - 1);
	p->index[at] = number + 1;
}

/* Adds a read to a part, and to its table when it has one or needs one now. */
static void replay_read_add(struct replay *r, struct replay_part *p, struct replay_read read)
{
	BATCH_PUSH(r->arena, p->reads, p->n_reads, p->cap_reads) = read;
	if (p->n_reads <= REPLAY_LINEAR)
		return;
	if (p->n_reads * 2 > p->n_index) {
		p->n_index = p->n_index ? p->n_index * 4 : 64;
		p->index = arena_array(r->arena, uint32_t, p->n_index);
		for (size_t i = 0; i < p->n_reads; i++)
			replay_index_put(p, (uint32_t)i);
		return;
	}
	replay_index_put(p, (uint32_t)(p->n_reads - 1));
}

/* Reads one step, ["email","cart-reminder",{...}]. */
static bool replay_parse_step(struct replay *r, struct replay_part *p, struct span text)
{
	struct replay_step step = { .name = { NULL, 0 } };
	struct json_iter it;
	struct span v[3];
	int n = 0;

	json_iter_init(&it, text);
	while (n < 3 && json_next(&it, NULL, &v[n]))
		n++;
	if (n != 3 || json_kind(v[0]) != JSON_STRING)
		return false;
	step.call = json_text(v[0], r->arena);
	if (json_kind(v[1]) == JSON_STRING)
		step.name = json_text(v[1], r->arena);
	step.result = v[2];
	BATCH_PUSH(r->arena, p->steps, p->n_steps, p->cap_steps) = step;
	return true;
}

/* Reads one part. */
static bool replay_parse_part(struct replay *r, struct span text)
{
	struct replay_part *p = replay_part_add(r);
	struct json_iter members, it;
	struct span key, value, path, element;

	json_iter_init(&members, text);
	while (json_next(&members, &key, &value)) {
		json_iter_init(&it, value);
		if (json_text_is(key, SPAN("a"))) {
			p->answered = true;
			p->answer = value;
		} else if (json_text_is(key, SPAN("r"))) {
			while (json_next(&it, &path, &element))
				replay_read_add(r, p,
					(struct replay_read){ json_text(path, r->arena), element });
		} else if (json_text_is(key, SPAN("s"))) {
			while (json_next(&it, NULL, &element))
				if (!replay_parse_step(r, p, element))
					return false;
		}
	}
	return true;
}

bool replay_open(struct replay *r, struct arena *a, struct span history, struct err *err)
{
	struct json_iter it;
	struct span part;

	memset(r, 0, sizeof *r);
	r->arena = a;
	r->history = history;
	r->bytes = history.n ? history.n : 2;
	if (history.n) {
		if (json_kind(history) != JSON_ARRAY)
			return err_set(err, "the history of the chain is damaged");
		json_iter_init(&it, history);
		while (json_next(&it, NULL, &part))
			if (!replay_parse_part(r, part))
				return err_set(err, "the history of the chain is damaged");
	}
	r->n_recorded = r->n_parts;
	if (!r->n_parts)
		replay_part_add(r);
	return true;
}

void replay_answer(struct replay *r, struct span answer)
{
	struct replay_part *p = replay_part_add(r);

	p->answered = true;
	p->answer = answer;
	r->bytes += answer.n + 24;
	r->added += answer.n + 24;
}

/* Says what a call looks like to a person: email "cart-reminder". */
static const char *replay_show(char *buf, size_t size, struct span call, struct span name)
{
	struct buf b = { 0 };
	size_t n;

	buf_span(&b, call);
	if (name.p) {
		buf_str(&b, " \"");
		buf_span(&b, name);
		buf_char(&b, '"');
	}
	n = b.n < size - 1 ? b.n : size - 1;
	memcpy(buf, b.p, n);
	buf[n] = '\0';
	buf_free(&b);
	return buf;
}

/* Does the history hold a step where the text stands? */
static bool replay_at_step(const struct replay *r)
{
	return r->part < r->n_parts && r->step < r->parts[r->part].n_steps;
}

enum replay_turn replay_step(struct replay *r, const char *call, struct span name,
	struct span *ret_result, struct err *err)
{
	const struct replay_step *s;
	char was[160], is[160];

	if (!replay_at_step(r)) {
		if (r->part + 1 < r->n_parts) {
			/* the history goes on in a part that no step of the text has opened */
			err_set(err, "history: the answer of a wait at step %zu; text: %s",
				r->count + 1, replay_show(is, sizeof is, span_of(call), name));
			return REPLAY_STUCK;
		}
		return REPLAY_LIVE;
	}
	s = &r->parts[r->part].steps[r->step];
	if (!span_is(s->call, call) || !!s->name.p != !!name.p || !span_eq(s->name, name)) {
		err_set(err, "history: %s at step %zu; text: %s",
			replay_show(was, sizeof was, s->call, s->name), r->count + 1,
			replay_show(is, sizeof is, span_of(call), name));
		return REPLAY_STUCK;
	}
	r->step++;
	r->count++;
	*ret_result = s->result;
	return REPLAY_RECORDED;
}

void replay_record(struct replay *r, const char *call, struct span name, struct span result)
{
	struct replay_part *p = &r->parts[r->part];
	struct replay_step step = { span_of(call), name, result };
	size_t bytes = step.call.n + name.n + result.n + 10;

	BATCH_PUSH(r->arena, p->steps, p->n_steps, p->cap_steps) = step;
	r->step++;
	r->count++;
	r->bytes += bytes;
	r->added += bytes;
}

bool replay_wait_over(struct replay *r, struct span *ret_answer)
{
	if (r->part + 1 >= r->n_parts || !r->parts[r->part + 1].answered)
		return false;
	r->part++;
	r->step = 0;
	*ret_answer = r->parts[r->part].answer;
	return true;
}

void replay_cut(struct replay *r)
{
	if (r->part + 1 < r->n_parts) {
		r->part++;
	} else {
		replay_part_add(r);
		r->part = r->n_parts - 1;
		r->bytes += 16;
		r->added += 16;
	}
	r->step = 0;
}

bool replay_read(const struct replay *r, struct span path, struct span *ret_value)
{
	const struct replay_part *p = &r->parts[r->part];

	if (PLANTED(fresh_reads) && r->part < r->n_recorded)
		return false;
	if (p->n_index) {
		for (uint32_t at = span_hash(path) & (uint32_t)(p->n_index - 1); p->index[at];
			at = (at + 1) & (uint32_t)(p->n_index - 1))
			if (span_eq(p->reads[p->index[at] - 1].path, path)) {
				*ret_value = p->reads[p->index[at] - 1].value;
				return true;
			}
		return false;
	}
	for (size_t i = 0; i < p->n_reads; i++)
		if (span_eq(p->reads[i].path, path)) {
			*ret_value = p->reads[i].value;
			return true;
		}
	return false;
}

void replay_note_read(struct replay *r, struct span path, struct span value)
{
	/* a reading that the history does not know can come from a changed text only: it is answered
	 * from the present, and written where a later replay can not look for it: nowhere */
	if (r->part < r->n_recorded)
		return;
	replay_read_add(r, &r->parts[r->part], (struct replay_read){ path, value });
	r->bytes += path.n + value.n + 4;
	r->added += path.n + value.n + 4;
}

bool replay_is_over(const struct replay *r, struct err *err)
{
	const struct replay_part *p = &r->parts[r->part];
	char was[160];

	if (!replay_at_step(r) && r->part + 1 >= r->n_parts)
		return true;
	if (replay_at_step(r))
		return err_set(err, "history: %s at step %zu; text: the end",
			replay_show(
				was, sizeof was, p->steps[r->step].call, p->steps[r->step].name),
			r->count + 1);
	return err_set(err, "history: more steps behind step %zu; text: the end", r->count);
}

bool replay_open_wait(const struct replay *r, struct span *ret_result)
{
	const struct replay_part *p = &r->parts[r->n_parts - 1];

	if (!p->n_steps || !span_starts(p->steps[p->n_steps - 1].call, "wait"))
		return false;
	*ret_result = p->steps[p->n_steps - 1].result;
	return true;
}

/* Writes one new part. */
static void replay_write_part(const struct replay_part *p, struct buf *out)
{
	buf_char(out, '{');
	if (p->answered) {
		buf_str(out, "\"a\":");
		buf_span(out, p->answer);
		buf_char(out, ',');
	}
	buf_str(out, "\"r\":{");
	for (size_t i = 0; i < p->n_reads; i++) {
		if (i)
			buf_char(out, ',');
		json_put_text(out, p->reads[i].path);
		buf_char(out, ':');
		buf_span(out, p->reads[i].value);
	}
	buf_str(out, "},\"s\":[");
	for (size_t i = 0; i < p->n_steps; i++) {
		buf_str(out, i ? ",[" : "[");
		json_put_text(out, p->steps[i].call);
		buf_char(out, ',');
		if (p->steps[i].name.p)
			json_put_text(out, p->steps[i].name);
		else
			buf_str(out, "null");
		buf_char(out, ',');
		buf_span(out, p->steps[i].result);
		buf_char(out, ']');
	}
	buf_str(out, "]}");
}

void replay_write(const struct replay *r, struct buf *out)
{
	if (r->n_recorded) {
		/* a history ends with "]": what is new goes before it */
		buf_add(out, r->history.p, r->history.n - 1);
	} else {
		buf_char(out, '[');
	}
	for (size_t i = r->n_recorded; i < r->n_parts; i++) {
		if (i)
			buf_char(out, ',');
		replay_write_part(&r->parts[i], out);
	}
	buf_char(out, ']');
}
