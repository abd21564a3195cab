#ifndef MAIN_IMPORT_STORE_H
#define MAIN_IMPORT_STORE_H
/*
 * A store that shows no rules: everything goes to the store behind it, but whatever rule set is current there,
 * an empty one is read here.  So history can be taken in before the first rules are written, and whatever is
 * wrong with the rules.
 *
 * Opening takes the inner store, closing closes it.
 */
#include "store/store.h"

struct store *import_store_open(struct store *inner);

#endif
