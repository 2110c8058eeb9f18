// SPDX-License-Identifier: Apache-2.0
/* All cases of the public suffix list's own test (Debian's package publicsuffix). */
#include "enrich/suffix.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

#define LIST  "/usr/share/publicsuffix/public_suffix_list.dat"
#define CASES "/usr/share/doc/publicsuffix/examples/test_psl.txt"

static struct buf read_file(struct tap *tap, const char *path)
{
	struct buf buf = { .limit = 16 << 20 };
	FILE *in = fopen(path, "rb");
	char *room;
	size_t n;

	while (in && (room = buf_reserve(&buf, 65536)) && (n = fread(room, 1, 65536, in)) > 0)
		buf.len += n;
	OK(tap, in && buf.len, "%s is there (.ci/install test brings it)", path);
	if (in)
		fclose(in);
	return buf;
}

/* 'text' or null, behind *at. */
static const char *quoted(char **at)
{
	char *from = strchr(*at, '\''), *to;
	char *none = strstr(*at, "null");

	if (none && (!from || none < from)) {
		*at = none + 4;
		return NULL;
	}
	to = from ? strchr(from + 1, '\'') : NULL;
	if (!to)
		return NULL;
	*to = '\0';
	*at = to + 1;
	return from + 1;
}

static void check_suite(struct tap *tap, const struct suffix_list *list)
{
	struct buf text = read_file(tap, CASES);
	int count = 0, passed = 0;

	buf_append_char(&text, '\0');
	for (char *line = strtok(text.ptr, "\n"); line; line = strtok(NULL, "\n")) {
		const char *host, *wanted;
		struct slice got = { NULL, 0 };

		if (strncmp(line, "checkPublicSuffix(", 18) != 0)
			continue;
		host = quoted(&line);
		wanted = quoted(&line);
		for (char *c = (char *)(uintptr_t)(host ? host : ""); *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
		if (host)
			got = suffix_registrable(list, slice_from(host));
		count++;
		if (!got.ptr == !wanted && (!wanted || slice_is(got, wanted)))
			passed++;
		else
			printf("# %s: got %.*s, wanted %s\n", host ? host : "null", (int)got.len,
			       got.ptr ? got.ptr : "", wanted ? wanted : "null");
	}
	OK(tap, count >= 77 && passed == count, "%d of %d cases pass", passed, count);
	buf_close(&text);
}

static void check_more(struct tap *tap, const struct suffix_list *list)
{
	static const struct { const char *host, *wanted; } more[] = {
		{ "a.b.github.io", "b.github.io" }, { "github.io", NULL },
		{ "192.0.2.1", NULL }, { "[2001:db8::1]", NULL }, { "a..com", NULL },
		{ "com.", NULL }, { "", NULL }, { ".", NULL }, { "localhost", NULL },
		{ "www.xn--85x722f.com.cn", "xn--85x722f.com.cn" },
		{ "com.google.android.gm", "android.gm" },
		{ "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.example.com", "example.com" },
	};

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct slice got = suffix_registrable(list, slice_from(more[i].host));

		OK(tap, !got.ptr == !more[i].wanted && (!got.ptr || slice_is(got, more[i].wanted)),
		   "'%s': %.*s", more[i].host, (int)got.len, got.ptr ? got.ptr : "");
	}
}

static void check_punycode(struct tap *tap)
{
	static const struct { const char *label, *wanted; } labels[] = {
		{ "example", "example" }, { "b\xc3\xbc" "cher", "xn--bcher-kva" },
		{ "\xe4\xb8\xad\xe5\x9b\xbd", "xn--fiqs8s" },
		{ "\xd1\x80\xd1\x84", "xn--p1ai" },
		{ "\xe9\xa3\x9f\xe7\x8b\xae", "xn--85x722f" },
		{ "\xff", NULL }, { "\xe4\xb8", NULL },
	};

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		struct buf out = { .limit = 1000 };
		bool good = suffix_punycode(slice_from(labels[i].label), &out);

		OK(tap, good == (labels[i].wanted != NULL) &&
		   (!good || slice_is(buf_slice(&out), labels[i].wanted)), "punycode %s",
		   labels[i].wanted ? labels[i].wanted : "of bytes that are no UTF-8");
		buf_close(&out);
	}
}

int main(void)
{
	struct tap tap = { 0 };
	struct buf text = read_file(&tap, LIST);
	struct suffix_list *list = NULL, *none = NULL;
	struct err err = { "" };

	OK(&tap, suffix_open(&list, buf_slice(&text), LIST, &err) == 0, "the list opens %s",
	   err.text);
	buf_close(&text);
	if (list) {
		check_suite(&tap, list);
		check_more(&tap, list);
	}
	check_punycode(&tap);
	OK(&tap, suffix_open(&none, SLICE("// nothing\n"), "x.dat", &err) < 0 &&
	   strstr(err.text, "x.dat"), "an empty list: %s", err.text);
	suffix_close(list);
	return tap_end(&tap);
}
