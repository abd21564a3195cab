/*
 * Objects over JSON text.
 *
 * An object is a userdata: the text (its own copy, or a part of the object it came from, which it
 * then anchors) and a table of what was read so far.  A rule reads two or three fields of an
 * event; so no tree is built, and a type that no rule wants never comes here.  A list is filled
 * when it is made: going over it by number would otherwise scan its text again for each element.
 *
 * Userdata and not tables, because a table would let a rule write to a field that was read
 * already, and because the text must live exactly as long as the object.  Rejected: text in the
 * memory of the batch (one forgotten reference and a rule reads freed memory).
 */
#include "engine/lua_json.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine/bind_time.h"
#include "engine/script.h"
#include "engine/script_lib.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LUAJSON_PATH = 160, LUAJSON_DEPTH = 32, LUAJSON_MEMBERS = 24 };
enum { LUAJSON_FIELDS = 1, LUAJSON_OWNER = 2 }; /* user values */

/* Members that a reading has passed already, as places in the text. */
struct luajson_member {
	uint32_t key, value;
	uint32_t n_key, n_value;
};

/* Behind it: the path of an inner object, or the text of an outer one. */
struct luajson_object {
	luajson_kind_fn *kind;
	const void *arg;
	const char *path; /* its own */
	struct span text;
	luajson_watch_fn *watch; /* told of every reading, or NULL */
	bool is_list;
	bool is_scanned;     /* the iterator has been at the end */
	size_t n;            /* elements of a list */
	struct json_iter it; /* where the scan of an object stands */
	unsigned n_members;
	struct luajson_member
		members[]; /* LUAJSON_MEMBERS of an outer object, none of an inner one */
};

static const char luajson_key; /* the metatable in the registry */
static char luajson_missing;   /* stands for nil among the fields read */

enum field_kind luajson_kind_event(const void *arg, struct span path)
{
	return vocabulary_kind(arg, path);
}

enum field_kind luajson_kind_card(const void *arg, struct span path)
{
	(void)arg;
	return vocabulary_card_kind(path);
}

enum field_kind luajson_kind_order(const void *arg, struct span path)
{
	size_t n, i;
	const struct vocabulary_field *fields = vocabulary_order(&n);

	(void)arg;
	for (i = 0; i < n; i++)
		if (span_is(path, fields[i].path))
			return fields[i].kind;
	return FIELD_ANY;
}

void luajson_push_number(lua_State *L, double x)
{
	if (x == floor(x) && fabs(x) <= 9007199254740992.0)
		lua_pushinteger(L, (lua_Integer)x);
	else
		lua_pushnumber(L, x);
}

static struct luajson_object *luajson_object_at(lua_State *L, int idx)
{
	bool is;

	if (lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
		return NULL;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &luajson_key);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is ? lua_touserdata(L, idx) : NULL;
}

/*** making ***/

/* Where an object stands: what it inherits.  owner: stack index of the object it is part of, 0:
 * none. */
struct luajson_place {
	luajson_kind_fn *kind;
	const void *arg;
	const char *path;
	int owner;
};

static void luajson_push_at(
	lua_State *L, struct span json, enum field_kind kind, const struct luajson_place *at);

/* The elements, into the table of fields on top. */
static void luajson_fill(lua_State *L, struct luajson_object *o, const struct luajson_place *at)
{
	int fields = lua_gettop(L);
	struct json_iter it;
	struct span element;

	json_iter_init(&it, o->text);
	while (json_next(&it, NULL, &element)) {
		script_charge(L, 100);
		luajson_push_at(L, element, FIELD_ANY, at);
		lua_rawseti(L, fields, (lua_Integer)++o->n);
	}
}

/* The bare userdata.  Its path stands behind it, and the text of an outer one behind that. */
static struct luajson_object *luajson_new(
	lua_State *L, struct span json, const struct luajson_place *at)
{
	bool outer = at->owner == 0;
	size_t members = outer ? LUAJSON_MEMBERS * sizeof(struct luajson_member) : 0;
	size_t path = strlen(at->path) + 1, text = outer ? json.n : 0;
	struct luajson_object *o = lua_newuserdatauv(L, sizeof *o + members + path + text, 2);
	char *behind = (char *)o->members + members;

	memcpy(behind, at->path, path);
	memcpy(behind + path, json.p, text);
	o->kind = at->kind;
	o->arg = at->arg;
	o->path = behind;
	o->text = outer ? (struct span){ behind + path, json.n } : json;
	o->watch = NULL;
	o->is_list = json_kind(json) == JSON_ARRAY;
	o->is_scanned = !outer;
	o->n = o->n_members = 0;
	json_iter_init(&o->it, o->text);
	return o;
}

