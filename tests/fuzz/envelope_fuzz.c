/*
 * envelope_fuzz.c: any bytes as a body, and as an attribute beside it.  What comes out as admitted
 * must keep the promises that Postgres relies on (FAULTS F12): valid text, bounded keys, an
 * identity, JSON that checks again; and what comes out at all must be the same when it is read
 * twice.
 */
#include "base/json.h"
#include "door/envelope.h"
#include "model/shop.h"

#include <stdlib.h>
#include <string.h>

static const struct shop shop = { .id = "main", .base = "main", .country = "DE" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What an admitted event promises. */
static void check_event(const struct shop_event *e)
{
	struct json_fault fault;

	must(e->id.n > 0 && e->id.n <= 128 && json_is_text(e->id));
	must(e->source.p && e->source.n <= 256 && json_is_text(e->source));
	must(e->type.n > 0 && e->type.n <= 64);
	must(json_check_all(e->data, &fault) && json_kind(e->data) == JSON_OBJECT);
	must(e->n_identity > 0 && e->n_identity <= EVENT_IDENTITIES);
	for (unsigned i = 0; i < e->n_identity; i++) {
		must(e->identity[i].value.n > 0 && e->identity[i].value.n <= 256);
		must(json_is_text(e->identity[i].value));
		must(i == 0 || e->identity[i - 1].kind <= e->identity[i].kind);
	}
	must(e->time_us == INT64_MIN || e->time_us >= 0);
}

/* Reads the body and admits what is in it; adds up what came out. */
static size_t take(const struct envelope_input *in, unsigned char ret_hash[16])
{
	struct arena a = { 0 };
	struct envelope_item *items;
	struct envelope_fault fault;
	struct shop_event e;
	size_t n = 0, admitted = 0;

	memset(ret_hash, 0, 16);
	if (!envelope_read(in, &a, &items, &n, &fault)) {
		must(fault.reason != NULL);
		n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (envelope_admit(&e, &items[i], in->door, 1000000, &a)) {
			check_event(&e);
			admitted++;
		} else {
			must(e.reason && e.status == EVENT_QUARANTINED);
			must(json_is_text(e.id) && json_is_text(e.type) && json_is_text(e.source));
			must(json_is_text(e.path));
		}
		for (int k = 0; k < 16; k++)
			ret_hash[k] ^= e.hash[k];
	}
	arena_fini(&a);
	return admitted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope_attribute attributes[] = { { SPAN("ce-specversion"), SPAN("1.0") },
		{ SPAN("ce-type"), SPAN("x") }, { SPAN("ce-id"), { NULL, 0 } } };
	struct envelope_input in = { .shop = &shop };
	unsigned char first[16], second[16];
	size_t head;
	char *body;

	if (size < 2)
		return 0;
	head = data[1] < size - 2 ? data[1] : size - 2;
	body = malloc(size - 2 - head ? size - 2 - head
				      : 1); /* an exact copy: a read behind it is seen */
	memcpy(body, data + 2 + head, size - 2 - head);
	attributes[2].value = (struct span){ (const char *)data + 2, head };
	in.door = data[0] & 1 ? ADMIT_MQTT : ADMIT_HTTP;
	in.body = (struct span){ body, size - 2 - head };
	if (data[0] & 2) {
		in.attributes = attributes;
		in.n_attributes = 3;
	}
	if (data[0] & 4)
		in.content_type = SPAN("application/cloudevents+json");
	must(take(&in, first) == take(&in, second));
	must(memcmp(first, second, sizeof first) == 0);
	free(body);
	return 0;
}
