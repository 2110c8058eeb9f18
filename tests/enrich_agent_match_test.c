// SPDX-License-Identifier: Apache-2.0
/*
 * All of uap-core's own cases (Debian's package uap-core); the same answers when every rule is
 * tried on every text; and what the worst texts cost, in runs of expressions and match limit.
 */
#include "enrich/agent_match.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/yaml.h"
#include "tests/tap.h"

#define UAP "/usr/share/uap-core/"

static struct buf read_file(struct tap *tap, const char *path)
{
	struct buf buf = { .limit = 64 << 20 };
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

static struct agent_match *open_rules(struct tap *tap, const struct agent_match_conf *conf)
{
	struct buf text = read_file(tap, UAP "regexes.yaml");
	struct agent_match *match = NULL;
	struct err err = { "" };
	int rc = agent_match_open(&match, buf_slice(&text), "regexes.yaml", conf, &err);

	OK(tap, rc == 0, "the rules load: %s", err.text);
	buf_close(&text);
	return match;
}

static bool is_text(struct slice got, const char *wanted)
{
	if (!wanted || !*wanted)
		return got.ptr == NULL;
	return got.ptr && slice_is(got, wanted);
}

/* Which parts a suite's members are of. */
struct suite {
	const char *file;
	struct { const char *key; int part; } parts[6];
};

#define BROWSER_PARTS { { "family", AGENT_BROWSER }, { "major", AGENT_MAJOR }, \
			{ "minor", AGENT_MINOR }, { "patch", AGENT_PATCH } }
#define OS_PARTS { { "family", AGENT_OS }, { "major", AGENT_OS_MAJOR }, \
		   { "minor", AGENT_OS_MINOR }, { "patch", AGENT_OS_PATCH }, \
		   { "patch_minor", AGENT_OS_PATCH_MINOR } }

static const struct suite suites[] = {
	{ "tests/test_ua.yaml", BROWSER_PARTS },
	{ "test_resources/firefox_user_agent_strings.yaml", BROWSER_PARTS },
	{ "test_resources/pgts_browser_list.yaml", BROWSER_PARTS },
	{ "test_resources/opera_mini_user_agent_strings.yaml", BROWSER_PARTS },
	{ "test_resources/podcasting_user_agent_strings.yaml", BROWSER_PARTS },
	{ "tests/test_os.yaml", OS_PARTS },
	{ "test_resources/additional_os_tests.yaml", OS_PARTS },
	{ "tests/test_device.yaml", { { "family", AGENT_DEVICE }, { "brand", AGENT_BRAND },
				      { "model", AGENT_MODEL } } },
};

static bool check_case(struct agent_match *match, const struct suite *suite,
		       const struct yaml *node, bool say)
{
	const char *text = yaml_get_text(node, "user_agent_string");
	struct slice parts[AGENT_PARTS];
	bool pass = text != NULL;

	if (!text)
		return false;
	agent_match(match, slice_from(text), parts);
	for (int i = 0; i < 6 && suite->parts[i].key; i++) {
		const char *wanted = yaml_get_text(node, suite->parts[i].key);
		struct slice got = parts[suite->parts[i].part];

		if (is_text(got, wanted))
			continue;
		pass = false;
		if (say)
			printf("# %s:%d %s\n#   %s: got '%.*s', wanted '%s'\n", suite->file,
			       node->line, text, suite->parts[i].key, (int)got.len,
			       got.ptr ? got.ptr : "", wanted ? wanted : "");
	}
	return pass;
}

/* Texts of all suites, for what follows. */
struct texts {
	struct slice *items;
	size_t count, cap;
};

static void keep(struct texts *texts, const char *text)
{
	if (texts->count == texts->cap) {
		texts->cap = texts->cap ? texts->cap * 2 : 4096;
		texts->items = reallocarray(texts->items, texts->cap, sizeof(*texts->items));
	}
	texts->items[texts->count++] = slice_from(strdup(text));
}

