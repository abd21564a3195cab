/*
 * Fuzzing the template language: the input is a template, a NUL, and JSON data; and what comes out
 * goes through the maker of text parts.  Nothing may crash, run for long or leak, and every error
 * names the template.
 */
#include "base/json.h"
#include "engine/format.h"
#include "engine/liquid.h"
#include "engine/mailtext.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Renders and derives once. */
static void render(const struct liquid *l, const struct liquid_env *env)
{
	struct buf out = { 0 }, text = { 0 };
	struct err err;

	if (liquid_render(l, env, &out, &err)) {
		if (out.n > env->max_output)
			abort();
		(void)!mailtext_title(buf_as_span(&out), &text);
		mailtext_derive(buf_as_span(&out), &text);
	} else if (out.n != 0 || strncmp(err.text, "fuzz:", 5) != 0) {
		abort();
	}
	buf_free(&out);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct format *format;
	const char *text = (const char *)data, *nul = memchr(text, 0, size);
	struct span template = { text, nul ? (size_t)(nul - text) : size };
	struct span json = { nul ? nul + 1 : text, nul ? size - template.n - 1 : 0 };
	struct liquid_root roots[] = { { "customer", SPAN("{\"a\":[1,2.5,\"<x>\"],\"b\":null}") },
		{ "with", json } };
	struct liquid_env env = { .roots = roots,
		.n_roots = 1,
		.currency = "EUR",
		.language = "ru",
		.max_output = 65536,
		.max_loops = 1000 };
	struct json_fault fault;
	struct arena arena = { 0 };
	struct err err;
	struct liquid *l;

	if (format == NULL)
		format = format_new();
	env.format = format;
	if (json_check_all(json, &fault))
		env.n_roots = 2;
	l = liquid_parse(template, "fuzz", &arena, &err);
	if (l) {
		render(l, &env);
		env.escape = LIQUID_HTML;
		render(l, &env);
	} else if (strncmp(err.text, "fuzz:", 5) != 0) {
		abort();
	}
	arena_fini(&arena);
	return 0;
}
