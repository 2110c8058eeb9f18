// SPDX-License-Identifier: Apache-2.0
#include "sink/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static const char names[] =
	"{\"person\":\"u1\",\"version\":3,\"profile\":{\"name\":\"Ann <b>\",\"first name\":\"A\","
	"\"n\":7,\"price\":19.995,\"plan\":\"pro\",\"yes\":true,\"no\":false,\"hollow\":\"\","
	"\"null\":null,\"born\":\"1990-02-03\",\"at\":\"2026-11-24T09:05:00Z\","
	"\"evil\":\"a\\r\\nBcc: x@y\\u0000z\",\"city\":\"\\u00c5re\",\"list\":[1,\"b\"],"
	"\"address\":{\"city\":\"Lund\"},\"md\":\"*x* @everyone\",\"big\":12345678901234567890}}";

static const struct {
	const char *text;
	enum template_escape escape;
	const char *wanted;             /* NULL: not sent */
	const char *said;               /* words, a part of them */
} cases[] = {
	{ "plain { } {x} }}", TEMPLATE_TEXT, "plain { } {x} }}", NULL },
	{ "Hi {{ name }}!", TEMPLATE_TEXT, "Hi Ann <b>!", NULL },
	{ "Hi {{name}}!", TEMPLATE_HTML, "Hi Ann &lt;b&gt;!", NULL },
	{ "{{ name | raw }}", TEMPLATE_HTML, "Ann <b>", NULL },
	{ "{{ name }}", TEMPLATE_SLACK, "Ann &lt;b&gt;", NULL },
	{ "{{ md }}", TEMPLATE_MARKDOWN, "\\*x\\* @everyone", NULL },
	{ "{{ evil }}", TEMPLATE_LINE, "a  Bcc: x@y z", NULL },
	{ "{{ evil | raw }}", TEMPLATE_LINE, "a  Bcc: x@y z", NULL },
	{ "/{{ city }}?{{ name | url_encode }}", TEMPLATE_URL, "/%C3%85re?Ann%20%3Cb%3E", NULL },
	{ "{{ profile[\"first name\"] }}", TEMPLATE_TEXT, "A", NULL },
	{ "{{ address.city }}{{ address['city'] }}", TEMPLATE_TEXT, "LundLund", NULL },
	{ "{{ person }}{{ version }}", TEMPLATE_TEXT, "u13", NULL },
	{ "{{ big }}", TEMPLATE_TEXT, "12345678901234567890", NULL },
	{ "{{ list }}", TEMPLATE_TEXT, "[1,\"b\"]", NULL },
	{ "{{ name | json }}{{ n | json }}", TEMPLATE_TEXT, "\"Ann <b>\"7", NULL },
	/* values that are missing */
	{ "a{{ nobody }}", TEMPLATE_TEXT, NULL, "no value for nobody" },
	{ "a{{ address.street }}", TEMPLATE_TEXT, NULL, "no value for address.street" },
	{ "a{{ hollow }}", TEMPLATE_TEXT, NULL, "no value for hollow" },
	{ "a{{ null }}", TEMPLATE_TEXT, NULL, "no value" },
	{ "{{ nobody | default: \"you\" }}", TEMPLATE_TEXT, "you", NULL },
	{ "{{ hollow | default: 'you' | upcase }}", TEMPLATE_TEXT, "YOU", NULL },
	{ "{{ nobody | default: name }}", TEMPLATE_TEXT, "Ann <b>", NULL },
	{ "{{ nobody | upcase | default: 5 }}", TEMPLATE_TEXT, "5", NULL },
	{ "{% if nobody %}{{ nobody }}{% endif %}.", TEMPLATE_TEXT, ".", NULL },
	/* filters */
	{ "{{ plan | capitalize }} {{ name | downcase }}", TEMPLATE_TEXT, "Pro ann <b>", NULL },
	{ "{{ price | round: 2 }} {{ n | plus: 1 }} {{ n | times: 2.5 }}", TEMPLATE_TEXT,
	  "20.00 8 17.5", NULL },
	{ "{{ city | truncate: 1 }}", TEMPLATE_TEXT, "\xc3\x85\xe2\x80\xa6", NULL },
	{ "{{ at | date: '%d.%m.%Y %H:%M' }} {{ born | date: \"%e %B %y\" }}", TEMPLATE_TEXT,
	  "24.11.2026 09:05 3 February 90", NULL },
	/* conditions */
	{ "{% if plan == \"pro\" %}P{% else %}N{% endif %}", TEMPLATE_TEXT, "P", NULL },
	{ "{% if n > 9 %}a{% elsif n >= 7 %}b{% else %}c{% endif %}", TEMPLATE_TEXT, "b", NULL },
	{ "{% if n > 9 %}a{% elsif n > 8 %}b{% else %}c{% endif %}", TEMPLATE_TEXT, "c", NULL },
	{ "{% if no or yes %}1{% endif %}{% if yes and no %}2{% endif %}",
	  TEMPLATE_TEXT, "1", NULL },
	{ "{% unless no %}u{% endunless %}", TEMPLATE_TEXT, "u", NULL },
	{ "{% if plan contains \"r\" %}1{% endif %}{% if nobody == nil %}2{% endif %}",
	  TEMPLATE_TEXT, "12", NULL },
	{ "{% if yes %}{% if no %}a{% else %}b{% endif %}c{% endif %}d",
	  TEMPLATE_TEXT, "bcd", NULL },
	{ "a  {%- if yes -%}  b {%- endif -%} c", TEMPLATE_TEXT, "abc", NULL },
	{ "{% if n == 7.0 %}1{% endif %}{% if plan != 'x' %}2{% endif %}",
	  TEMPLATE_TEXT, "12", NULL },
	/* mistakes */
	{ "x\n{{ name", TEMPLATE_TEXT, NULL, "line 2: }} is missing behind name" },
	{ "{{ }}", TEMPLATE_TEXT, NULL, "a name is wanted" },
	{ "{{ name | shout }}", TEMPLATE_TEXT, NULL, "no such filter: shout" },
	{ "{{ name | default }}", TEMPLATE_TEXT, NULL, "an argument is wanted" },
	{ "{{ n | plus: \"x\" }}", TEMPLATE_TEXT, NULL, "a number is wanted behind plus" },
	{ "{{ name | upcase: 1 }}", TEMPLATE_TEXT, NULL, "has no argument: upcase" },
	{ "{{ \"x }}", TEMPLATE_TEXT, NULL, "has no end" },
	{ "{% if yes %}a", TEMPLATE_TEXT, NULL, "{% endif %} is missing" },
	{ "a{% endif %}", TEMPLATE_TEXT, NULL, "not endif" },
	{ "{% for x in y %}", TEMPLATE_TEXT, NULL, "not for" },
	{ "{% if yes %}{% else %}{% else %}{% endif %}", TEMPLATE_TEXT, NULL, "no place for" },
};

