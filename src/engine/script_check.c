/*
 * A reader of Lua 5.4's dump format (ldump.c, lopcodes.h of Lua 5.4), as far as it needs to be
 * read.
 *
 * The instruction SETUPVAL A B assigns upvalue B of its function.  Where that upvalue comes from
 * stands in the upvalue descriptions: from a register of the enclosing function (in_stack), or
 * from an upvalue of it, which is followed outwards until it ends in the outermost function given.
 * Descriptions of a function stand before the functions inside it, names and lines behind them: so
 * a function is looked through after all of it was read.
 *
 * GETTABUP A B C reads, and SETTABUP A B C assigns, a field of an upvalue (B, A) by the name that stands among
 * the constants (C, B): a global, when the upvalue ends in that of the main chunk of a file.
 *
 * The parser asks Lua for the text of a dump instead of including its private headers; another
 * format is told apart by the header of the dump, and a test compares the answers with programs
 * whose answer is known.
 */
#include "engine/script_check.h"

#include <stdio.h>
#include <string.h>

enum {
	CHECK_OP_SETUPVAL = 10,
	CHECK_OP_GETTABUP = 11,
	CHECK_OP_SETTABUP = 15,
	CHECK_ABSLINE = -0x80,
	CHECK_DEPTH = 250
};

struct check_code { /* one function */
	const struct check_code *outer;
	const unsigned char *code;
	size_t n_code;
	const unsigned char *constants;
	size_t n_constants;
	const unsigned char *upvalues; /* 3 bytes each: in_stack, index, kind */
	size_t n_upvalues;
	const unsigned char *lines;
	size_t n_lines;
	const unsigned char *abs_lines; /* varints */
	size_t n_abs_lines;
	const unsigned char *names; /* of upvalues: strings */
	size_t n_names;
	int line; /* of its definition */
	struct span file;
};

struct check {
	const unsigned char *p, *end;
	bool bad;
	enum script_check_what what;
	bool found;
	struct script_write *ret;
	/* names instead of assignments */
	script_known_fn *known;
	void *arg;
	struct script_name *ret_name;
};

