// SPDX-License-Identifier: Apache-2.0
#include "millrace/demo_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/when.h"

static int put(const char *dir, const char *name, const struct buf *text, struct err *err)
{
	char path[PATH_MAX], part[PATH_MAX];
	int fd;

	if (text->failed ||
	    snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    snprintf(part, sizeof(part), "%s/%s.part", dir, name) >= (int)sizeof(part))
		return err_set(err, -ENAMETOOLONG, "%.80s: too long", dir);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", part, strerror(errno));
	if (write(fd, text->ptr, text->len) != (ssize_t)text->len || fdatasync(fd) < 0) {
		close(fd);
		return err_set(err, -EIO, "%s: cannot be written", part);
	}
	close(fd);
	if (rename(part, path) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int read_whole(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	char *at;

	if (fd < 0)
		return -errno;
	at = buf_reserve(text, 65536);
	len = at ? read(fd, at, 65536) : -1;
	close(fd);
	if (len < 0)
		return -EIO;
	text->len += (size_t)len;
	return 0;
}

/* A file that is being read. */
struct source {
	char path[PATH_MAX];
	struct buf text;
	struct json_reader *reader;
	yyjson_val *root;
};

/* DIR/NAME parsed. source_close in any case. */
static int source_open(struct source *source, const char *dir, const char *name, struct err *err)
{
	int rc;

	*source = (struct source){ .root = NULL };
	if (snprintf(source->path, sizeof(source->path), "%s/%s", dir, name) >=
	    (int)sizeof(source->path))
		return -ENAMETOOLONG;
	rc = read_whole(source->path, &source->text);
	if (rc == 0)
		rc = json_open(&source->reader, err);
	if (rc == 0)
		rc = json_parse(source->reader, buf_slice(&source->text), &source->root, err);
	return rc;
}

/* rc, with words where it is a failure that is not the file's absence. */
static int source_close(struct source *source, int rc, struct err *err)
{
	if (rc != 0 && rc != -ENOENT)
		rc = err_set(err, rc, "%s: cannot be read", source->path);
	json_close(source->reader);
	buf_close(&source->text);
	return rc;
}

int demo_file_read(const char *dir, struct shop_conf *conf, struct err *err)
{
	struct source source;
	int64_t seed, users;
	int rc = source_open(&source, dir, "shop.json", err);
	yyjson_val *root = source.root;

	if (rc == 0 &&
	    (json_num(json_get(root, "seed"), &seed) || json_num(json_get(root, "users"), &users) ||
	     when_parse(json_text(root, "from"), &conf->from_us) ||
	     when_parse(json_text(root, "to"), &conf->to_us) || users < 1 ||
	     users > SHOP_USERS_MAX))
		rc = -EBADMSG;
	if (rc == 0) {
		conf->seed = (uint64_t)seed;
		conf->users = (int)users;
	}
	return source_close(&source, rc, err);
}

static void print_conf(struct buf *out, const struct shop_conf *conf)
{
	char from[WHEN_TEXT_MAX], to[WHEN_TEXT_MAX];

	when_print(conf->from_us, 6, from);
	when_print(conf->to_us, 6, to);
	buf_printf(out, "{\n  \"seed\": %llu,\n  \"users\": %d,\n  \"from\": \"%s\",\n"
		   "  \"to\": \"%s\"", (unsigned long long)conf->seed, conf->users, from, to);
}

int demo_file_write(const char *dir, const struct shop_conf *conf, struct err *err)
{
	struct buf text = { 0 };
	int rc;

	print_conf(&text, conf);
	buf_append_text(&text, "\n}\n");
	rc = put(dir, "shop.json", &text, err);
	buf_close(&text);
	return rc;
}

int demo_file_write_truth(const char *dir, const struct shop_conf *conf,
			  const struct shop_truth *truth, struct err *err)
{
	char first[WHEN_TEXT_MAX], last[WHEN_TEXT_MAX];
	struct buf text = { 0 };
	uint64_t total = 0;
	int rc;

	for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
		total += truth->total[kind];
	when_print(truth->first_us, 3, first);
	when_print(truth->last_us, 3, last);
	print_conf(&text, conf);
	buf_printf(&text, ",\n  \"first\": \"%s\",\n  \"last\": \"%s\",\n  \"visitors\": %llu,\n"
		   "  \"visits\": %llu,\n  \"total\": %llu,\n  \"events\": {", first, last,
		   (unsigned long long)truth->visitors, (unsigned long long)truth->visits,
		   (unsigned long long)total);
	for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
		buf_printf(&text, "%s\n    \"%s\": {\"total\": %llu, \"people\": %llu}",
			   kind ? "," : "", shop_name((enum shop_kind)kind),
			   (unsigned long long)truth->total[kind],
			   (unsigned long long)truth->people[kind]);
	buf_append_text(&text, "\n  }\n}\n");
	rc = put(dir, "truth.json", &text, err);
	buf_close(&text);
	return rc;
}

int demo_file_write_live(const char *dir, const struct shop_truth *truth, struct err *err)
{
	struct buf text = { 0 };
	int rc;

	buf_printf(&text, "{\n  \"visitors\": %llu,\n  \"visits\": %llu",
		   (unsigned long long)truth->visitors, (unsigned long long)truth->visits);
	for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
		buf_printf(&text, ",\n  \"%s\": %llu", shop_name((enum shop_kind)kind),
			   (unsigned long long)truth->total[kind]);
	buf_append_text(&text, "\n}\n");
	rc = put(dir, "live.json", &text, err);
	buf_close(&text);
	return rc;
}

static uint64_t count_of(yyjson_val *root, const char *name)
{
	int64_t n;

	return json_num(json_get(root, name), &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

int demo_file_read_live(const char *dir, struct shop_truth *truth, struct err *err)
{
	struct source source;
	int rc = source_open(&source, dir, "live.json", err);
	yyjson_val *root = source.root;

	*truth = (struct shop_truth){ 0 };
	if (rc == 0) {
		truth->visitors = count_of(root, "visitors");
		truth->visits = count_of(root, "visits");
		for (int kind = 0; kind < SHOP_KIND_COUNT; kind++)
			truth->total[kind] = count_of(root, shop_name((enum shop_kind)kind));
	}
	return source_close(&source, rc, err);
}

bool demo_file_has_truth(const char *dir)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/truth.json", dir) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

static const char query_text[] =
	"# reports/loyal-women.yaml - a saved query; aggregate keeps it up to date per event.\n"
	"title: Women over 35 with 3 orders\n"
	"kind: people\n"
	"query: {\"and\": [\n"
	"  {\"prop\": \"gender\", \"op\": \"is\", \"values\": [\"female\"], \"of\": \"profile\"},\n"
	"  {\"prop\": \"age\", \"op\": \">\", \"values\": [35], \"of\": \"profile\"},\n"
	"  {\"did\": \"Order Completed\", \"count\": {\"op\": \">=\", \"n\": 3}}]}\n";

static const char message_text[] =
	"# triggers/thank-you.yaml - a mail to each who comes to match; see docs/messages.md.\n"
	"query: loyal-women\n"
	"channel: email\n"
	"sender: The shop <hello@shop.example>\n"
	"subject: \"{{ name | default: 'Hello' }}, thank you\"\n"
	"text: |\n"
	"  Dear {{ name | default: \"customer\" }},\n"
	"  this was your third order. The next one is sent for free.\n"
	"outbox: outbox          # mails are files there; a server: smtp: in millrace.yaml\n"
	"report: no              # yes: each is an event message_sent, too\n";

int demo_file_write_message(const char *dir, struct err *err)
{
	static const struct {
		const char *dir, *file, *text;
	} files[] = {
		{ "reports", "loyal-women.yaml", query_text },
		{ "triggers", "thank-you.yaml", message_text },
	};
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		struct buf text = { 0 };
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%.3900s/%s", dir, files[i].dir);
		buf_append_text(&text, files[i].text);
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
		else
			rc = put(path, files[i].file, &text, err);
		buf_close(&text);
	}
	return rc;
}
