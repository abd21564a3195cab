#ifndef ENGINE_MAILTEXT_H
#define ENGINE_MAILTEXT_H
/*
 * What a mail needs besides its HTML: the subject from <title>, and the text part when there is no
 * .txt template.
 *
 * Both read HTML that liquid_render made, as browsers read it: nothing is refused, what is broken is
 * taken as text.  Pure functions: they only add to the caller's buf.  Cost is linear in the input.
 */
#include "base/str.h"

enum { MAILTEXT_WIDTH = 76 };

/* Adds the text of the first <title>: entities decoded, blanks (line ends too) collapsed.  False when
 * there is none or it is empty; then nothing is added. */
bool mailtext_title(struct span html, struct buf *out);
/*
 * Adds the mail as plain text, wrapped at MAILTEXT_WIDTH characters (words longer than that, such as
 * links, stay whole), ended by one line feed when there is any.  Paragraphs and headings are divided by
 * an empty line, list items begin with "- " or their number, links are `text (url)`, images their alt
 * text.  Left out: head, style, script, comments, and what has `display:none` (preview texts).
 */
void mailtext_derive(struct span html, struct buf *out);

#endif