/* Pushes an object or list over the text; without an owner it gets a copy of its own. */
static void luajson_push_object(lua_State *L, struct span json, const struct luajson_place *at)
{
	struct luajson_object *o;
	struct luajson_place inner;

	luaL_checkstack(L, 10, NULL);
	o = luajson_new(L, json, at);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &luajson_key);
	lua_setmetatable(L, -2);
	if (at->owner) {
		lua_pushvalue(L, at->owner);
		lua_setiuservalue(L, -2, LUAJSON_OWNER);
	}
	lua_createtable(L, 0, o->is_list ? 0 : 4);
	if (o->is_list) {
		inner = (struct luajson_place){ o->kind, o->arg, o->path, at->owner };
		if (!inner.owner)
			inner.owner = lua_gettop(L) - 1;
		luajson_fill(L, o, &inner);
	}
	lua_setiuservalue(L, -2, LUAJSON_FIELDS);
}

static void luajson_push_text(lua_State *L, struct span text)
{
	if (text.p)
		lua_pushlstring(L, text.p, text.n);
	else
		lua_pushnil(L);
}

/* As it was sent. */
static void luajson_push_any(lua_State *L, struct span json, const struct luajson_place *at)
{
	int64_t i;
	double x = 0;

	switch (json_kind(json)) {
	case JSON_NULL: lua_pushnil(L); return;
	case JSON_FALSE: lua_pushboolean(L, 0); return;
	case JSON_TRUE: lua_pushboolean(L, 1); return;
	case JSON_STRING: luajson_push_text(L, json_text(json, script_arena(L))); return;
	case JSON_NUMBER:
		if (json_integer(json, &i)) {
			lua_pushinteger(L, i);
			return;
		}
		(void)!json_number(json, &x);
		luajson_push_number(L, x);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT: luajson_push_object(L, json, at); return;
	}
}

/* By its kind; json may be {NULL, 0}: missing. */
static void luajson_push_at(
	lua_State *L, struct span json, enum field_kind kind, const struct luajson_place *at)
{
	struct luajson_place empty = { .kind = at->kind, .arg = at->arg, .path = at->path };
	int64_t us;
	double x;
	bool yes;

	switch (kind) {
	case FIELD_ANY: break;
	case FIELD_TEXT: luajson_push_text(L, field_text(json, script_arena(L))); return;
	case FIELD_MONEY:
	case FIELD_NUMBER:
		if (field_number(json, &x))
			luajson_push_number(L, x);
		else
			lua_pushnil(L);
		return;
	case FIELD_BOOL:
		if (field_bool(json, &yes))
			lua_pushboolean(L, yes);
		else
			lua_pushnil(L);
		return;
	case FIELD_TIME: bind_time_push(L, field_time(json, &us) ? us : TIME_NONE); return;
	case FIELD_LIST:
		if (!json.p || json_kind(json) != JSON_ARRAY)
			luajson_push_object(L, SPAN("[]"), &empty);
		else
			luajson_push_object(L, json, at);
		return;
	case FIELD_OBJECT:
		if (!json.p || json_kind(json) != JSON_OBJECT)
			luajson_push_object(L, SPAN("{}"), &empty);
		else
			luajson_push_object(L, json, at);
		return;
	}
	if (json.p)
		luajson_push_any(L, json, at);
	else
		lua_pushnil(L);
}

void luajson_push(
	lua_State *L, struct span json, luajson_kind_fn *kind, const void *arg, const char *path)
{
	struct luajson_place at = { .kind = kind, .arg = arg, .path = path };
	enum field_kind k = kind && *path ? kind(arg, span_of(path)) : FIELD_ANY;

	json = span_trim(json);
	luajson_push_at(L, json, k, &at);
}

void luajson_set_hidden(lua_State *L, int idx, const char *field)
{
	idx = lua_absindex(L, idx);
	lua_getiuservalue(L, idx, LUAJSON_FIELDS);
	lua_insert(L, -2);
	lua_setfield(L, -2, field);
	lua_pop(L, 1);
}

void luajson_watch(lua_State *L, int idx, luajson_watch_fn *fn)
{
	struct luajson_object *o = luajson_object_at(L, idx);

	if (o)
		o->watch = fn;
}

