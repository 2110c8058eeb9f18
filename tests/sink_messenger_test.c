// SPDX-License-Identifier: Apache-2.0
/* A trigger at work, with a clock of its own: each case is a file of triggers/, and times at which
 * people come and go. The messenger is opened anew for each time: what it knows is its journal and
 * the topic. Channels are real: mails to an outbox, HTTP to tests/stub.py. */
#include "sink/messenger.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/record.h"
#include "lib/when.h"
#include "sink/guard.h"
#include "tests/tap.h"

struct step {
	const char *at;
	const char *records;            /* +ann: entered; -ann; +ann=x: of ids ann, x; +ann?: has no
	                                   name; *ann: matches from the start */
	const char *wanted;             /* new lines of the log; NULL: an outage, nothing runs */
	const char *mode;               /* of the stub from now on; NULL: as it is */
};

static const struct {
	const char *what, *text;
	struct step steps[7];
} cases[] = {
	{ "once a person, for ever", "once: person", {
		{ "2026-01-01T10:00:00Z", "+ann +bob", "sent ann, sent bob", NULL },
		{ "2026-01-02T10:00:00Z", "-ann +ann", "", NULL },
		{ "2026-01-02T10:00:00Z", "+amy=ann", "", NULL } } },
	{ "each time", "once: every", {
		{ "2026-01-01T10:00:00Z", "+ann", "sent ann", NULL },
		{ "2026-01-01T10:00:01Z", "-ann +ann", "sent ann", NULL } } },
	{ "once a period", "once: period\nperiod: 7d", {
		{ "2026-01-01T10:00:00Z", "+ann", "sent ann", NULL },
		{ "2026-01-08T09:59:00Z", "-ann +ann", "skipped ann once a period", NULL },
		{ "2026-01-08T10:00:01Z", "-ann +ann", "sent ann", NULL } } },
	{ "who matches already", "once: person", {
		{ "2026-01-01T10:00:00Z", "*ann", "", NULL } } },
	{ "who matches already, too", "current: yes", {
		{ "2026-01-01T10:00:00Z", "*ann", "sent ann", NULL } } },
	{ "exit", "on: exit", {
		{ "2026-01-01T10:00:00Z", "+ann", "", NULL },
		{ "2026-01-01T11:00:00Z", "-ann", "sent ann", NULL } } },
	{ "on a schedule", "on: schedule\nschedule: 0 9 * * *\nonce: every\n"
	  "zone: Europe/Stockholm", {
		{ "2026-01-01T07:00:00Z", "+ann +bob", "", NULL },
		{ "2026-01-01T08:00:00Z", "", "sent bob, sent ann", NULL },
		{ "2026-01-01T09:00:00Z", "-bob +cat", "", NULL },
		{ "2026-01-02T08:00:10Z", "", "sent cat, sent ann", NULL },
		{ "2026-01-05T12:00:00Z", "", "", NULL },
		{ "2026-01-05T12:00:10Z", "", "", NULL },
		{ "2026-01-05T12:00:20Z", "", "sent cat, sent ann", NULL } } },
	{ "quiet hours", "quiet: 22:00-08:00\nzone: Europe/Stockholm", {
		{ "2026-01-01T20:59:00Z", "+ann", "sent ann", NULL },
		{ "2026-01-01T21:00:00Z", "+bob", "", NULL },
		{ "2026-01-02T06:59:00Z", "", "", NULL },
		{ "2026-01-02T07:00:00Z", "", "sent bob", NULL } } },
	{ "delay, and who left meanwhile", "delay: 1h", {
		{ "2026-01-01T10:00:00Z", "+ann +bob", "", NULL },
		{ "2026-01-01T10:59:00Z", "-bob", "", NULL },
		{ "2026-01-01T11:00:00Z", "", "sent ann, skipped bob left", NULL } } },
	{ "delay, and who left gets it", "delay: 1h\nrecheck: no", {
		{ "2026-01-01T10:00:00Z", "+bob", "", NULL },
		{ "2026-01-01T10:59:00Z", "-bob", "", NULL },
		{ "2026-01-01T11:00:00Z", "", "sent bob", NULL } } },
	{ "throttle", "throttle: 2/1h", {
		{ "2026-01-01T10:00:00Z", "+a +b +c +d +e", "sent a, sent b", NULL },
		{ "2026-01-01T10:59:00Z", "", "", NULL },
		{ "2026-01-01T11:00:00Z", "", "sent c, sent d", NULL },
		{ "2026-01-01T12:00:00Z", "", "sent e", NULL } } },
	{ "an outage", "max_age: 2h", {
		{ "2026-01-01T09:00:00Z", "", "", NULL },
		{ "2026-01-01T10:00:00Z", "+ann", NULL, NULL },
		{ "2026-01-01T11:00:00Z", "+bob", NULL, NULL },
		{ "2026-01-01T12:00:01Z", "", "skipped ann too old, sent bob", NULL } } },
	{ "a name without a value", "missing: skip", {
		{ "2026-01-01T10:00:00Z", "+ann?", "skipped ann no value for name, and "
		  "no default", NULL } } },
	{ "... is empty", "missing: empty", {
		{ "2026-01-01T10:00:00Z", "+ann?", "sent ann", NULL } } },
	{ "dry run", "dry_run: yes", {
		{ "2026-01-01T10:00:00Z", "+ann", "dry ann", NULL } } },
	{ "suppressed", "suppressed: no.txt", {
		{ "2026-01-01T10:00:00Z", "+zoe +max", "skipped zoe suppressed, skipped max "
		  "suppressed", NULL } } },
	{ "slack", "channel: slack", {
		{ "2026-01-01T10:00:00Z", "+ann", "sent ann", "200" },
		{ "2026-01-01T10:01:00Z", "+bob", "retry bob", "429" },
		{ "2026-01-01T10:01:20Z", "", "sent bob", "200" },
		{ "2026-01-01T10:02:00Z", "+cat", "unknown cat", "reset" },
		{ "2026-01-01T11:02:00Z", "", "", "200" } } },
	{ "discord", "channel: discord", {
		{ "2026-01-01T10:00:00Z", "+ann", "sent ann", "200" },
		{ "2026-01-01T10:02:00Z", "+cat", "unknown cat", "timeout" },
		{ "2026-01-01T11:02:00Z", "+dan", "retry dan", "500" },
		{ "2026-01-01T11:03:00Z", "", "sent dan", "200" } } },
	{ "webhook", "channel: webhook\nretry_for: 1h", {
		{ "2026-01-01T10:00:00Z", "+ann", "retry ann", "reset" },
		{ "2026-01-01T10:01:00Z", "", "retry ann", "503" },
		{ "2026-01-01T10:02:00Z", "", "sent ann", "200" },
		{ "2026-01-01T10:03:00Z", "+POISON", "failed POISON", "poison" },
		{ "2026-01-01T10:04:00Z", "+bob", "retry bob", "500" },
		{ "2026-01-01T11:04:00Z", "", "retry bob", NULL } } },
};

