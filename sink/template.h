/* template - text with {{ names | filters }} and {% if .. %}, as Liquid has them
 *
 *      text   := bytes | {{ value [| filter[: argument]].. }} | {% if cond %}..{% endif %}
 *      value  := name | "text" | 'text' | number | true | false | nil
 *      name   := word[.word | ["any text"]]..
 *      cond   := value [op value] [and|or cond];  op: == != > >= < <= contains
 *
 * A name is looked up in the scope's `own` object, then in `all`. One without a value and without
 * `default` is an error where is_strict, else nothing. Empty text counts as no value, as it does
 * for Liquid's `default`; in conditions it is false, which it is not for Liquid.
 * What is put in is escaped for the place: a name can neither make a tag nor a header of its own.
 * Nothing is kept between calls; a text is read anew each time, since messages are few.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_TEMPLATE_H
#define SINK_TEMPLATE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"

#define TEMPLATE_DEPTH_MAX 16
#define TEMPLATE_OUT_MAX   ((size_t)1 << 20)

enum template_escape {
	TEMPLATE_TEXT,          /* as it is, without control bytes but newline and tab */
	TEMPLATE_LINE,          /* one line: control bytes are blanks; `raw` changes nothing */
	TEMPLATE_HTML,
	TEMPLATE_URL,           /* percent-encoded; url_encode does it no second time */
	TEMPLATE_SLACK,         /* & < > */
	TEMPLATE_MARKDOWN,      /* a backslash before what Discord gives a meaning */
};

struct template_scope {
	yyjson_val *own, *all;  /* objects; NULL: empty */
	bool is_strict;
};

/* -EBADMSG: words with the line in the text. text may be NULL. */
MUST_CHECK int template_check(const char *text, struct err *err);
/* Appends. -ENODATA: a name has no value, words say which; -EBADMSG; -ENOMEM (or too long). */
MUST_CHECK int template_print(const char *text, enum template_escape escape,
			      const struct template_scope *scope, struct buf *out,
			      struct err *err);
/* Appends text, escaped as values are. */
void template_escape(struct slice text, enum template_escape escape, struct buf *out);

#endif