bool luajson_text(lua_State *L, int idx, struct span *ret_json)
{
	struct luajson_object *o = luajson_object_at(L, idx);

	if (o)
		*ret_json = o->text;
	return o != NULL;
}

/*** reading ***/

/* Is this JSON string of the text the name?  Names without escapes, the rule, are compared as they
 * stand. */
static bool luajson_is_name(struct span key, struct span name)
{
	if (key.n == name.n + 2)
		return memcmp(key.p + 1, name.p, name.n) == 0 && !memchr(name.p, '\\', name.n);
	return key.n > name.n + 2 && json_text_is(key, name);
}

/* Goes on with the scan of the object until the name turns up; notes what it passes. */
static bool luajson_scan(struct luajson_object *o, struct span name, struct span *ret)
{
	struct luajson_member *m;
	struct span key, value;

	while (o->n_members < LUAJSON_MEMBERS) {
		if (!json_next(&o->it, &key, &value)) {
			o->is_scanned = true;
			return false;
		}
		m = &o->members[o->n_members++];
		*m = (struct luajson_member){ (uint32_t)(key.p - o->text.p),
			(uint32_t)(value.p - o->text.p), (uint32_t)key.n, (uint32_t)value.n };
		if (luajson_is_name(key, name)) {
			*ret = value;
			return true;
		}
	}
	return json_get(o->text, name, ret);
}

/* The value of a member; false: there is none. */
static bool luajson_find(struct luajson_object *o, struct span name, struct span *ret)
{
	const struct luajson_member *m;
	unsigned i;

	for (i = 0; i < o->n_members; i++) {
		m = &o->members[i];
		if (luajson_is_name((struct span){ o->text.p + m->key, m->n_key }, name)) {
			*ret = (struct span){ o->text.p + m->value, m->n_value };
			return true;
		}
	}
	if (o->text.n > UINT32_MAX || (o->is_scanned && o->n_members == 0))
		return json_get(o->text, name, ret);
	return !o->is_scanned && luajson_scan(o, name, ret);
}

/* The path of a field; false when it is too long to have a kind. */
static bool luajson_path(const struct luajson_object *o, struct span name, char *path)
{
	size_t n = strlen(o->path);

	if (n + name.n + 2 > LUAJSON_PATH) {
		*path = '\0';
		return false;
	}
	memcpy(path, o->path, n);
	if (n > 0)
		path[n++] = '.';
	memcpy(path + n, name.p, name.n);
	path[n + name.n] = '\0';
	return true;
}

/* Pushes the field whose name is at stack index 2, of the object at 1. */
static void luajson_read(lua_State *L, struct luajson_object *o)
{
	struct span name, value = { NULL, 0 };
	char path[LUAJSON_PATH];
	struct luajson_place at = { o->kind, o->arg, path, 1 };
	enum field_kind kind = FIELD_ANY;

	name.p = lua_tolstring(L, 2, &name.n);
	script_charge(L, o->text.n / 4);
	if (!luajson_find(o, name, &value))
		value = (struct span){ NULL, 0 };
	if (!luajson_path(o, name, path))
		at.kind = NULL;
	if (at.kind)
		kind = at.kind(o->arg, span_of(path));
	if (lua_getiuservalue(L, 1, LUAJSON_OWNER) != LUA_TNIL)
		at.owner = lua_gettop(L);
	luajson_push_at(L, value, kind, &at);
}

/* Tells who watches the object that a field of it is read. */
static void luajson_tell(lua_State *L, const struct luajson_object *o)
{
	struct span name;

	if (lua_type(L, 2) != LUA_TSTRING)
		return;
	name.p = lua_tolstring(L, 2, &name.n);
	o->watch(L, name);
}

static int l_luajson_index(lua_State *L)
{
	struct luajson_object *o = lua_touserdata(L, 1);
	int type;

	if (o->watch)
		luajson_tell(L, o);
	lua_getiuservalue(L, 1, LUAJSON_FIELDS); /* 3 */
	lua_pushvalue(L, 2);
	type = lua_rawget(L, 3);
	if (type == LUA_TLIGHTUSERDATA) /* luajson_missing */
		lua_pushnil(L);
	if (type != LUA_TNIL)
		return 1;
	if (o->is_list || lua_type(L, 2) != LUA_TSTRING)
		return 1;
	luajson_read(L, o);
	lua_pushvalue(L, 2);
	if (lua_isnil(L, -2))
		lua_pushlightuserdata(L, &luajson_missing);
	else
		lua_pushvalue(L, -2);
	lua_rawset(L, 3);
	return 1;
}

