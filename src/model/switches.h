#ifndef MODEL_SWITCHES_H
#define MODEL_SWITCHES_H
/*
 * What is switched off at present: suspended rules and pairs set aside after two crashes (P7).  A small list,
 * read again whenever batch.switches_version moves.  Plain data in the memory of whoever asked for it.
 */
#include "base/str.h"

#include <stdint.h>

struct switch_pair {      /* this rule is not run on this event (or chain) any more */
	struct span kind; /* "event" or "chain" */
	struct span id;   /* "store/source/id", or the chain's number */
	struct span rule;
};

struct switches {
	int64_t version;
	struct span *suspended; /* names of rules */
	size_t n_suspended;
	struct switch_pair *pairs;
	size_t n_pairs;
};

#endif
