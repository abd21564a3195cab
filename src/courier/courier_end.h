#ifndef COURIER_COURIER_END_H
#define COURIER_COURIER_END_H
/*
 * How a hand-over ended; the one word that drivers, courier and records share.
 */
enum courier_end {
	COURIER_SENT,    /* taken over by whom it was handed to */
	COURIER_REFUSED, /* never: final */
	COURIER_LATER,   /* certainly not taken; again later */
	COURIER_UNKNOWN, /* interrupted when it may have been taken: in doubt */
};
const char *courier_end_name(enum courier_end e); /* "sent", "refused", "later", "unknown" */

#endif
