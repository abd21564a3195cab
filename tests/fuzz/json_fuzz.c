/*
 * json_fuzz.c: any bytes through the check; what passes is walked, every span must lie in its
 * parent, and what we write from it must pass again and mean the same.  What does not pass is
 * walked too: nonsense may come out, but nothing outside the text may be read (the copy is exact,
 * so the sanitizer sees it).
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void lies_within(struct span part, struct span whole)
{
	must(part.p >= whole.p && part.n <= whole.n && part.p + part.n <= whole.p + whole.n);
}

/* Writes a text and a number anew: they must be read back as they were. */
static void comes_back(struct span value, struct arena *a)
{
	struct json_fault fault;
	struct buf b = { 0 };
	double x, y;
	int64_t i;

	if (json_kind(value) == JSON_STRING) {
		struct span text = json_text(value, a);

		must(json_is_text(text) && json_text_is(value, text));
		json_put_text(&b, text);
		must(json_check_all(buf_as_span(&b), &fault));
		must(span_eq(json_text(buf_as_span(&b), a), text));
	} else if (json_number(value, &x)) {
		json_put_number(&b, x);
		must(json_number(buf_as_span(&b), &y) && x == y);
		if (json_integer(value, &i))
			must((double)i == x);
	}
	buf_free(&b);
}

static void walk(struct span value, bool checked, unsigned depth, struct arena *a)
{
	struct span key, element, found;
	struct json_iter it;

	must(!checked || depth <= JSON_DEPTH);
	if (checked)
		comes_back(value, a);
	else
		json_text(value, a);
	if (depth > JSON_DEPTH)
		return;
	json_iter_init(&it, value);
	while (json_next(&it, &key, &element)) {
		lies_within(element, value);
		if (it.is_object) {
			lies_within(key, value);
			/* looking up each of many keys would take the fuzzer's time */
			if (checked && value.n < 1000)
				must(json_get(value, json_text(key, a), &found) &&
					found.p == element.p);
		}
		walk(element, checked, depth + 1, a);
	}
}

static void canonical_stays(struct span value)
{
	struct buf once = { 0 }, twice = { 0 };
	struct json_fault fault;

	json_canon(value, &once);
	must(once.n <= value.n);
	must(json_check_all(buf_as_span(&once), &fault));
	json_canon(buf_as_span(&once), &twice);
	must(span_eq(buf_as_span(&once), buf_as_span(&twice)));
	buf_free(&once);
	buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_member want[] = { { .key = "id" }, { .key = "" } };
	struct json_fault fault = { 0 };
	struct arena a = { 0 };
	struct buf junk = { 0 };
	char *copy = xmalloc(size);
	struct span text = { copy, size };
	const char *end;

	if (size)
		memcpy(copy, data, size);
	if (json_check_all(text, &fault)) {
		walk(text, true, 0, &a);
		canonical_stays(text);
	} else {
		must(fault.at <= size && fault.path[0] == '$' && fault.what != NULL);
		must(memchr(fault.path, '\0', sizeof fault.path) != NULL);
		walk(text, false, 0, &a);
		json_canon(text, &junk);
	}
	end = json_check_object(copy, copy + size, want, 2, &fault);
	for (size_t i = 0; end != NULL && i < 2; i++)
		if (want[i].value.p)
			lies_within(want[i].value, text);
	json_find(text, "a.0.b", &text);
	buf_free(&junk);
	arena_fini(&a);
	free(copy);
	return 0;
}