struct bench {
	struct tap tap;
	char dir[64], stub[64];
	int64_t now;
	struct schema *schema;
	struct { char name[24]; int64_t version; } persons[1200];
	int person_count;
	long log_at;
	struct messenger_conf conf;
};

static int64_t clock_of(void *ctx)
{
	return ((struct bench *)ctx)->now;
}

static int64_t next_version(struct bench *b, const char *name)
{
	int i = 0;

	while (i < b->person_count && strcmp(b->persons[i].name, name) != 0)
		i++;
	if (i == b->person_count)
		snprintf(b->persons[b->person_count++].name, 24, "%s", name);
	return ++b->persons[i].version;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		abort();
}

static void put_person(struct bench *b, struct bus *bus, char kind, char *name)
{
	struct value fields[MEMBERS_COUNT] = { { .is_set = false } };
	char profile[200], ids[100], *other = strchr(name, '='), *bare = strchr(name, '?');
	struct buf datum = { 0 };

	if (other)
		*other++ = '\0';
	if (bare)
		*bare = '\0';
	snprintf(profile, sizeof(profile), "{\"email\":\"%s@mail.example\"%s%s%s}", name,
		 bare ? "" : ",\"name\":\"", bare ? "" : name, bare ? "" : "\"");
	snprintf(ids, sizeof(ids), "[\"%s\"%s%s%s]", name, other ? ",\"" : "", other ? other : "",
		 other ? "\"" : "");
	fields[MEMBERS_QUERY] = value_text(SLICE("q"));
	fields[MEMBERS_PERSON] = value_text(slice_from(name));
	fields[MEMBERS_CHANGE] = value_text(slice_from(kind == '-' ? "exited" : "entered"));
	fields[MEMBERS_CAUSE] = value_text(slice_from(kind == '*' ? "defined" : "event"));
	fields[MEMBERS_VERSION] = value_num(next_version(b, name));
	fields[MEMBERS_AT] = fields[MEMBERS_COMPUTED_AT] = value_num(b->now);
	fields[MEMBERS_DEFINITION] = fields[MEMBERS_AS_OF] = value_text(SLICE(""));
	fields[MEMBERS_TOTAL] = value_num(1);
	if (kind != '-') {
		fields[MEMBERS_PROFILE] = value_text(slice_from(profile));
		fields[MEMBERS_IDS] = value_text(slice_from(ids));
	}
	if (datum_encode(b->schema, fields, &datum) < 0 ||
	    bus_write(bus, 0, SLICE(""), buf_slice(&datum), NULL) < 0)
		abort();
	buf_close(&datum);
}

