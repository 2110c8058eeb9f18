// SPDX-License-Identifier: Apache-2.0
/* Steps from settings: order, conditions, refusals with words, data files that are replaced. */
#include "enrich/chain.h"

#include "tests/enrich_case.h"

static const struct { const char *yaml, *words; } refused[] = {
	{ "steps: ids", "steps must be a list" },
	{ "steps: [time, json]", "ids must be among them" },
	{ "steps: [ids, json]", "time must be among them" },
	{ "steps: [ids, time, geo2]", ":1: geo2: there is no step 'geo2' (ids, time" },
	{ "steps: [ids, time, referrer, page]", "page must come before referrer" },
	{ "steps:\n  - ids\n  - time\n  - privacy\n  - json", "json must come before privacy" },
	{ "steps: [ids: {x: 1}, time]", "ids has no setting 'x'" },
	{ "steps: [ids: 3, time]", "ids has no settings" },
	{ "steps: [ids, time, {json: {}, page: {}}]", "a step is written" },
	{ "steps: [ids: {when: {source: web}}, time]", "without a condition" },
	{ "steps: [{page: {when: {event: x}}}, ids, time]", "ids must come before it" },
	{ "steps: [ids, time, page: {when: {colour: red}}]", "when has no setting 'colour'" },
	{ "steps: [ids, time, page: {when: {type: click}}]", "there is no type 'click'" },
	{ "steps: [ids, time, page: {when: x}]", "when is a map of" },
	{ "steps: [ids, time, suppress]", "suppress: needs file:" },
	{ "steps: [ids, time, suppress: /nonexistent/x]", "/nonexistent/x: No such file" },
	{ "steps: [ids, time, suppress: {file: /dev/null}]", "/dev/null is not a plain file" },
	{ "steps: [ids, time, privacy: {ip: hide}]", "'hide' is not keep, truncate or drop" },
	{ "steps: [ids, time, privacy: {remove: [type]}]", "'type' is no field that can be" },
	{ "steps: [ids, time, privacy: {remove: [userid]}]", "'userid' is no field" },
	{ "steps: [ids, time, privacy: {hash: [geo.lat], key: x}]", "is no text" },
	{ "steps: [ids, time, privacy: {hash: [user_id]}]", "hash needs key:" },
};

static int chain_from(struct chain **chain, const char *text, char path[64], struct err *err)
{
	struct enrich_conf conf = { .config = path };
	char yaml[1024] = "enrich: {";

	if (strchr(text, '\n')) {
		size_t n = 0;

		snprintf(yaml, sizeof(yaml), "enrich:\n  ");
		for (n = strlen(yaml); *text && n < sizeof(yaml) - 4; text++) {
			yaml[n++] = *text;
			if (*text == '\n') {
				yaml[n++] = ' ';
				yaml[n++] = ' ';
			}
		}
		yaml[n] = '\0';
	} else {
		snprintf(yaml, sizeof(yaml), "enrich: {%s}", text);
	}
	case_file(path, yaml);
	return chain_open(chain, &conf, err);
}

static void check_refused(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct chain *chain = NULL;
		struct err err = { "" };
		char path[64];
		int rc = chain_from(&chain, refused[i].yaml, path, &err);

		OK(tap, rc < 0 && strstr(err.text, refused[i].words), "refused: %s: %s",
		   refused[i].words, err.text);
		chain_close(chain);
		unlink(path);
	}
}

