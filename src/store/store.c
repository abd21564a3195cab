/* store.c: the words for how a call of a store ends. */
#include "store/store.h"

const char *store_end_name(enum store_end e)
{
	switch (e) {
	case STORE_OK: return "ok";
	case STORE_REFUSED: return "refused";
	case STORE_AGAIN: return "again";
	case STORE_LOST: return "lost";
	}
	return "?";
}
