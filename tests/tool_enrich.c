// SPDX-License-Identifier: Apache-2.0
/*
 * tool_enrich - input for enrich, and its output as lines
 *
 *      tool_enrich write URL PARTITIONS COUNT DUPLICATE_EVERY BAD_EVERY [FIRST [FILE]]
 *      tool_enrich dump enriched|bad|collected URL      one line a record, to the topic's end
 *      tool_enrich scan enriched|bad|collected URL      reads and decodes, prints records and bytes
 *      tool_enrich time COMMAND..       runs it; then: seconds, CPU seconds, peak KiB
 *
 * Record i is the same whatever was written before: a page view or track call as analytics-next
 * sends it (about 900 bytes), received i milliseconds after a fixed instant, in partition
 * i % PARTITIONS. Every DUPLICATE_EVERYth repeats the message id of an earlier one of its
 * partition, every BAD_EVERYth has a body that is no JSON (0: none). All come from one browser.
 * With FILE in .yaml, tests of uap-core, they come from 50,000 people with their browsers and
 * addresses; with FILE in .tsv they are the bodies in it with other ids and times: events of real
 * SDKs (bench/recorded.tsv: type, user agent, body).
 * A line of enriched: partition, offset, type, src.partition, src.offset, message_id, a hash of
 * all leaves but src, and one of the whole datum.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/bus.h"
#include "lib/record.h"
#include "lib/when.h"

#define BASE_US INT64_C(1795000000000000)
#define FILE_BYTES ((size_t)16 << 20)
#define LINES_MAX 5000
#define AGENT "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " \
	      "Chrome/156.0.8078.79 Safari/537.36"

struct writer {
	struct schema *schema;
	struct bus *bus;
	struct buf body, datum;
	int partitions;
	int64_t duplicate_every, bad_every;
	struct slice *agents;           /* one each: user agents of many people; none: AGENT */
	size_t agent_count;
	struct recorded *recorded;      /* events of real SDKs; none: made up */
	size_t recorded_count;
};

/* A line of bench/recorded.tsv. */
struct recorded {
	struct slice type, agent, body;
};

/* Who sent an event: their browser, address and where they come from. */
struct sender {
	uint64_t id;
	struct slice agent;
	char ip[32];
	const char *referrer;
};

static uint64_t mix(uint64_t n)
{
	return XXH3_64bits(&n, sizeof(n));
}

/* People as a site has them: few browsers are most of the traffic (Zipf's law), each has an address
 * of its own, and they come from search engines, other sites, and a chat bot. */
static void sender_pick(struct sender *sender, const struct writer *w, uint64_t r)
{
	static const char *const referrers[] = {
		"https://www.google.com/", "https://www.bing.com/search?q=red+shoes", "",
		"https://www.shop.example/", "https://t.co/Ab3", "https://chatgpt.com/",
		"https://blog.example.co.uk/best-shoes", "https://l.facebook.com/",
	};
	uint64_t id = mix(r % (w->agent_count ? 50000 : 5000));
	double u = (double)(id >> 11) / 9007199254740992.0;

	*sender = (struct sender){ id, SLICE(AGENT), "192.0.2.17",
				   r % 3 ? "https://www.google.example/" : "" };
	if (w->agent_count == 0)
		return;
	sender->agent = w->agents[(size_t)(pow((double)w->agent_count, u) - 1) % w->agent_count];
	sender->referrer = referrers[r % 8];
	snprintf(sender->ip, sizeof(sender->ip), "%u.%u.%u.%u", (unsigned)(id % 220 + 2),
		 (unsigned)(id >> 8 & 255), (unsigned)(id >> 16 & 255), (unsigned)(id >> 24 & 255));
}

static void page_text(struct buf *out, uint64_t r, const struct sender *sender)
{
	static const char *const paths[] = { "", "cart", "search", "product/42", "help/returns",
					     "account/orders", "checkout/payment" };
	const char *path = paths[r % 7];

	buf_printf(out, "\"path\":\"/%s\",\"referrer\":\"%s\",\"search\":\"%s\",\"title\":"
		   "\"Shop \xe2\x80\x93 page %u\",\"url\":\"https://www.shop.example/%s%s\"",
		   path, sender->referrer,
		   r % 5 ? "" : "?utm_source=news&utm_medium=email&utm_campaign=spring+2026",
		   (unsigned)(r % 1000), path,
		   r % 5 ? "" : "?utm_source=news&utm_medium=email&utm_campaign=spring+2026");
}