static void check_names(struct tap *tap)
{
	static const struct { const char *yaml, *names; } good[] = {
		{ "steps: [ids, time]", "ids time" },
		{ "steps: [time, ids, json, page, page]", "time ids json page page" },
		{ "metrics: x", "ids time context page" },
		{ "steps:\n  - ids\n  - time:\n  - page:\n      when:\n        source: web",
		  "ids time page" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf names = { .limit = 1000 };
		struct chain *chain = NULL;
		struct err err = { "" };
		char path[64];
		int rc = chain_from(&chain, good[i].yaml, path, &err);

		if (rc == 0)
			chain_names(chain, &names);
		OK(tap, rc == 0 && slice_starts(buf_slice(&names), slice_from(good[i].names)),
		   "%s -> %.*s %s", good[i].yaml, (int)names.len, names.ptr ? names.ptr : "",
		   err.text);
		chain_close(chain);
		buf_close(&names);
		unlink(path);
	}
}

static void hash_of(const char *yaml, struct buf *text)
{
	struct chain *chain = NULL;
	struct err err = { "" };
	char path[64];

	if (chain_from(&chain, yaml, path, &err) == 0)
		chain_hash(chain, text);
	else
		buf_printf(text, "%s", err.text);
	chain_close(chain);
	unlink(path);
}

static void check_hash(struct tap *tap)
{
	static const struct { const char *a, *b, *said; bool same; } pairs[] = {
		{ "steps: [ids, time, page]", "steps: [ids,   time, page: {}]", "spelling", true },
		{ "steps: [ids, time, page]", "steps: [time, ids, page]", "order", false },
		{ "steps: [ids, time, page]", "steps: [ids, time, page, page]", "twice", false },
		{ "steps: [ids, time, page]", "steps: [ids, time, page: {when: {source: a}}]",
		  "a condition", false },
		{ "steps: [ids, time, page: {unless: {source: a}}]",
		  "steps: [ids, time, page: {when: {source: a}}]", "its side", false },
		{ "steps: [ids, time, privacy: {ip: drop}]", "steps: [ids, time, privacy]",
		  "a setting", false },
		{ "steps: [ids, time, privacy: {ip: truncate}]", "steps: [ids, time, privacy]",
		  "a default written out", true },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct buf a = { .limit = 10000 }, b = { .limit = 10000 };

		hash_of(pairs[i].a, &a);
		hash_of(pairs[i].b, &b);
		OK(tap, slice_eq(buf_slice(&a), buf_slice(&b)) == pairs[i].same, "hash: %s: %s",
		   pairs[i].said, pairs[i].same ? "the same" : "another");
		buf_close(&a);
		buf_close(&b);
	}
}

/* A data file by another path is the same; other content is not; replaced, the chain is stale. */
static void check_files(struct tap *tap)
{
	struct buf a = { .limit = 10000 }, b = { .limit = 10000 }, c = { .limit = 10000 };
	struct chain *chain = NULL;
	struct err err = { "" };
	char one[64], two[64], three[64], config[64], yaml[256];
	const char *path;
	int rc;

	case_file(one, "u1\n");
	case_file(two, "u1\n");
	case_file(three, "u2\n");
	snprintf(yaml, sizeof(yaml), "steps: [ids, time, suppress: %s]", one);
	hash_of(yaml, &a);
	snprintf(yaml, sizeof(yaml), "steps: [ids, time, suppress: %s]", two);
	hash_of(yaml, &b);
	snprintf(yaml, sizeof(yaml), "steps: [ids, time, suppress: %s]", three);
	hash_of(yaml, &c);
	OK(tap, slice_eq(buf_slice(&a), buf_slice(&b)), "a file's path is not hashed");
	OK(tap, !slice_eq(buf_slice(&a), buf_slice(&c)), "its content is");
	rc = chain_from(&chain, yaml, config, &err);
	OK(tap, rc == 0 && !chain_is_stale(chain, &path), "fresh %s", err.text);
	if (rename(two, three) < 0)
		printf("# rename fails\n");
	OK(tap, !chain_is_stale(chain, &path), "replaced: not yet, it may still be written");
	OK(tap, chain_is_stale(chain, &path) && strcmp(path, three) == 0, "settled: stale");
	chain_refuse(chain);
	OK(tap, !chain_is_stale(chain, &path), "refused: no more");
	case_file(two, "u3\n");
	if (rename(two, three) < 0)
		printf("# rename fails\n");
	OK(tap, !chain_is_stale(chain, &path), "replaced once more: not yet");
	OK(tap, chain_is_stale(chain, &path), "and then again");
	unlink(three);
	OK(tap, !chain_is_stale(chain, &path) && !chain_is_stale(chain, &path),
	   "a file that is away is waited for");
	chain_close(chain);
	unlink(one);
	unlink(config);
	buf_close(&a);
	buf_close(&b);
	buf_close(&c);
}

int main(void)
{
	struct tap tap = { 0 };

	check_refused(&tap);
	check_names(&tap);
	check_hash(&tap);
	check_files(&tap);
	return tap_end(&tap);
}