static void put_records(struct bench *b, const char *records)
{
	struct bus_conf conf = { .schema = b->schema };
	struct err err = { "" };
	char url[100], *copy = strdup(records), *rest = copy, *word;
	struct bus *bus;

	snprintf(url, sizeof(url), "log:%s/members", b->dir);
	if (bus_open(&bus, url, BUS_WRITE, &conf, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	while ((word = strtok_r(rest, " ", &rest)))
		put_person(b, bus, word[0], word + 1);
	if (bus_flush(bus, 5000) < 0)
		abort();
	bus_close(bus);
	free(copy);
}

static int step_record(void *ctx, struct filter *filter, const struct bus_record *record,
		       struct err *err)
{
	struct outlet *outlet = ctx;

	return outlet->ops->put(outlet, filter, record, record->offset,
				(struct outlet_src){ -1, -1, -1 }, err);
}

static int commit(void *ctx, struct filter *filter, bool idle, struct err *err)
{
	struct outlet *outlet = ctx;

	(void)idle;
	return outlet->ops->commit(outlet, filter, err);
}

/* Reads the topic from its start to its end, once. */
static int run(struct bench *b, struct err *err)
{
	static const struct filter_ops ops = { .step = step_record, .commit = commit };
	struct bus_conf bus_conf = { .schema = b->schema, .until_end = true };
	struct log log = { "test", LOG_LEVEL_ERROR, STDERR_FILENO };
	struct filter_conf conf = { .program = "sink", .log = &log };
	struct outlet *outlet = NULL;
	struct trigger *trigger = NULL;
	char url[100];
	int rc;

	snprintf(url, sizeof(url), "log:%s/members", b->dir);
	if ((rc = trigger_open(&trigger, b->dir, NULL, "t", NULL, false, err)) == 0) {
		b->conf.trigger = trigger;
		b->conf.log = &log;
		rc = messenger_open(&outlet, &b->conf, err);
	}
	if (rc == 0 && (rc = bus_open(&conf.in, url, BUS_READ, &bus_conf, err)) == 0)
		rc = filter_run(&conf, &ops, outlet, err);
	bus_close(conf.in);
	if (outlet)
		outlet->ops->close(outlet);
	trigger_close(trigger);
	return rc;
}

/* What the log has since the last call: "sent ann, skipped bob left". */
static void read_log(struct bench *b, const char *name, char *text, size_t size)
{
	char path[120], line[2000];
	struct json_reader *json = NULL;
	size_t len = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/log.jsonl", b->dir, name);
	file = fopen(path, "r");
	text[0] = '\0';
	if (!file || json_open(&json, NULL) < 0 || fseek(file, b->log_at, SEEK_SET) < 0)
		abort();
	while (fgets(line, sizeof(line), file)) {
		struct slice what, person, words;
		yyjson_val *root;

		if (json_parse(json, (struct slice){ line, strlen(line) - 1 }, &root, NULL) < 0)
			abort();
		what = json_text(root, "what");
		person = json_text(root, "person");
		words = slice_is(what, "skipped") ? json_text(root, "words") : SLICE("");
		if (!person.len || slice_is(what, "sending"))
			continue;
		len += (size_t)snprintf(text + len, size - len, "%s%.*s %.*s%s%.*s",
					len ? ", " : "", (int)what.len, what.ptr,
					(int)person.len, person.ptr, words.len ? " " : "",
					(int)words.len, words.len ? words.ptr : "");
		if (len >= size)
			abort();
	}
	b->log_at = ftell(file);
	fclose(file);
	json_close(json);
}

static void reset(struct bench *b, const char *text)
{
	char command[300], whole[1000];
	bool has_channel = strstr(text, "channel:");
	const char *email = "channel: email\nsender: a@shop.example\nsubject: Hello\noutbox: ";

	snprintf(command, sizeof(command), "rm -rf %s/members %s/state %s/outbox", b->dir, b->dir,
		 b->dir);
	if (system(command) != 0)
		abort();
	snprintf(whole, sizeof(whole), "query: q\n%s%s%s%s\n%s%s\n", has_channel ? "url: http://"
		 : email, has_channel ? b->stub : b->dir, has_channel ? "/hook" : "/outbox",
		 strstr(text, "webhook") ? "" : "\ntext: \"Dear {{ name }}\"", text,
		 strstr(text, "webhook") ? "\nmethod: POST" : "");
	write_file(b->dir, "triggers/t.yaml", whole);
	b->person_count = 0;
	b->log_at = 0;
}

static void run_case(struct bench *b, const char *what, const char *text, const struct step *steps)
{
	struct err err = { "" };
	char got[4000];

	reset(b, text);
	for (const struct step *s = steps; s < steps + 7 && s->at; s++) {
		if (s->mode)
			write_file(b->dir, "mode", s->mode);
		if (when_parse(slice_from(s->at), &b->now) < 0)
			abort();
		put_records(b, s->records);
		if (!s->wanted)
			continue;
		if (run(b, &err) < 0) {
			OK(&b->tap, false, "%s: %s", what, err.text);
			return;
		}
		read_log(b, "state", got, sizeof(got));
		if (!OK(&b->tap, strcmp(got, s->wanted) == 0, "%s, at %s %s", what, s->at,
			s->records))
			printf("# got:    %s\n# wanted: %s\n", got, s->wanted);
	}
}

/* The share that gets nothing, and that it is the same one however often all is read. */
static void test_holdout(struct bench *b)
{
	char *records = calloc(1, 20000), *got[2] = { calloc(1, 60000), calloc(1, 60000) };
	struct err err = { "" };
	int held = 0, len = 0;

	for (int i = 0; i < 1000; i++)
		len += snprintf(records + len, 20000 - (size_t)len, "+p%d ", i);
	for (int round = 0; round < 2; round++) {
		reset(b, "holdout: 20\ndry_run: yes");
		put_records(b, records);
		if (run(b, &err) < 0)
			OK(&b->tap, false, "holdout: %s", err.text);
		read_log(b, "state", got[round], 60000);
	}
	for (const char *at = got[0]; (at = strstr(at, "holdout")); at++)
		held++;
	OK(&b->tap, held > 150 && held < 250, "20 percent are held out: %d of 1,000", held);
	OK(&b->tap, strcmp(got[0], got[1]) == 0, "always the same ones");
	free(records);
	free(got[0]);
	free(got[1]);
}

/* Lines of the stub's log that have all these words. */
static int count_requests(struct bench *b, const char *a, const char *c, const char *d)
{
	char path[100], *line = NULL;
	size_t cap = 0;
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/requests", b->dir);
	file = fopen(path, "r");
	while (file && getline(&line, &cap, file) > 0)
		count += strstr(line, a) && strstr(line, c) && strstr(line, d);
	if (file)
		fclose(file);
	free(line);
	return count;
}

static void test_requests(struct bench *b)
{
	char path[100], line[8000], keys[8][40] = { "" };
	int count = 0;
	FILE *file;

	OK(&b->tap, count_requests(b, "{\\\"text\\\":\\\"Dear ann\\\"}", "/hook", "POST") == 1,
	   "what Slack gets");
	OK(&b->tap, count_requests(b, "{\\\"content\\\":\\\"Dear ann\\\",\\\"allowed_mentions\\\":"
				   "{\\\"parse\\\":[]}}", "/hook", "POST") == 1, "and Discord");
	OK(&b->tap, count_requests(b, "\\\"Dear cat\\\"", "", "") == 2,
	   "what may have been taken goes to each once");
	snprintf(path, sizeof(path), "%s/requests", b->dir);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file) && count < 8) {
		const char *at = strstr(line, "\"idempotency-key\": \"");

		if (at && strstr(line, "\\\"person\\\":\\\"ann\\\""))
			snprintf(keys[count++], 40, "%.32s", at + 20);
	}
	if (file)
		fclose(file);
	OK(&b->tap, count == 3 && strcmp(keys[0], keys[1]) == 0 && strcmp(keys[1], keys[2]) == 0,
	   "a webhook is repeated with the same key (%d times)", count);
}