static void check_suite(struct tap *tap, struct agent_match *match, const struct suite *suite,
			struct texts *texts)
{
	char path[200];
	struct buf text;
	struct yaml_file *file = NULL;
	const struct yaml *root = NULL, *list;
	struct err err = { "" };
	int count = 0, passed = 0;

	snprintf(path, sizeof(path), UAP "%s", suite->file);
	text = read_file(tap, path);
	if (yaml_parse_list(&file, buf_slice(&text), path, &root, &err) < 0)
		printf("# %s\n", err.text);
	list = yaml_get(root, "test_cases");
	for (const struct yaml *node = list ? list->first : NULL; node; node = node->next) {
		const char *agent = yaml_get_text(node, "user_agent_string");

		passed += check_case(match, suite, node, count - passed < 5);
		count++;
		if (agent)
			keep(texts, agent);
	}
	OK(tap, count > 20 && passed == count, "%s: %d of %d cases", suite->file, passed, count);
	yaml_close(file);
	buf_close(&text);
}

static bool is_same(struct agent_match *a, struct agent_match *b, struct slice text)
{
	struct slice x[AGENT_PARTS], y[AGENT_PARTS];

	agent_match(a, text, x);
	agent_match(b, text, y);
	for (int i = 0; i < AGENT_PARTS; i++) {
		if (!x[i].ptr != !y[i].ptr || !slice_eq(x[i], y[i]))
			return false;
	}
	return true;
}

static uint64_t draw(uint64_t *random)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return *random >> 33;
}

/* A text cut, doubled, joined with another, or with bytes changed. */
static struct slice mutate(const struct texts *texts, uint64_t *random, char *out, size_t size)
{
	struct slice a = texts->items[draw(random) % texts->count];
	struct slice b = texts->items[draw(random) % texts->count];
	size_t n = a.len ? draw(random) % (a.len + 1) : 0, m = b.len ? draw(random) % b.len : 0;

	if (n > size / 2)
		n = size / 2;
	if (b.len - m > size / 2)
		m = b.len - size / 2;
	memcpy(out, a.ptr, n);
	memcpy(out + n, b.ptr + m, b.len - m);
	n += b.len - m;
	for (uint64_t i = draw(random) % 3; i && n; i--)
		out[draw(random) % n] = (char)draw(random);
	return (struct slice){ out, n };
}

