#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * An error as a value: what happened, to which object, and what to do about it.
 *
 * A function that can fail at run time returns bool (or NULL) and takes a `struct err *` last.  On
 * failure the error is filled and no out parameter was written; on success the error is untouched.
 * Return an error or log it, never both: whoever decides what happens next logs.  Texts follow the
 * PostgreSQL style guide: lower case, no full stop, `could not open file "x": reason`.
 * The struct is plain data, owned by the caller, never allocated; long texts are cut.
 */
#include <stdbool.h>

#define MUST_CHECK __attribute__((warn_unused_result))
/* A large local that is written before it is read: locals are zeroed otherwise, which costs in a hot place. */
#define UNSET __attribute__((uninitialized))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

struct err {
	char text[1024]; /* what happened */
	char hint[512];  /* what to do; may be empty */
};

/* Fills the text (the hint becomes empty).  Always returns false, so `return err_set(...)`. */
bool err_set(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Adds advice to an error that was set.  Always returns false. */
bool err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts words before the text: err_prefix(err, "rules/a.lua:%d: ", line).  Always returns false. */
bool err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