static void try(struct tap *tap, size_t i, const struct template_scope *scope)
{
	struct buf out = { 0 };
	struct err err = { "" };
	int rc = template_print(cases[i].text, cases[i].escape, scope, &out, &err);

	if (cases[i].wanted)
		OK(tap, rc == 0 && slice_is(buf_slice(&out), cases[i].wanted), "%s -> '%.*s' %s",
		   cases[i].text, (int)out.len, out.ptr ? out.ptr : "", err.text);
	else
		OK(tap, rc < 0 && strstr(err.text, cases[i].said), "%s: %s", cases[i].text,
		   err.text);
	rc = template_check(cases[i].text, &err);
	OK(tap, (rc < 0) == (!cases[i].wanted && !strstr(cases[i].said, "no value") &&
			     !strstr(cases[i].said, "behind plus")), "the check says so, too");
	buf_close(&out);
}

/* Cut at every length, each with its end at the end of a block of memory: ASan watches. */
static void cut(struct tap *tap, const struct template_scope *scope)
{
	struct buf out = { 0 };
	struct err err;
	int ends = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t len = 0; len <= strlen(cases[i].text); len++) {
			char *text = strndup(cases[i].text, len);

			err.text[0] = '\0';
			buf_reset(&out);
			ends += text && template_print(text, TEMPLATE_HTML, scope, &out, &err) <= 0;
			free(text);
		}
	}
	OK(tap, ends > 1000, "%d texts that are cut short end somehow", ends);
	buf_close(&out);
}

int main(void)
{
	struct tap tap = { 0 };
	struct template_scope scope = { .is_strict = true };
	struct json_reader *json;
	struct err err = { "" };
	char deep[20 * 11 + 1] = "";

	if (json_open(&json, &err) < 0 ||
	    json_parse(json, slice_from(names), &scope.all, &err) < 0)
		return 1;
	scope.own = json_get(scope.all, "profile");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		try(&tap, i, &scope);
	cut(&tap, &scope);
	for (int i = 0; i < 20; i++)
		memcpy(deep + i * 10, "{% if n %}", 11);
	OK(&tap, template_check(deep, &err) == -EBADMSG && strstr(err.text, "too many"), "%s",
	   err.text);
	scope.is_strict = false;
	struct buf out = { 0 };
	OK(&tap, template_print("a{{ x }}b", TEMPLATE_TEXT, &scope, &out, &err) == 0 &&
	   slice_is(buf_slice(&out), "ab"), "missing: empty");
	buf_close(&out);
	json_close(json);
	return tap_end(&tap);
}
