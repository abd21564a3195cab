#ifndef DOOR_ENVELOPE_BINARY_H
#define DOOR_ENVELOPE_BINARY_H
/*
 * What stands beside or is packed inside JSON: attributes in headers, data in base64.  For
 * door/envelope only.
 */
#include "door/envelope.h"

struct envelope_binary {
	bool is_there; /* the body is data alone */
	struct span specversion, id, source, type, subject, time;
};

/* Reads the attributes; NULL, or what is wrong with them (static).  Texts are lent by the input or
 * in the arena; they are valid UTF-8 without NUL. */
const char *envelope_binary_read(
	const struct envelope_input *in, struct arena *a, struct envelope_binary *ret);
/* The checked JSON in base64 text; NULL, or why it can not be had (static). */
const char *envelope_unpack(
	struct span base64, struct span content_type, struct arena *a, struct span *ret_data);

#endif