static int l_luajson_write(lua_State *L)
{
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	return luaL_error(L,
		"could not set \"%s\": the event and the customer are read-only; set { } "
		"changes the card",
		key);
}

static int l_luajson_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)((struct luajson_object *)lua_touserdata(L, 1))->n);
	return 1;
}

/* The names in an object, into the table on top. */
static void luajson_collect(lua_State *L, struct luajson_object *o)
{
	int t = lua_gettop(L);
	struct json_iter it;
	struct span key, value;

	script_charge(L, o->text.n);
	json_iter_init(&it, o->text);
	while (json_next(&it, &key, &value)) {
		luajson_push_text(L, json_text(key, script_arena(L)));
		lua_pushboolean(L, 1);
		lua_rawset(L, t);
	}
}

void luajson_push_keys(lua_State *L, int idx)
{
	struct luajson_object *o = luajson_object_at(L, idx);
	size_t i;

	if (o && o->is_list) {
		lua_createtable(L, (int)o->n, 0);
		for (i = 1; i <= o->n; i++) {
			lua_pushinteger(L, (lua_Integer)i);
			lua_rawseti(L, -2, (lua_Integer)i);
		}
		return;
	}
	if (o) {
		lua_newtable(L);
		luajson_collect(L, o);
	} else if (!script_push_contents(L, idx)) {
		luaL_error(L, "a %s has no fields", luaL_typename(L, idx));
	}
	script_push_sorted_keys(L, -1);
	lua_remove(L, -2);
}

static int l_luajson_pairs(lua_State *L)
{
	luajson_push_keys(L, 1);
	return 1;
}

/*** writing ***/

struct luajson_writer {
	struct buf *out;
	size_t most;
	struct err *err;
	char path[LUAJSON_PATH]; /* "with.cart.x" */
	size_t n_path;
};

static bool luajson_put(lua_State *L, struct luajson_writer *w, int idx, int depth);

static bool luajson_refuse(struct luajson_writer *w, const char *what)
{
	if (w->n_path > 0)
		return err_set(w->err, "field \"%.*s\": %s", (int)w->n_path, w->path, what);
	return err_set(w->err, "%s", what);
}

/* Goes down into a field; returns the length of the path to come back to. */
static size_t luajson_enter(struct luajson_writer *w, struct span name)
{
	size_t before = w->n_path, dot = before > 0, n = name.n > 60 ? 60 : name.n;

	if (before + dot + n < sizeof w->path) {
		w->path[before] = '.';
		memcpy(w->path + before + dot, name.p, n);
		w->n_path = before + dot + n;
	}
	return before;
}

static bool luajson_put_list(lua_State *L, struct luajson_writer *w, int t, size_t n, int depth)
{
	char place[24];
	size_t i, before;

	buf_char(w->out, '[');
	for (i = 1; i <= n; i++) {
		if (i > 1)
			buf_char(w->out, ',');
		snprintf(place, sizeof place, "%zu", i);
		before = luajson_enter(w, span_of(place));
		lua_rawgeti(L, t, (lua_Integer)i);
		if (!luajson_put(L, w, lua_gettop(L), depth + 1))
			return false;
		lua_pop(L, 1);
		w->n_path = before;
	}
	buf_char(w->out, ']');
	return true;
}

/* keys: a sorted list of the keys of the table t; the text keys come last. */
static bool luajson_put_fields(lua_State *L, struct luajson_writer *w, int t, int keys, int depth)
{
	size_t n = lua_rawlen(L, keys), i, before;
	struct span key;

	buf_char(w->out, '{');
	for (i = 1; i <= n; i++) {
		if (lua_rawgeti(L, keys, (lua_Integer)i) != LUA_TSTRING)
			return luajson_refuse(w,
				"a table that has other keys than text, and is no list "
				"from 1 on, can not be stored");
		key.p = lua_tolstring(L, -1, &key.n);
		if (!json_is_text(key))
			return luajson_refuse(w, "a key that is not valid UTF-8 can not be stored");
		if (i > 1)
			buf_char(w->out, ',');
		json_put_text(w->out, key);
		buf_char(w->out, ':');
		before = luajson_enter(w, key);
		lua_rawget(L, t);
		if (!luajson_put(L, w, lua_gettop(L), depth + 1))
			return false;
		lua_pop(L, 1);
		w->n_path = before;
	}
	buf_char(w->out, '}');
	return true;
}

