// SPDX-License-Identifier: Apache-2.0
#include "sink/jq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/when.h"
#include "tests/tap.h"

#ifdef __has_feature
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static const char event[] = "{\"event\":\"Order Completed\",\"n\":5,\"big\":12345678901234567890}";

static const struct {
	const char *where, *map;
	int rc;                         /* 1, 0, -EBADMSG; -EINVAL: does not even compile */
	const char *wanted;             /* the result, or words within the error; NULL: any */
	int64_t ms_max;                 /* 0: not looked at */
} table[] = {
	{ ".n > 4", NULL, 1, NULL, 0 },
	{ ".n > 5", NULL, 0, NULL, 0 },
	{ ".n > 4", ".n", 1, "5", 0 },
	{ NULL, "empty", 0, NULL, 0 },
	{ NULL, ".n, .event", 1, "5", 0 },
	{ NULL, ".n + \"x\"", -EBADMSG, "cannot be added", 0 },
	{ NULL, "error(\"no\")", -EBADMSG, "no", 0 },
	{ NULL, "error(null)", 0, NULL, 0 },
	{ ".n.m.o", NULL, -EBADMSG, "Cannot index", 0 },
	{ NULL, ".n |", -EINVAL, NULL, 0 },
	{ "nosuch", NULL, -EINVAL, NULL, 0 },
	/* time */
	{ NULL, "def f: f; f", -EBADMSG, NULL, 4 * JQ_TIME_MS },
	{ "last(range(1e12)) > 0", NULL, -EBADMSG, NULL, 4 * JQ_TIME_MS },
	/* time or memory, whichever ends first */
	{ NULL, "[range(1e12)]", -EBADMSG, NULL, 6 * JQ_TIME_MS },
	{ NULL, "reduce range(60) as $i (\"x\"; . + .)", -EBADMSG, NULL, 6 * JQ_TIME_MS },
	/* the result's size: 2^24 bytes, and quotes */
	{ NULL, "reduce range(24) as $i (\"x\"; . + .)", -EBADMSG, NULL, 6 * JQ_TIME_MS },
	{ NULL, "reduce range(20) as $i (\"x\"; . + .) | length", 1, "1048576", 0 },
	/* what lies outside */
	{ NULL, "env | length", 1, "0", 0 },
	{ NULL, "$ENV.PATH", 1, "null", 0 },
	{ NULL, "import \"a\" as a; .", -EINVAL, NULL, 0 },
	{ NULL, "input", -EBADMSG, NULL, 0 },
};

static void check(struct tap *tap, size_t i)
{
	int64_t start = when_monotonic_ms(), ms;
	struct slice result = { "", 0 };
	struct err err = { "" };
	struct jq *jq = NULL;
	int rc = jq_open(&jq, table[i].where, table[i].map, &err);
	const char *program = table[i].map ? table[i].map : table[i].where;

	if (table[i].rc == -EINVAL) {
		OK(tap, rc == -EBADMSG && err.text[0], "%s: %s", program, err.text);
		jq_close(jq);
		return;
	}
	if (!OK(tap, rc == 0, "%s compiles: %s", program, err.text)) {
		jq_close(jq);
		return;
	}
	rc = jq_run(jq, slice_from(event), &result, &err);
	ms = when_monotonic_ms() - start;
	OK(tap, rc == table[i].rc, "%s: %d %s", program, rc, err.text);
	if (table[i].wanted && rc == 1)
		OK(tap, slice_is(result, table[i].wanted), "%.*s", (int)result.len, result.ptr);
	if (table[i].wanted && rc < 0)
		OK(tap, strstr(err.text, table[i].wanted), "says %s: %s", table[i].wanted,
		   err.text);
	if (rc == -EBADMSG)
		OK(tap, err.text[0], "with words");
	if (table[i].ms_max)
		OK(tap, ms <= table[i].ms_max, "within %lld ms: %lld",
		   (long long)table[i].ms_max, (long long)ms);
	/* Whatever that one did, the next is served. */
	rc = jq_run(jq, SLICE("{\"n\":9,\"event\":\"x\"}"), &result, &err);
	OK(tap, rc == 1 || rc == 0 || rc == -EBADMSG, "and the next is answered");
	jq_close(jq);
}

int main(void)
{
	struct rusage usage;
	struct tap tap = { 0 };

	setenv("SECRET", "s", 1);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check(&tap, i);
	getrusage(RUSAGE_CHILDREN, &usage);
	/* With a sanitizer there is no bound: its own memory is in the way. */
	OK(&tap, IS_SANITIZED || usage.ru_maxrss <= (long)(JQ_MEMORY >> 10) + 65536,
	   "no child had over 320 MB: %ld kB", usage.ru_maxrss);
	return tap_end(&tap);
}