static void body_text(struct buf *out, int64_t i, const char *message_id, bool is_page,
		      const struct sender *sender)
{
	uint64_t r = mix((uint64_t)i), user = sender->id;
	char at[WHEN_TEXT_MAX], sent[WHEN_TEXT_MAX];

	when_print(BASE_US + i * 1000 - 60000, 3, at);
	when_print(BASE_US + i * 1000 - 40000, 3, sent);
	buf_printf(out, "{\"timestamp\":\"%s\",\"integrations\":{\"Segment.io\":true},", at);
	if (is_page) {
		buf_printf(out, "\"type\":\"page\",\"properties\":{");
		page_text(out, r, sender);
		buf_printf(out, "},");
	} else {
		buf_printf(out, "\"type\":\"track\",\"event\":\"Product %s\",\"properties\":{"
			   "\"product_id\":\"p%u\",\"price\":%u.%02u,\"quantity\":%u,\"currency\":"
			   "\"EUR\",\"tags\":[\"a\",\"b\"]},", r % 4 ? "Viewed" : "Added",
			   (unsigned)(r % 977), (unsigned)(r % 500), (unsigned)(r % 100),
			   (unsigned)(r % 9 + 1));
	}
	buf_printf(out, "\"context\":{\"page\":{");
	page_text(out, r, sender);
	buf_printf(out, "},\"userAgent\":\"%.*s\",", (int)sender->agent.len, sender->agent.ptr);
	if (memmem(sender->agent.ptr, sender->agent.len, "Chrome/", 7))
		buf_printf(out, "\"userAgentData\":{\"brands\":[{\"brand\":\"Chromium\",\""
			   "version\":\"156\"}],\"mobile\":false,\"platform\":\"Linux\"},");
	buf_printf(out, "\"locale\":\"en-US\",\"library\":{\"name\":\"analytics.js\",\"version\":"
		   "\"next-1.84.3\"},\"campaign\":{},\"timezone\":\"Europe/Stockholm\"},");
	buf_printf(out, "\"messageId\":\"%s\",\"anonymousId\":\"%08x-8195-41d4-aff5-%012llx\","
		   "\"writeKey\":\"WK\",\"userId\":", message_id, (unsigned)user,
		   (unsigned long long)(user >> 16));
	if (r % 3)
		buf_printf(out, "null");
	else
		buf_printf(out, "\"u%u\"", (unsigned)(user % 5000));
	buf_printf(out, ",\"sentAt\":\"%s\",\"_metadata\":{\"bundled\":[\"Segment.io\"],"
		   "\"unbundled\":[],\"bundledIds\":[]}}", sent);
}

/* @@M message id, @@A anonymous id, @@U user id, @@T a time, @@N a number */
static void recorded_text(struct buf *out, int64_t i, const char *message_id, struct slice body)
{
	uint64_t r = mix((uint64_t)i), user = mix(r % 50000);
	char at[WHEN_TEXT_MAX];
	const char *mark;

	when_print(BASE_US + i * 1000 - 60000, 3, at);
	while ((mark = memmem(body.ptr, body.len, "@@", 2))) {
		buf_append(out, body.ptr, (size_t)(mark - body.ptr));
		if (mark[2] == 'M')
			buf_printf(out, "%s", message_id);
		else if (mark[2] == 'A')
			buf_printf(out, "%08x-8195-41d4-aff5-%012llx", (unsigned)user,
				   (unsigned long long)(user >> 16));
		else if (mark[2] == 'U')
			buf_printf(out, "u%u", (unsigned)(user % 50000));
		else if (mark[2] == 'T')
			buf_printf(out, "%s", at);
		else
			buf_printf(out, "%u.%02u", (unsigned)(r % 500), (unsigned)(r % 100));
		body = slice_skip(body, (size_t)(mark - body.ptr) + 3);
	}
	buf_append_slice(out, body);
}