static void check_literals(struct tap *tap, struct agent_match *match, const struct texts *texts)
{
	const struct agent_match_conf conf = { .use_no_literals = true };
	struct agent_match *all = open_rules(tap, &conf);
	uint64_t random = 1, runs, least;
	int differ = 0, count = 3000;
	char text[2048];

	runs = agent_match_work(match)->runs;
	for (int i = 0; i < count; i++) {
		struct slice agent = i % 3 ? mutate(texts, &random, text, sizeof(text))
					   : texts->items[draw(&random) % texts->count];

		if (!is_same(match, all, agent) && differ++ < 5)
			printf("# differs: %.*s\n", (int)agent.len, agent.ptr);
	}
	OK(tap, differ == 0, "%d texts (seed 1): the same as when every rule is tried", count);
	runs = agent_match_work(match)->runs - runs;
	least = agent_match_work(all)->runs;
	OK(tap, runs * 20 < least, "%.1f runs of expressions a text in place of %.1f",
	   (double)runs / count, (double)least / count);
	agent_match_close(all);
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Texts of AGENT_LEN_MAX made to cost: cases one behind the other, and tokens repeated. */
static struct slice adversary(const struct texts *texts, uint64_t *random, int kind, char *out)
{
	static const char *const tokens[] = {
		"Android ", "; Build/", "Mozilla/5.0 (Linux; Android 9; ", "Bot/1.0 ", "a;", " ",
		"iPhone", "1.", "Opera Mini ", "Chrome/1 Mobile ", "Windows CE ", "((((", "-",
		"SAMSUNG-", "Android;;", "Nokia ", "LG-", "HTC_", "1234567890", "Version/1 Safari/",
	};
	size_t n = 0, count = sizeof(tokens) / sizeof(tokens[0]);
	const char *token = tokens[draw(random) % count], *other = tokens[draw(random) % count];

	while (n < AGENT_LEN_MAX) {
		struct slice part = slice_from(kind == 1 || draw(random) % 2 ? token : other);

		if (kind == 0)
			part = texts->items[draw(random) % texts->count];
		if (part.len > AGENT_LEN_MAX - n)
			part.len = AGENT_LEN_MAX - n;
		memcpy(out + n, part.ptr, part.len);
		n += part.len;
	}
	return (struct slice){ out, n };
}

static void check_worst(struct tap *tap, const struct texts *texts)
{
	struct agent_match *match = open_rules(tap, NULL);
	const struct pattern_work *work = agent_match_work(match);
	uint64_t random = 7, most = 0;
	double worst = 0;
	struct slice parts[AGENT_PARTS];
	char text[AGENT_LEN_MAX];

	for (int i = 0; i < 3000; i++) {
		struct slice agent = adversary(texts, &random, i % 3, text);
		uint64_t runs = work->runs;
		double start = cpu_us(), took;

		agent_match(match, agent, parts);
		took = cpu_us() - start;
		worst = took > worst ? took : worst;
		most = work->runs - runs > most ? work->runs - runs : most;
	}
	printf("# worst of 3,000 texts of %d bytes (seed 7): %.0f us of CPU\n", AGENT_LEN_MAX,
	       worst);
	OK(tap, work->limited == 0, "none passes the match limit");
	OK(tap, most < 200, "at most %llu of 1,162 rules run", (unsigned long long)most);
	agent_match_close(match);
}

static void check_bad(struct tap *tap)
{
	static const struct { const char *text, *said; } bad[] = {
		{ "", "no list user_agent_parsers" },
		{ "user_agent_parsers: x\n", "no list user_agent_parsers" },
		{ "- x\n", "no list user_agent_parsers" },
		{ "user_agent_parsers:\n- regex: 'a'\n", "no list os_parsers" },
		{ "user_agent_parsers:\n- rex: 'a'\n", ":2: a rule without regex" },
		{ "user_agent_parsers:\n- regex: 'a('\n", ":2: no regular expression, at byte 2" },
		{ "user_agent_parsers:\n- regex: 'a'\n  regex_flag: x\n", "only i is known" },
		{ "user_agent_parsers: [&a b]\n", "anchors" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct agent_match *match = NULL;
		struct err err = { "" };
		int rc = agent_match_open(&match, slice_from(bad[i].text), "r.yaml", NULL, &err);

		OK(tap, rc < 0 && strstr(err.text, bad[i].said) && strstr(err.text, "r.yaml"),
		   "no rules: %s", err.text);
	}
}

int main(void)
{
	struct tap tap = { 0 };
	const struct agent_match_conf conf = { .match_limit = PATTERN_MATCH_LIMIT / 5 };
	struct agent_match *match = open_rules(&tap, &conf);
	struct texts texts = { NULL, 0, 0 };

	for (size_t i = 0; match && i < sizeof(suites) / sizeof(suites[0]); i++)
		check_suite(&tap, match, &suites[i], &texts);
	printf("# %zu cases\n", texts.count);
	OK(&tap, texts.count >= 31105, "all 31,105 cases of Debian 12's package, or more");
	if (texts.count) {
		OK(&tap, agent_match_work(match)->limited == 0,
		   "none needs a fifth of the match limit");
		check_literals(&tap, match, &texts);
		check_worst(&tap, &texts);
	}
	check_bad(&tap);
	agent_match_close(match);
	for (size_t i = 0; i < texts.count; i++)
		free((char *)(uintptr_t)texts.items[i].ptr);
	free(texts.items);
	return tap_end(&tap);
}
