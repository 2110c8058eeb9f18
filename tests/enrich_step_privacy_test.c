// SPDX-License-Identifier: Apache-2.0
/* Addresses, pseudonyms, fields taken away, signals, suppressed people; where a step is taken. */
#include <openssl/hmac.h>

#include "tests/enrich_case.h"

#define KEY_OLD "a-key-of-the-olden-days"
#define KEY_NEW "one-for-the-new-year-2027"

static const struct enrich_case plain[] = {
	{ .said = "IPv4", .type = "track", .ip = "203.0.113.99", .body = "{\"event\":\"e\"}",
	  .wants = { { ENRICHED_IP, "203.0.113.0" } } },
	{ .said = "IPv6", .type = "track", .ip = "2001:db8:1:2:3:4:5:6",
	  .body = "{\"event\":\"e\"}", .wants = { { ENRICHED_IP, "2001:db8:1::" } } },
	{ .said = "IPv4 in IPv6", .type = "track", .ip = "::ffff:203.0.113.99",
	  .body = "{\"event\":\"e\"}", .wants = { { ENRICHED_IP, "::ffff:203.0.113.0" } } },
	{ .said = "context.ip", .type = "track", .ip = "192.0.2.1",
	  .body = "{\"event\":\"e\",\"context\":{\"ip\":\"203.0.113.99\",\"a\":[1.50,\"\\u00e9\"],"
		  "\"consent\":{\"categoryPreferences\":{\"Advertising\":false,\"Analytics\":true}}"
		  "}}",
	  .wants = { { ENRICHED_IP, "203.0.113.0" },
		     { ENRICHED_CONTEXT, "{\"ip\":\"203.0.113.0\",\"a\":[1.50,\"\xc3\xa9\"],"
		       "\"consent\":{\"categoryPreferences\":{\"Advertising\":false,\"Analytics\":"
		       "true}}}" } } },
	{ .said = "a context.ip that is none goes", .type = "track", .ip = "192.0.2.1",
	  .body = "{\"event\":\"e\",\"context\":{\"ip\":\"me@home\",\"b\":1}}",
	  .wants = { { ENRICHED_IP, "192.0.2.0" }, { ENRICHED_CONTEXT, "{\"b\":1}" } } },
	{ .said = "paths", .type = "track",
	  .body = "{\"event\":\"e\",\"userId\":\"u1\",\"properties\":{\"card\":{\"number\":4,"
		  "\"kind\":\"x\"},\"items\":[{\"email\":\"a\",\"n\":1},{\"n\":2},{\"email\":\"b\""
		  "}],\"a.b\":1,\"keep\":\"a \\\"quote\\\"\"}}",
	  .wants = { { ENRICHED_USER_ID, "u1" },
		     { ENRICHED_PROPERTIES, "{\"card\":{\"kind\":\"x\"},\"items\":[{\"n\":1},"
		       "{\"n\":2},{}],\"keep\":\"a \\\"quote\\\"\"}" } } },
	{ .said = "a path to an object takes all of it, twins too", .type = "track",
	  .body = "{\"event\":\"e\",\"properties\":{\"secret\":1,\"x\":2,\"secret\":{\"y\":[]}}}",
	  .wants = { { ENRICHED_PROPERTIES, "{\"x\":2}" } } },
	{ .said = "nothing named: as it was sent", .type = "track",
	  .body = "{\"event\":\"e\",\"properties\":{ \"x\" : 2.0 }}",
	  .wants = { { ENRICHED_PROPERTIES, "{ \"x\" : 2.0 }" } } },
	{ .said = "traits, and those of context", .type = "identify",
	  .body = "{\"traits\":{\"ssn\":1,\"n\":2},\"context\":{\"traits\":{\"ssn\":3,\"m\":4}}}",
	  .wants = { { ENRICHED_TRAITS, "{\"n\":2}" },
		     { ENRICHED_CONTEXT, "{\"traits\":{\"m\":4}}" } } },
	{ .said = "identify's traits of context only", .type = "identify",
	  .body = "{\"context\":{\"traits\":{\"ssn\":3,\"m\":4}}}",
	  .wants = { { ENRICHED_TRAITS, "{\"m\":4}" },
		     { ENRICHED_CONTEXT, "{\"traits\":{\"m\":4}}" } } },
	{ .said = "leaves", .type = "page",
	  .body = "{\"properties\":{\"url\":\"https://a.example/p?token=1\"}}",
	  .wants = { { ENRICHED_PAGE_URL, NULL }, { ENRICHED_PAGE_SEARCH, NULL },
		     { ENRICHED_PAGE_PATH, "/p" },
		     { ENRICHED_PROPERTIES, "{}" } } },
	{ .said = "do not track", .type = "track", .ip = "192.0.2.1",
	  .body = "{\"event\":\"e\",\"userId\":\"u\",\"anonymousId\":\"a\",\"traits\":{\"x\":1},"
		  "\"context\":{\"doNotTrack\":\"1\",\"device\":{\"id\":7},\"locale\":\"en\","
		  "\"consent\":{\"a\":true}}}",
	  .wants = { { ENRICHED_USER_ID, NULL }, { ENRICHED_ANONYMOUS_ID, NULL },
		     { ENRICHED_IP, NULL }, { ENRICHED_TRAITS, NULL }, { ENRICHED_EVENT, "e" },
		     { ENRICHED_CONTEXT, "{\"locale\":\"en\",\"consent\":{\"a\":true}}" } } },
	{ .said = "do not track: no", .type = "track",
	  .body = "{\"event\":\"e\",\"userId\":\"u\",\"context\":{\"doNotTrack\":false,"
		  "\"dnt\":\"unspecified\"}}",
	  .wants = { { ENRICHED_USER_ID, "u" } } },
};