static int write_one(struct writer *w, int64_t i)
{
	int64_t of = i;
	bool is_page = mix((uint64_t)i) % 3 == 0;
	struct slice type = is_page ? SLICE("page") : SLICE("track");
	struct sender sender;
	char message_id[80];
	int rc;

	if (w->duplicate_every && i % w->duplicate_every == w->duplicate_every - 1)
		of = i - (int64_t)(mix((uint64_t)i) % 50 + 1) * w->partitions;
	if (of < 0)
		of = i;
	snprintf(message_id, sizeof(message_id), "ajs-next-%013lld-%016llx%08x",
		 (long long)(BASE_US / 1000 + of), (unsigned long long)mix((uint64_t)of + 1),
		 (unsigned)mix((uint64_t)of + 2));
	sender_pick(&sender, w, mix((uint64_t)i));
	buf_reset(&w->body);
	buf_reset(&w->datum);
	if (w->bad_every && i % w->bad_every == w->bad_every - 1)
		buf_printf(&w->body, "{\"event\":\"half a body %lld", (long long)i);
	else if (w->recorded_count == 0)
		body_text(&w->body, i, message_id, is_page, &sender);
	if (w->recorded_count) {
		const struct recorded *r = &w->recorded[mix((uint64_t)i) % w->recorded_count];

		type = r->type;
		sender.agent = r->agent;
		recorded_text(&w->body, i, message_id, r->body);
	}
	struct value fields[COLLECTED_COUNT] = {
		[COLLECTED_MESSAGE_ID] = value_text(slice_from(message_id)),
		[COLLECTED_TYPE] = value_text(type),
		[COLLECTED_SOURCE] = value_text(SLICE("web")),
		[COLLECTED_RECEIVED_AT] = value_num(BASE_US + i * 1000),
		[COLLECTED_SENT_AT] = value_num(BASE_US + i * 1000 - 40000),
		[COLLECTED_IP] = value_text(slice_from(sender.ip)),
		[COLLECTED_USER_AGENT] = value_text(sender.agent),
		[COLLECTED_DOOR] = value_text(SLICE("segment")),
		[COLLECTED_BODY] = value_text(buf_slice(&w->body)),
	};
	rc = datum_encode(w->schema, fields, &w->datum);
	while (rc == 0 && (rc = bus_write(w->bus, (int32_t)(i % w->partitions), SLICE("k"),
					  buf_slice(&w->datum), NULL)) == -EAGAIN)
		rc = bus_wait(w->bus, 100);
	return rc < 0 ? rc : i % 500 == 499 ? bus_release(w->bus) : 0;
}

static char *read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = calloc(1, FILE_BYTES);

	if (!in || !text || fread(text, 1, FILE_BYTES - 1, in) == 0) {
		fprintf(stderr, "tool_enrich: %s: cannot be read\n", path);
		exit(66);
	}
	fclose(in);
	return text;
}

/* The user agents of uap-core's tests: lines user_agent_string: '..' */
static void read_agents(struct writer *w, const char *at)
{
	w->agents = calloc(LINES_MAX, sizeof(*w->agents));
	while (w->agents && w->agent_count < LINES_MAX &&
	       (at = strstr(at, "user_agent_string: '"))) {
		struct slice agent = { at + 20, strcspn(at + 20, "\n") };

		at = agent.ptr + agent.len;
		if (agent.len > 10 && at[-1] == '\'' &&
		    strcspn(agent.ptr, "\"\\\t'") == --agent.len)
			w->agents[w->agent_count++] = agent;
	}
}

static struct slice next_field(const char **at, const char *end)
{
	struct slice field = { *at, strcspn(*at, end) };

	*at += field.len + ((*at)[field.len] != '\0');
	return field;
}

static void read_recorded(struct writer *w, const char *at)
{
	w->recorded = calloc(LINES_MAX, sizeof(*w->recorded));
	while (w->recorded && *at && w->recorded_count < LINES_MAX) {
		struct recorded *r = &w->recorded[w->recorded_count++];

		r->type = next_field(&at, "\t");
		r->agent = next_field(&at, "\t");
		r->body = next_field(&at, "\n");
	}
}

static int write_main(char **argv, int argc)
{
	struct writer w = { .partitions = (int)strtol(argv[1], NULL, 10),
			    .duplicate_every = strtoll(argv[3], NULL, 10),
			    .bad_every = strtoll(argv[4], NULL, 10) };
	int64_t first = argc > 5 ? strtoll(argv[5], NULL, 10) : 0;
	char *file = argc > 6 ? read_file(argv[6]) : NULL;
	int64_t end = first + strtoll(argv[2], NULL, 10);
	struct bus_conf conf = { .partitions = w.partitions };
	struct err err = { "" };
	int rc;

	if (file && strstr(argv[6], ".tsv"))
		read_recorded(&w, file);
	else if (file)
		read_agents(&w, file);
	conf.schema = w.schema = record_schema("collected");
	rc = bus_open(&w.bus, argv[0], BUS_WRITE, &conf, &err);
	for (int64_t i = first; rc == 0 && i < end; i++)
		rc = write_one(&w, i);
	if (rc == 0)
		rc = bus_flush(w.bus, 60000);
	if (rc < 0)
		fprintf(stderr, "tool_enrich: %s: %s %s\n", argv[0], strerror(-rc), err.text);
	bus_close(w.bus);
	schema_close(w.schema);
	free(w.recorded);
	free(w.agents);
	free(file);
	buf_close(&w.body);
	buf_close(&w.datum);
	return rc < 0;
}