static const unsigned char *check_bytes(struct check *c, size_t n)
{
	const unsigned char *p = c->p;

	if (c->bad || (size_t)(c->end - p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static unsigned check_byte(struct check *c)
{
	const unsigned char *p = check_bytes(c, 1);

	return p ? *p : 0;
}

/* Seven bits a byte, highest first; the last byte has the top bit. */
static size_t check_varint(struct check *c)
{
	size_t x = 0;
	unsigned b;

	do {
		b = check_byte(c);
		if (x > SIZE_MAX >> 8)
			c->bad = true;
		x = x << 7 | (b & 0x7f);
	} while (!c->bad && !(b & 0x80));
	return c->bad ? 0 : x;
}

/* A count of things that take at least one byte each. */
static size_t check_count(struct check *c)
{
	size_t n = check_varint(c);

	if (n > (size_t)(c->end - c->p))
		c->bad = true;
	return c->bad ? 0 : n;
}

static struct span check_string(struct check *c)
{
	size_t n = check_varint(c);
	const unsigned char *p;

	if (n == 0)
		return (struct span){ NULL, 0 };
	p = check_bytes(c, n - 1);
	return p ? (struct span){ (const char *)p, n - 1 } : (struct span){ NULL, 0 };
}

/* One constant: its text, or {NULL,0}.  Types as in lobject.h: variant bits above the basic type. */
static struct span check_constant(struct check *c)
{
	switch (check_byte(c)) {
	case 0x00: /* nil */
	case 0x01: /* false */
	case 0x11: /* true */ break;
	case 0x03: /* integer */
	case 0x13: /* float */ check_bytes(c, 8); break;
	case 0x04: /* short string */
	case 0x14: /* long string */ return check_string(c);
	default: c->bad = true;
	}
	return (struct span){ NULL, 0 };
}

static void check_skip_constants(struct check *c, struct check_code *f)
{
	f->n_constants = check_count(c);
	f->constants = c->p;
	for (size_t i = 0; i < f->n_constants && !c->bad; i++)
		check_constant(c);
}

/* The text of a constant, or {NULL,0}. */
static struct span check_constant_at(const struct check_code *f, const unsigned char *end, size_t i)
{
	struct check constants = { .p = f->constants, .end = end };
	struct span text = { NULL, 0 };

	for (size_t k = 0; k <= i && i < f->n_constants; k++)
		text = check_constant(&constants);
	return text;
}

/* The line of an instruction: differences, and absolute entries (pc, line) in order of pc. */
static int check_line(const struct check_code *f, const unsigned char *end, size_t pc)
{
	struct check abs = { .p = f->abs_lines, .end = end };
	int line = f->line, abs_line;
	size_t i;

	for (i = 0; i <= pc && i < f->n_lines; i++) {
		if ((signed char)f->lines[i] != CHECK_ABSLINE) {
			line += (signed char)f->lines[i];
			continue;
		}
		check_varint(&abs); /* its pc is i: every marked instruction has an entry */
		abs_line = (int)check_varint(&abs);
		line = abs_line;
	}
	return line;
}

static struct span check_name(const struct check_code *f, const unsigned char *end, size_t i)
{
	struct check names = { .p = f->names, .end = end };
	struct span name = { NULL, 0 };
	size_t k;

	for (k = 0; k <= i && k < f->n_names; k++)
		name = check_string(&names);
	return name;
}

/* Does this upvalue end in the outermost function, in the way that is asked for? */
static bool check_hits(const struct check *c, const struct check_code *f, size_t i)
{
	for (;;) {
		if (i >= f->n_upvalues)
			return false;
		if (!f->outer)
			return c->what == SCRIPT_CHECK_UPVALUES;
		if (f->upvalues[3 * i])
			return !f->outer->outer && c->what == SCRIPT_CHECK_LOCALS;
		i = f->upvalues[3 * i + 1];
		f = f->outer;
	}
}

/* Where an instruction stands, unless something before it was found already. */
static bool check_is_first(
	struct check *c, const struct check_code *f, size_t pc, struct script_write *ret)
{
	int line = check_line(f, c->end, pc);

	if (c->found && line >= ret->line)
		return false;
	c->found = true;
	ret->line = line;
	snprintf(ret->file, sizeof ret->file, "%.*s", SPAN_ARG(f->file));
	return true;
}

/* Globals. */
static void check_globals(struct check *c, const struct check_code *f)
{
	for (size_t pc = 0; pc < f->n_code; pc++) {
		uint32_t ins;
		bool reads;
		struct span name;

		memcpy(&ins, f->code + 4 * pc, 4);
		reads = (ins & 0x7f) == CHECK_OP_GETTABUP;
		if ((!reads && (ins & 0x7f) != CHECK_OP_SETTABUP) ||
			!check_hits(c, f, reads ? ins >> 16 & 0xff : ins >> 7 & 0xff))
			continue;
		name = check_constant_at(f, c->end, reads ? ins >> 24 : ins >> 16 & 0xff);
		if (!name.p || (reads && c->known(c->arg, name)) ||
			!check_is_first(c, f, pc, &c->ret_name->at))
			continue;
		c->ret_name->is_set = !reads;
		snprintf(c->ret_name->at.name, sizeof c->ret_name->at.name, "%.*s", SPAN_ARG(name));
	}
}

static void check_instructions(struct check *c, const struct check_code *f)
{
	size_t pc;
	uint32_t ins;
	struct span name;

	for (pc = 0; pc < f->n_code; pc++) {
		memcpy(&ins, f->code + 4 * pc, 4);
		if ((ins & 0x7f) != CHECK_OP_SETUPVAL || !check_hits(c, f, ins >> 16 & 0xff) ||
			!check_is_first(c, f, pc, c->ret))
			continue;
		name = check_name(f, c->end, ins >> 16 & 0xff);
		snprintf(c->ret->name, sizeof c->ret->name, "%.*s", SPAN_ARG(name));
	}
}

/* Lines, local variables and names of upvalues. */
static void check_debug(struct check *c, struct check_code *f)
{
	size_t n, i;

	f->n_lines = check_count(c);
	f->lines = check_bytes(c, f->n_lines);
	f->n_abs_lines = check_count(c);
	f->abs_lines = c->p;
	for (i = 0; i < f->n_abs_lines && !c->bad; i++) {
		check_varint(c);
		check_varint(c);
	}
	n = check_count(c);
	for (i = 0; i < n && !c->bad; i++) {
		check_string(c);
		check_varint(c);
		check_varint(c);
	}
	f->n_names = check_count(c);
	f->names = c->p;
	for (i = 0; i < f->n_names && !c->bad; i++)
		check_string(c);
}

/* The source is left out (NULL) where it is that of the enclosing function. */
static void check_function(struct check *c, const struct check_code *outer, int depth)
{
	struct check_code f = { .outer = outer };
	size_t n, i;

	f.file = check_string(c);
	if (!f.file.p && outer)
		f.file = outer->file;
	else if (f.file.n > 0)
		f.file = (struct span){ f.file.p + 1, f.file.n - 1 }; /* '@' */
	f.line = (int)check_varint(c);
	check_varint(c);
	check_bytes(c, 3);
	f.n_code = check_count(c);
	f.code = check_bytes(c, 4 * f.n_code);
	check_skip_constants(c, &f);
	f.n_upvalues = check_count(c);
	f.upvalues = check_bytes(c, 3 * f.n_upvalues);
	n = check_count(c);
	if (depth >= CHECK_DEPTH)
		c->bad = true;
	for (i = 0; i < n && !c->bad; i++)
		check_function(c, &f, depth + 1);
	check_debug(c, &f);
	if (!c->bad && c->known)
		check_globals(c, &f);
	else if (!c->bad)
		check_instructions(c, &f);
}

/* The header: signature, version, format, LUAC_DATA, three sizes, an integer and a number. */
static void check_header(struct check *c)
{
	static const unsigned char head[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
	const unsigned char *p = check_bytes(c, sizeof head - 1);
	const unsigned char *values = check_bytes(c, 16);
	int64_t i;
	double x;

	if (c->bad)
		return;
	memcpy(&i, values, 8);
	memcpy(&x, values + 8, 8);
	if (memcmp(p, head, sizeof head - 1) != 0 || i != 0x5678 || x != 370.5)
		c->bad = true;
	check_byte(c); /* number of upvalues */
}

static enum script_check_answer check_dump(struct check *c, struct span dump)
{
	c->p = (const unsigned char *)dump.p;
	c->end = c->p + dump.n;
	check_header(c);
	if (!c->bad)
		check_function(c, NULL, 0);
	if (c->bad || c->p != c->end)
		return SCRIPT_CHECK_FORMAT;
	return c->found ? SCRIPT_CHECK_WRITES : SCRIPT_CHECK_CLEAN;
}

enum script_check_answer script_check_writes(
	struct span dump, enum script_check_what what, struct script_write *ret)
{
	struct check c = { .what = what, .ret = ret };

	return check_dump(&c, dump);
}

enum script_check_answer script_check_names(
	struct span dump, script_known_fn *known, void *arg, struct script_name *ret)
{
	struct check c = {
		.what = SCRIPT_CHECK_UPVALUES, .known = known, .arg = arg, .ret_name = ret
	};

	return check_dump(&c, dump);
}