static const char settings[] =
	"enrich:\n"
	"  steps:\n"
	"    - ids\n"
	"    - time\n"
	"    - context\n"
	"    - page\n"
	"    - json\n"
	"    - privacy:\n"
	"        remove: [properties.card.number, properties.items.email, properties.a.b,\n"
	"                 properties.secret, traits.ssn, page.url, page.search, properties.url]\n"
	"        do_not_track: anonymise\n"
	"        gpc: drop\n";

static void check_plain(struct tap *tap)
{
	struct enrich_bench bench;
	char path[64];
	struct value fields[ENRICHED_COUNT];
	struct enrich_bad bad = { "", "", "" };
	static const struct enrich_case gpc = {
		.type = "track", .body = "{\"event\":\"e\",\"context\":{\"gpc\":true}}" };

	static const struct enrich_case header = {
		.said = "the header DNT", .type = "track", .opt_out = "dnt",
		.body = "{\"event\":\"e\",\"userId\":\"u\"}",
		.wants = { { ENRICHED_USER_ID, NULL } } };
	static const struct enrich_case headers = {
		.type = "track", .opt_out = "dnt gpc", .body = "{\"event\":\"e\"}" };

	case_file(path, settings);
	enrich_bench_with(&bench, tap, path);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		case_check(&bench, &plain[i]);
	OK(&bench.tap, case_run(&bench, &gpc, fields, &bad) == STEP_RESULT_DROP, "gpc: dropped");
	case_check(&bench, &header);
	OK(&bench.tap, case_run(&bench, &headers, fields, &bad) == STEP_RESULT_DROP,
	   "the header Sec-GPC: dropped");
	unlink(path);
	enrich_bench_close(&bench);
	*tap = bench.tap;
}

static void hmac(const char *key, const char *id, char hex[65])
{
	unsigned char digest[32];
	unsigned int len;

	HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)id, strlen(id), digest,
	     &len);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void check_hash(struct tap *tap)
{
	struct enrich_bench bench;
	char path[64], key[64], yaml[512], u_old[65], u_new[65], number[65], text[200];

	case_file(key, "# keys\n" KEY_OLD "\n2026-12-31T23:00:00Z  " KEY_NEW "\n");
	snprintf(yaml, sizeof(yaml), "enrich:\n  steps:\n    - ids\n    - time\n    - json\n"
		 "    - privacy: {key: %s, hash: [userId, traits.email, traits.n]}\n", key);
	case_file(path, yaml);
	enrich_bench_with(&bench, tap, path);
	hmac(KEY_OLD, "u@x.example", u_old);
	hmac(KEY_NEW, "u@x.example", u_new);
	hmac(KEY_OLD, "12.50", number);
	snprintf(text, sizeof(text), "{\"email\":\"%s\",\"n\":\"%s\",\"m\":1}", u_old, number);
	for (int i = 0; i < 4; i++) {
		const struct enrich_case c = {
			.said = i % 2 ? "the key of its time" : "the key of the time before",
			.type = "identify",
			.received_at = i % 2 ? "2026-12-31T23:00:00Z" : "2026-12-31T22:59:59Z",
			.body = "{\"userId\":\"u@x.example\",\"anonymousId\":\"a\",\"traits\":"
				"{\"email\":\"u@x.example\",\"n\":12.50,\"m\":1}}",
			.wants = { { ENRICHED_USER_ID, i % 2 ? u_new : u_old },
				   { ENRICHED_ANONYMOUS_ID, "a" },
				   { i % 2 ? 0 : ENRICHED_TRAITS, text } } };

		case_check(&bench, &c);
	}
	unlink(path);
	unlink(key);
	enrich_bench_close(&bench);
	*tap = bench.tap;
}