static void show(struct slice text)
{
	printf(" %.*s", text.len ? (int)text.len : 1, text.len ? text.ptr : "-");
}

static uint64_t hash_but_src(const struct schema *schema, const struct value *fields)
{
	uint64_t hash = 0;

	for (int i = 0; i < ENRICHED_COUNT; i++) {
		const struct value *v = &fields[i];
		enum schema_kind kind = schema_field_at(schema, i)->kind;

		if (i == ENRICHED_SRC_PARTITION || i == ENRICHED_SRC_OFFSET)
			continue;
		hash = XXH3_64bits_withSeed(&v->is_set, 1, hash);
		if (v->is_set && (kind == SCHEMA_STRING || kind == SCHEMA_BYTES))
			hash = XXH3_64bits_withSeed(v->text.ptr, v->text.len, hash);
		else if (v->is_set)
			hash = XXH3_64bits_withSeed(&v->num, sizeof(v->num), hash);
	}
	return hash;
}

static void dump_one(const struct schema *schema, const char *topic,
		     const struct bus_record *record)
{
	const struct value *f = record->fields;

	printf("%d %lld", record->partition, (long long)record->offset);
	if (!f) {
		printf(" undecodable %lld\n", (long long)record->count);
	} else if (strcmp(topic, "enriched") == 0) {
		show(f[ENRICHED_TYPE].text);
		printf(" %lld %lld", (long long)f[ENRICHED_SRC_PARTITION].num,
		       (long long)f[ENRICHED_SRC_OFFSET].num);
		show(value_slice(&f[ENRICHED_MESSAGE_ID]));
		printf(" %016llx %016llx\n", (unsigned long long)hash_but_src(schema, f),
		       (unsigned long long)XXH3_64bits(record->raw.ptr, record->raw.len));
	} else if (strcmp(topic, "bad") == 0) {
		show(f[BAD_STAGE].text);
		show(f[BAD_REASON].text);
		printf(" %lld %lld %lld\n", (long long)f[BAD_SRC_PARTITION].num,
		       (long long)f[BAD_SRC_OFFSET].num, (long long)f[BAD_SRC_COUNT].num);
	} else {
		show(f[COLLECTED_MESSAGE_ID].text);
		printf("\n");
	}
}

static int dump_main(char **argv, bool scan)
{
	int64_t count = 0, bytes = 0;
	struct bus_conf conf = { .until_end = true };
	struct schema *schema = record_schema(argv[0]);
	struct err err = { "" };
	struct bus_record record;
	struct bus *bus = NULL;
	int rc;

	conf.schema = schema;
	rc = bus_open(&bus, argv[1], BUS_READ, &conf, &err);
	while (rc >= 0 && (rc = bus_next(bus, &record, 1000)) >= 0) {
		count += rc;
		bytes += rc ? (int64_t)record.raw.len : 0;
		if (rc == 1 && !scan)
			dump_one(schema, argv[0], &record);
	}
	if (rc != -ENODATA)
		fprintf(stderr, "tool_enrich: %s: %s %s\n", argv[1], strerror(-rc), err.text);
	if (scan)
		printf("%lld %lld\n", (long long)count, (long long)bytes);
	bus_close(bus);
	schema_close(schema);
	return rc != -ENODATA;
}

static int time_main(char **argv)
{
	int64_t start = when_monotonic_ms();
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
		return 1;
	printf("%.3f %.3f %ld\n", (double)(when_monotonic_ms() - start) / 1e3,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6, usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	if (argc >= 7 && strcmp(argv[1], "write") == 0)
		return write_main(argv + 2, argc - 2);
	if (argc == 4 && (strcmp(argv[1], "dump") == 0 || strcmp(argv[1], "scan") == 0))
		return dump_main(argv + 2, argv[1][0] == 's');
	if (argc > 2 && strcmp(argv[1], "time") == 0)
		return time_main(argv + 2);
	fprintf(stderr, "usage: tool_enrich write URL PARTITIONS COUNT DUPLICATE_EVERY BAD_EVERY "
		"[FIRST [FILE]]\n       tool_enrich dump|scan enriched|bad|collected URL\n"
		"       tool_enrich time COMMAND..\n");
	return 64;
}
