#ifndef MAIN_CTL_TEXT_H
#define MAIN_CTL_TEXT_H
/*
 * Text of customers, stores and rules on a terminal: it stays on its line and moves no cursor.
 */
#include "base/str.h"

#include <stdio.h>

/* Control characters (C0, DEL, C1) are written as \xNN. */
void ctl_text_line(FILE *out, struct span s);
/* The same, but line feeds and tabs stay: for a text of several lines. */
void ctl_text_block(FILE *out, struct span s);

#endif