static void check_keys(struct tap *tap)
{
	static const struct { const char *text, *words; } bad[] = {
		{ "", "has no key" },
		{ "short\n", "a key has 16 to 256 bytes" },
		{ "hex:00112233445566778899aabbccddee\n", "a key has" },
		{ "hex:00112233445566778899aabbccddeexx\n", "a key has" },
		{ "yesterday " KEY_OLD "\n", "line 1: write KEY" },
		{ "2026-11-01T00:00:00Z " KEY_OLD "\n\n" KEY_NEW "\n", "line 3: keys are in" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct enrich_conf conf = { .dedup_window_ms = 1000 };
		char path[64], key[64], yaml[512];
		struct enrich *enrich = NULL;
		struct bus_conf out = { 0 };
		struct err err = { "" };
		int rc;

		case_file(key, bad[i].text);
		snprintf(yaml, sizeof(yaml), "enrich: {steps: [ids, time, "
			 "privacy: {key: %s, hash: [userId]}]}\n", key);
		case_file(path, yaml);
		conf.config = path;
		rc = enrich_open(&enrich, &conf, "-", &out, &err);
		OK(tap, rc < 0 && strstr(err.text, bad[i].words), "key file: %s: %s", bad[i].words,
		   err.text);
		unlink(path);
		unlink(key);
		enrich_close(enrich);
	}
}

static void check_suppress(struct tap *tap)
{
	static const struct { const char *body, *type; bool dropped; } cases[] = {
		{ "{\"event\":\"e\",\"userId\":\"u1\"}", "track", true },
		{ "{\"event\":\"e\",\"userId\":\"u2\"}", "track", true },
		{ "{\"event\":\"e\",\"userId\":17}", "track", true },
		{ "{\"event\":\"e\",\"anonymousId\":\"u1\"}", "track", true },
		{ "{\"userId\":\"z\",\"previousId\":\"u1\"}", "alias", true },
		{ "{\"userId\":\"z\",\"groupId\":\"u1\"}", "group", false },
		{ "{\"event\":\"e\",\"userId\":\"u\"}", "track", false },
		{ "{\"event\":\"e\",\"userId\":\"# no\"}", "track", false },
		{ "{\"event\":\"e\",\"userId\":\"\"}", "track", false },
		{ "{\"event\":\"pageview\",\"userId\":\"u1\"}", "track", false },
	};
	char path[64], list[64], yaml[512];
	struct enrich_bench bench;

	case_file(list, "u1\r\n # no\n\n   u2\t\n17");
	snprintf(yaml, sizeof(yaml), "enrich:\n  steps:\n    - ids\n    - time\n"
		 "    - suppress: {file: %s, unless: {event: page*}}\n", list);
	case_file(path, yaml);
	enrich_bench_with(&bench, tap, path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct enrich_case c = { .type = cases[i].type, .body = cases[i].body };
		struct value fields[ENRICHED_COUNT];
		struct enrich_bad bad = { "", "", "" };

		OK(&bench.tap, case_run(&bench, &c, fields, &bad) == (cases[i].dropped ? 1 : 0),
		   "%s: %s", cases[i].body, cases[i].dropped ? "dropped" : "kept");
	}
	unlink(path);
	unlink(list);
	enrich_bench_close(&bench);
	*tap = bench.tap;
}

/* `when` and `unless`, seen by whether the address is gone. */
static void check_conditions(struct tap *tap)
{
	static const struct { const char *condition; bool holds; } cases[] = {
		{ "when: {source: web}", true }, { "when: {source: [ios, web]}", true },
		{ "when: {source: ios}", false }, { "unless: {source: web}", false },
		{ "unless: {source: ios}", true }, { "when: {type: track, source: web}", true },
		{ "when: {type: page, source: web}", false }, { "when: {event: Order*}", true },
		{ "when: {event: Order Done}", true }, { "when: {event: Order}", false },
		{ "when: {property: plan}", true }, { "when: {property: none}", false },
		{ "when: {property: nul}", false }, { "when: {property: plan=pro}", true },
		{ "when: {property: plan=free}", false }, { "when: {property: n=1.50}", true },
		{ "when: {property: ok=true}", true }, { "when: {property: ok=false}", false },
		{ "when: {property: cart.total=3}", true }, { "when: {property: a.b=c}", true },
		{ "when: {property: [x, plan=pro]}", true },
		{ "when: {source: web}, unless: {event: Order*}", false },
	};
	static const struct enrich_case c = {
		.type = "track", .ip = "192.0.2.1",
		.body = "{\"event\":\"Order Done\",\"properties\":{\"plan\":\"pro\",\"n\":1.50,"
			"\"ok\":true,\"nul\":null,\"cart\":{\"total\":3},\"a.b\":\"c\"}}" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct enrich_bench bench;
		struct value fields[ENRICHED_COUNT];
		struct enrich_bad bad = { "", "", "" };
		char path[64], yaml[512];
		int rc;

		snprintf(yaml, sizeof(yaml), "enrich: {steps: [ids, time, context, "
			 "privacy: {ip: drop, %s}]}\n", cases[i].condition);
		case_file(path, yaml);
		enrich_bench_with(&bench, tap, path);
		rc = case_run(&bench, &c, fields, &bad);
		OK(&bench.tap, rc == 0 && fields[ENRICHED_IP].is_set != cases[i].holds, "%s: %s",
		   cases[i].condition, cases[i].holds ? "holds" : "does not hold");
		unlink(path);
		enrich_bench_close(&bench);
		*tap = bench.tap;
	}
}

int main(void)
{
	struct tap tap = { 0 };

	check_plain(&tap);
	check_hash(&tap);
	check_keys(&tap);
	check_suppress(&tap);
	check_conditions(&tap);
	return tap_end(&tap);
}