static bool luajson_put_table(lua_State *L, struct luajson_writer *w, int idx, int depth)
{
	size_t n, count = 0;
	int top = lua_gettop(L);
	bool ok;

	if (depth >= LUAJSON_DEPTH)
		return luajson_refuse(w,
			"a table deeper than 32 (or one that holds itself) can not be "
			"stored");
	luaL_checkstack(L, 10, NULL);
	script_push_contents(L, idx);
	n = lua_rawlen(L, top + 1);
	for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1))
		count++;
	script_charge(L, 50 * count);
	if (n > 0 && n == count) {
		ok = luajson_put_list(L, w, top + 1, n, depth);
	} else {
		script_push_sorted_keys(L, top + 1);
		ok = luajson_put_fields(L, w, top + 1, top + 2, depth);
	}
	lua_settop(L, top);
	return ok;
}

static bool luajson_put_number(lua_State *L, struct luajson_writer *w, int idx)
{
	double x = lua_tonumber(L, idx);

	if (!isfinite(x) || fabs(x) > 1e15)
		return luajson_refuse(w, isfinite(x)
						 ? "a number beyond 1e15 can not be stored"
						 : "a number that is none (0/0, 1/0) can not be "
						   "stored");
	if (lua_isinteger(L, idx))
		buf_int(w->out, lua_tointeger(L, idx));
	else
		json_put_number(w->out, x == 0 ? 0 : x);
	return true;
}

static bool luajson_put_userdata(lua_State *L, struct luajson_writer *w, int idx)
{
	struct span json;
	int64_t us;
	char text[32];

	if (luajson_text(L, idx, &json)) {
		script_charge(L, json.n * 4);
		json_canon(json, w->out);
		return true;
	}
	if (bind_time_is(L, idx, &us)) {
		json_put_text(w->out, span_of(clock_format_rfc3339(us, text)));
		return true;
	}
	return luajson_refuse(w, "a handle can not be stored");
}

static bool luajson_put(lua_State *L, struct luajson_writer *w, int idx, int depth)
{
	struct span text;
	char what[60];

	if (w->out->n > w->most)
		return luajson_refuse(w, "it is too long");
	switch (lua_type(L, idx)) {
	case LUA_TNIL: buf_str(w->out, "null"); return true;
	case LUA_TBOOLEAN: buf_str(w->out, lua_toboolean(L, idx) ? "true" : "false"); return true;
	case LUA_TNUMBER: return luajson_put_number(L, w, idx);
	case LUA_TSTRING:
		text.p = lua_tolstring(L, idx, &text.n);
		if (text.n > w->most)
			return luajson_refuse(w, "it is too long");
		if (!json_is_text(text))
			return luajson_refuse(w, "text that is not valid UTF-8 can not be stored");
		json_put_text(w->out, text);
		return true;
	case LUA_TTABLE: return luajson_put_table(L, w, idx, depth);
	case LUA_TUSERDATA: return luajson_put_userdata(L, w, idx);
	default:
		snprintf(what, sizeof what, "a %s can not be stored", luaL_typename(L, idx));
		return luajson_refuse(w, what);
	}
}

bool luajson_encode(lua_State *L, int idx, size_t most_bytes, struct arena *a, struct span *ret,
	struct err *err)
{
	struct luajson_writer w = { .out = script_buf(L), .most = most_bytes, .err = err };
	int top = lua_gettop(L);
	bool ok = luajson_put(L, &w, lua_absindex(L, idx), 0);

	lua_settop(L, top);
	if (ok && w.out->n > most_bytes)
		ok = err_set(err, "it is %zu bytes long; at most %zu can be stored", w.out->n,
			most_bytes);
	if (ok)
		*ret = (struct span){ arena_dup(a, w.out->p, w.out->n), w.out->n };
	return ok;
}

void luajson_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__index", l_luajson_index },
		{ "__newindex", l_luajson_write }, { "__len", l_luajson_len },
		{ "__pairs", l_luajson_pairs }, { NULL, NULL } };

	lua_createtable(L, 0, 8);
	luaL_setfuncs(L, meta, 0);
	lua_pushliteral(L, "table");
	lua_setfield(L, -2, "__kind");
	lua_pushliteral(L, "table");
	lua_setfield(L, -2, "__name");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &luajson_key);
}