/* Events of outcomes: told to collect, and told again where a kill came between. */
static void test_reports(struct bench *b)
{
	struct err err = { "" };
	char path[100], got[1000];
	struct step steps[2] = { { "2026-02-01T10:00:00Z", "+ann +POISON",
				   "sent ann, failed POISON", "poison" } };

	b->conf.report_url = b->stub;
	b->conf.report_key = "k1";
	/* collect is away: it answers 500. */
	write_file(b->dir, "mode", "200");
	b->conf.report_url = "file:/nonexistent/collect.port";
	run_case(b, "outcomes while collect is away", "channel: webhook\nonce: person", steps);
	OK(&b->tap, count_requests(b, "/v1/batch", "message_", "") == 0, "nothing is told");
	snprintf(path, sizeof(path), "file:%s/stub", b->dir);
	b->conf.report_url = path;
	write_file(b->dir, "mode", "200");
	for (int i = 0; i < 2; i++)
		if (run(b, &err) < 0)
			OK(&b->tap, false, "%s", err.text);
	read_log(b, "state", got, sizeof(got));
	OK(&b->tap, strcmp(got, "") == 0, "nothing is sent again");
	OK(&b->tap, count_requests(b, "/v1/batch", "message_sent",
				   "\\\"userId\\\":\\\"ann\\\"") == 1,
	   "message_sent is told at the next start, once");
	OK(&b->tap, count_requests(b, "/v1/batch", "message_failed", "POISON") == 1,
	   "so is message_failed");
	OK(&b->tap, count_requests(b, "message_failed", "\\\"words\\\":\\\"status 400: poisoned",
				   "\\\"messageId\\\":\\\"message_failed-") == 1, "with its words");
}

