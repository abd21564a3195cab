#ifndef ENGINE_BIND_TIME_H
#define ENGINE_BIND_TIME_H
/*
 * Time objects of rules: an instant, shown in the zone of the evaluation.
 *
 * Immutable.  `t1 < t2`, `t1 == t2`, `t + "3d"`, `t - "2h"`, `t1 - t2` (seconds), `t.year .month
 * .day .hour .minute .second .weekday (1 = Monday) .yearday`, `t:format "%d.%m.%Y %H:%M"` (%Y %y
 * %m %d %e %H %I %M %S %p %j %u %w %a %b %A %B %F %T %z %%, English names), tostring: RFC 3339
 * with the zone's offset. Days are calendar days in the zone, hours are hours (base/duration).
 *
 * The zone belongs to the evaluation, not to the object: the host sets it before each resume
 * (bind_time_set_zone), and must set the same one when it replays, or `t.hour` may differ.
 * All functions may raise (memory): inside engine/script's protection only.
 */
#include "base/str.h"

#include <lua.h>
#include <stdint.h>

struct script;
struct tz;

/* Registers the metatable; once per state. */
void bind_time_open(lua_State *L);
/* Zone of everything from here on; lent until the next call.  NULL: UTC. */
void bind_time_set_zone(struct script *s, const struct tz *zone);
const struct tz *bind_time_zone(lua_State *L);

/* Pushes a time; TIME_NONE pushes nil. */
void bind_time_push(lua_State *L, int64_t at_us);
/* The same for a sum: raises where it is out of range. */
void bind_time_push_checked(lua_State *L, int64_t at_us);
/* The value at idx is a time. */
bool bind_time_is(lua_State *L, int idx, int64_t *ret_us);
/* An argument that must be a time; raises with a hint otherwise. */
int64_t bind_time_check(lua_State *L, int arg);

#endif
