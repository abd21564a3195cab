/* ctl_text.c: what could steer a terminal is shown, not done. */
#include "main/ctl_text.h"

#include <string.h>

static void ctl_text_put(FILE *out, struct span s, const char *kept)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		/* C1 in UTF-8: U+0080 to U+009F */
		bool is_c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;

		if (is_c1)
			c = (unsigned char)s.p[++i];
		if (c != '\0' && strchr(kept, c))
			putc(c, out);
		else if (c < 0x20 || c == 0x7f || is_c1)
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
	}
}

void ctl_text_line(FILE *out, struct span s)
{
	ctl_text_put(out, s, "");
}

void ctl_text_block(FILE *out, struct span s)
{
	ctl_text_put(out, s, "\n\t");
}
