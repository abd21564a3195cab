/* chain.c: the words of a chain's states. */
#include "model/chain.h"

static const char *const chain_state_words[] = {
	[CHAIN_WAITING] = "waiting",
	[CHAIN_QUEUED] = "queued",
	[CHAIN_SETTLING] = "settling",
	[CHAIN_STUCK] = "stuck",
	[CHAIN_FAILED] = "failed",
	[CHAIN_SUSPENDED] = "suspended",
	[CHAIN_DONE] = "done",
	[CHAIN_EXITED] = "exited",
	[CHAIN_CANCELLED] = "cancelled",
};

const char *chain_state_name(enum chain_state s)
{
	return chain_state_words[s];
}

bool chain_state_parse(struct span word, enum chain_state *ret)
{
	for (unsigned i = 0; i < sizeof chain_state_words / sizeof *chain_state_words; i++)
		if (span_is(word, chain_state_words[i])) {
			*ret = (enum chain_state)i;
			return true;
		}
	return false;
}

bool chain_state_is_live(enum chain_state s)
{
	return s < CHAIN_DONE;
}