static pid_t start_stub(struct bench *b)
{
	char port[100], requests[100], mode[100];
	int tries = 0;
	FILE *file;
	pid_t pid;

	snprintf(port, sizeof(port), "%s/port", b->dir);
	snprintf(requests, sizeof(requests), "%s/requests", b->dir);
	snprintf(mode, sizeof(mode), "%s/mode", b->dir);
	write_file(b->dir, "mode", "200");
	pid = fork();
	if (pid == 0) {
		execlp("python3", "python3", "tests/stub.py", port, requests, mode, (char *)NULL);
		_exit(127);
	}
	while (!(file = fopen(port, "r")) && tries++ < 2000)
		usleep(10000);
	if (!file || !fgets(mode, 20, file))
		abort();
	snprintf(b->stub, sizeof(b->stub), "127.0.0.1:%.20s", mode);
	fclose(file);
	write_file(b->dir, "stub", b->stub);
	return pid;
}

int main(void)
{
	const char *hosts[] = { "127.0.0.1" };
	struct opt_list allowed = { .items = hosts, .count = 1 };
	struct guard guard = { .allowed = &allowed };
	struct bench *b = calloc(1, sizeof(*b));
	const char *tmp = getenv("TMPDIR");
	char command[100], state[100];
	struct tap tap;
	pid_t stub;

	snprintf(b->dir, sizeof(b->dir), "%.30s/millrace-messenger-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(b->dir))
		abort();
	snprintf(state, sizeof(state), "%s/triggers", b->dir);
	if (mkdir(state, 0777) < 0)
		abort();
	snprintf(state, sizeof(state), "%s/state", b->dir);
	write_file(b->dir, "no.txt", "ZOE@mail.example\nmax\n");
	b->schema = record_schema("members");
	b->conf = (struct messenger_conf){ .schema = b->schema, .state_dir = state, .dir = b->dir,
					   .guard = &guard, .now_us = clock_of, .clock = b };
	stub = start_stub(b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(b, cases[i].what, cases[i].text, cases[i].steps);
	test_requests(b);
	test_holdout(b);
	test_reports(b);
	kill(stub, SIGTERM);
	waitpid(stub, NULL, 0);
	schema_close(b->schema);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	if (!b->tap.failed && system(command) != 0)
		abort();
	tap = b->tap;
	free(b);
	return tap_end(&tap);
}
