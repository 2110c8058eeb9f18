// SPDX-License-Identifier: Apache-2.0
#include "report/ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dir.h"
#include "lib/json.h"
#include "report/source_file.h"

#define QUICK_MS  15000
#define TEST_MS   90000
#define AUDIT_MS  (10 * 60 * 1000)
#define SEND_MS   (5 * 60 * 1000)
#define NAME_MAX_BYTES 64
#define ID_MAX    1000
#define URL_MAX   1200
#define STATUS_MAX ((size_t)64 << 10)
#define AUDITS_MAX 8
#define AUDIT_REST 10   /* an answer is good for so many times as long as it took */

/* One audit for all who ask the same at about the same time: pages ask every few seconds, and much
 * data takes a while. */
struct audit {
	struct ops *ops;
	char key[64];                   /* the span, and whether it is verified; "": free */
	struct buf text;                /* the last answer; empty: none */
	int64_t begun_ms, done_ms;
	bool is_running;
	struct task *waiting;
};

struct ops {
	struct ops_conf conf;
	struct children *children;
	struct json_reader *json;
	char config[PATH_MAX];          /* absolute; "": none */
	char config_arg[PATH_MAX + 16];
	char bus[URL_MAX];              /* without the topic; "": not known */
	bool has_dbip;
	struct audit audits[AUDITS_MAX];
	int to_learn;                   /* tables of fields that are still asked for */
};

enum task_kind {
	TASK_JSON,                      /* stdout is the answer */
	TASK_SAID,                      /* {"ok":..,"words":..}: stdout, or what went wrong */
	TASK_LINES,                     /* {"lines":[..]}: stdout is a JSON object a line */
	TASK_FILE,                      /* a staged file was checked: it takes its place */
	TASK_SOURCES,                   /* so does a millrace.yaml */
};

static const char *const KINDS[] = { "sink", "kinds", NULL };
static const char *const TRIGGERS[] = { "sink", "triggers", NULL };

/* A child runs for a request. */
struct task {
	struct ops *ops;
	struct http_request *request;
	enum task_kind kind;
	struct task *next;              /* that waits for the same audit */
	struct slice group, name;       /* of the request's path */
	char path[FILES_PATH_MAX];      /* what is staged */
};

static void answer(struct ops *ops, struct http_request *request, int status, struct slice body)
{
	char headers[2048];

	snprintf(headers, sizeof(headers), "%sContent-Type: application/json\r\n"
		 "Cache-Control: no-store\r\n", ops->conf.headers);
	http_answer(request, status, headers, body);
}

static void refuse(struct ops *ops, struct http_request *request, int status, const char *code,
		   const char *words)
{
	struct buf out = { .limit = 64 << 10 };

	buf_printf(&out, "{\"error\":{\"code\":\"%s\",\"at\":\"\",\"message\":", code);
	json_write_text(slice_from(words), &out);
	buf_append_text(&out, "}}");
	answer(ops, request, status, buf_slice(&out));
	buf_close(&out);
}

/* --- children --- */

/* Of stdout, lines of a test. */
static void answer_said(struct task *task, const struct child_result *result)
{
	struct slice said = result->out;
	struct buf out = { .limit = 1 << 20 };

	while (said.len && said.ptr[said.len - 1] == '\n')
		said.len--;
	buf_printf(&out, "{\"ok\":%s,\"words\":", result->status == 0 ? "true" : "false");
	if (result->status == 124)
		json_write_text(SLICE("it took too long, and was stopped"), &out);
	else if (said.len)
		json_write_text(said, &out);
	else
		json_write_text(slice_from(result->status ? result->words : ""), &out);
	buf_append_char(&out, '}');
	answer(task->ops, task->request, 200, buf_slice(&out));
	buf_close(&out);
}

static void answer_lines(struct task *task, struct slice text)
{
	struct buf out = { .limit = CHILD_OUT_MAX + 64 };
	bool is_first = true;

	buf_append_text(&out, "{\"lines\":[");
	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };

		text = slice_skip(text, line.len + (end != NULL));
		if (!line.len || line.ptr[0] != '{')
			continue;
		buf_append_text(&out, is_first ? "" : ",");
		buf_append_slice(&out, line);
		is_first = false;
	}
	buf_append_text(&out, "]}");
	answer(task->ops, task->request, 200, buf_slice(&out));
	buf_close(&out);
}

static void commit_file(struct task *task)
{
	struct buf out = { .limit = 4 << 20 };
	int status = files_commit(task->ops->conf.files, task->group, task->name, task->path, &out);

	answer(task->ops, task->request, status, buf_slice(&out));
	buf_close(&out);
}

static void sinks_dir(const struct ops *ops, char path[PATH_MAX])
{
	const struct report_conf *options = ops->conf.options;
	bool is_absolute = options->sinks[0] == '/';

	snprintf(path, PATH_MAX, "%.2000s%s%.2000s", is_absolute ? "" : options->dir,
		 is_absolute ? "" : "/", options->sinks);
}

/* DATA/NAME; the directory of sinks need not be there yet. */
static void beside_sinks(const struct ops *ops, const char *name, char path[PATH_MAX + 20])
{
	char dir[PATH_MAX], *slash;

	sinks_dir(ops, dir);
	slash = strrchr(dir, '/');
	snprintf(path, PATH_MAX + 20, "%.*s%s", slash ? (int)(slash - dir + 1) : 0, dir, name);
}

const char *ops_collect(const struct ops *ops, char url[OPS_URL_MAX])
{
	const char *told = ops->conf.options->collect;
	size_t len = strlen(told);
	char file[PATH_MAX + 20], line[100] = "";
	FILE *port;

	if (len < 2 || strcmp(told + len - 2, ":0") != 0)
		return told;
	beside_sinks(ops, "collect.port", file);
	port = fopen(file, "re");
	if (port && fgets(line, sizeof(line), port))
		line[strcspn(line, "\n")] = '\0';
	if (port)
		fclose(port);
	snprintf(url, OPS_URL_MAX, "http://%s", line);
	return line[0] ? url : told;
}

static void answer_sources(struct ops *ops, struct http_request *request)
{
	char url[OPS_URL_MAX];
	struct buf out = { .limit = 4 << 20 };
	struct err err = { "" };
	int rc;

	buf_append_text(&out, "{\"sources\":");
	rc = ops->config[0] ? source_file_print(ops->config, &out, &err) : -ENOENT;
	if (rc < 0) {
		buf_reset(&out);
		buf_append_text(&out, "{\"sources\":[]");
	}
	buf_printf(&out, ",\"error\":");
	json_write_text(slice_from(rc == -ENOENT ? "" : err.text), &out);
	buf_append_text(&out, ",\"collect\":");
	json_write_text(slice_from(ops_collect(ops, url)), &out);
	buf_printf(&out, ",\"bundle\":%s}",
		   ops->config[0] && source_file_has_bundle(ops->config) ? "true" : "false");
	answer(ops, request, 200, buf_slice(&out));
	buf_close(&out);
}

static void commit_sources(struct task *task)
{
	struct ops *ops = task->ops;

	if (rename(task->path, ops->config) < 0 || dir_sync_parent(ops->config) < 0)
		refuse(ops, task->request, 500, "write", strerror(errno));
	else
		answer_sources(ops, task->request);
}

/* Its words name the staged file, which people never saw. */
static void refuse_check(struct task *task, const struct child_result *result)
{
	const char *words = result->words, *at = strstr(words, task->path);

	if (at) {
		at += strlen(task->path);
		while (*at == ':' || *at == ' ' || (*at >= '0' && *at <= '9'))
			at++;
		words = at;
	}
	refuse(task->ops, task->request, result->status == 127 ? 503 : 400, "check",
	       words[0] ? words : "it was refused");
}

static void on_done(void *ctx, const struct child_result *result)
{
	struct task *task = ctx;
	struct ops *ops = task->ops;
	bool is_fine = result->status == 0;

	if (task->kind == TASK_SAID)
		answer_said(task, result);
	else if (task->kind == TASK_FILE && is_fine)
		commit_file(task);
	else if (task->kind == TASK_SOURCES && is_fine)
		commit_sources(task);
	else if (task->kind == TASK_FILE || task->kind == TASK_SOURCES)
		refuse_check(task, result);
	else if (task->kind == TASK_LINES && is_fine)
		answer_lines(task, result->out);
	/* 65: an audit that does not add up; 66: an id that nobody knows. They say so in JSON. */
	else if (is_fine || (result->out.len && (result->status == 65 || result->status == 66)))
		answer(ops, task->request, 200, result->out);
	else
		refuse(ops, task->request, result->status == 124 ? 504 :
		       result->status == 64 || result->status == 78 ? 400 : 503, "failed",
		       result->status == 124 ? "it took too long: ask for less" :
		       result->words[0] ? result->words : "the program that knows cannot be run");
	if (task->path[0])
		unlink(task->path);
	free(task);
}

static void run(struct ops *ops, struct task *task, const char *const *args, int64_t timeout_ms)
{
	int rc = child_run(ops->children, args, timeout_ms, on_done, task);

	if (rc == 0)
		return;
	if (task->path[0])
		unlink(task->path);
	refuse(ops, task->request, 503, "busy", rc == -EBUSY ? "too much is asked at once: try "
	       "again" : strerror(-rc));
	free(task);
}

static struct task *new_task(struct ops *ops, struct http_request *request, enum task_kind kind)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task) {
		refuse(ops, request, 503, "memory", "no memory");
		return NULL;
	}
	task->ops = ops;
	task->request = request;
	task->kind = kind;
	return task;
}

/* --- the tables of fields: which are secrets --- */

static void learn(struct ops *ops, const char *kind, yyjson_val *types, const char *member)
{
	yyjson_val *type, *field;
	size_t i, n, k, m;

	yyjson_arr_foreach(types, i, n, type)
		yyjson_arr_foreach(json_get(type, "fields"), k, m, field)
			if (slice_is(json_text(field, "type"), "secret"))
				files_learn(ops->conf.files, kind, json_text(type, member),
					    json_text(field, "name"));
}

static void on_kinds(void *ctx, const struct child_result *result)
{
	struct ops *ops = ctx;
	yyjson_val *root;

	ops->to_learn--;
	if (json_parse(ops->json, result->out, &root, NULL) < 0)
		return;                 /* there is no sink here: names must do */
	learn(ops, "destinations", json_get(root, "kinds"), "type");
	learn(ops, "triggers", json_get(root, "channels"), "channel");
}

/* --- destinations --- */

static void check_file(struct ops *ops, struct http_request *request, struct slice group,
		       struct slice name)
{
	struct task *task = new_task(ops, request, TASK_FILE);
	char name_text[NAME_MAX_BYTES + 1];
	bool is_trigger = slice_is(group, "triggers");
	const char *args[7] = { "sink" };
	int count = 1;
	struct buf out = { .limit = 64 << 10 };
	int status;

	if (!task)
		return;
	task->group = group;
	task->name = name;
	status = files_stage(ops->conf.files, group, name, request->body, task->path, &out);
	if (status) {
		answer(ops, request, status, buf_slice(&out));
		free(task);
	} else {
		snprintf(name_text, sizeof(name_text), "%.*s", (int)name.len, name.ptr);
		if (is_trigger)
			args[count++] = "trigger";
		args[count++] = "check";
		args[count++] = name_text;
		args[count++] = task->path;
		args[count] = ops->config[0] ? ops->config_arg : NULL;
		run(ops, task, args, QUICK_MS);
	}
	buf_close(&out);
}

/* DIR/NAME/status.json each, as they are. */
static void put_statuses(struct ops *ops, const char *path, struct buf *out)
{
	struct buf text = { .limit = STATUS_MAX };
	char file[PATH_MAX + 300];
	const struct dirent *entry;
	yyjson_val *root;
	DIR *dir;
	int count = 0;

	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char *at;
		ssize_t n;
		int fd;

		snprintf(file, sizeof(file), "%s/%s/status.json", path, entry->d_name);
		fd = entry->d_name[0] == '.' ? -1 : open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		buf_reset(&text);
		at = buf_reserve(&text, STATUS_MAX - 1);
		n = at ? read(fd, at, STATUS_MAX - 1) : -1;
		close(fd);
		if (n <= 0 || json_parse(ops->json, (struct slice){ text.ptr, (size_t)n }, &root,
					 NULL) < 0)
			continue;
		buf_append_text(out, count++ ? "," : "");
		json_write_text(slice_from(entry->d_name), out);
		buf_append_char(out, ':');
		json_write(root, out);
	}
	if (dir)
		closedir(dir);
	buf_close(&text);
}

/* Of destinations, and of triggers, whose directory is beside theirs. */
static void answer_statuses(struct ops *ops, struct http_request *request)
{
	char path[PATH_MAX], messages[PATH_MAX + 20];
	struct buf out = { .limit = 8 << 20 };

	sinks_dir(ops, path);
	beside_sinks(ops, "messages", messages);
	buf_append_text(&out, "{\"statuses\":{");
	put_statuses(ops, path, &out);
	buf_append_text(&out, "},\"messages\":{");
	put_statuses(ops, messages, &out);
	buf_append_text(&out, "}}");
	answer(ops, request, 200, buf_slice(&out));
	buf_close(&out);
}

/* sink --from bad --to NAME: each letter once; it goes on where it was. */
static void send_again(struct ops *ops, struct task *task, const char *name)
{
	bool is_log = strncmp(ops->bus, "log:", 4) == 0;
	char bad[URL_MAX + 40], state[PATH_MAX];
	const char *args[] = { "sink", ops->config_arg, "--to", name, "--from", "bad", "--in",
			       NULL, "--bad", bad, "--state", state, "--metrics=", "--grace=5s",
			       NULL };
	char in[URL_MAX + 10];

	snprintf(in, sizeof(in), "%s/bad", ops->bus);
	args[7] = in;
	snprintf(bad, sizeof(bad), "%s/bad%s", ops->bus, is_log ? "?partition=2+" : "");
	sinks_dir(ops, state);
	run(ops, task, args, SEND_MS);
}

static void ask_destination(struct ops *ops, struct http_request *request, const char *name,
			    struct slice verb)
{
	static const char *const SWITCHES[] = { "enable", "disable", NULL };
	char topics[URL_MAX + 16], data[PATH_MAX + 20];
	const char *args[12] = { "millrace", "destination", "letters", name, ops->config_arg,
				 "--json", topics, NULL };
	const char *test[] = { "sink", "test", name, ops->config_arg, NULL };
	bool is_post = slice_is(request->method, "POST");
	struct task *task;

	snprintf(topics, sizeof(topics), "--topics=%s", ops->bus);
	if (ops->conf.options->data) {
		snprintf(data, sizeof(data), "--data=%s", ops->conf.options->data);
		args[7] = data;
	}
	for (int i = 0; SWITCHES[i] && is_post; i++)
		if (slice_is(verb, SWITCHES[i])) {
			args[2] = SWITCHES[i];
			args[5] = NULL;
			if ((task = new_task(ops, request, TASK_SAID)))
				run(ops, task, args, QUICK_MS);
			return;
		}
	if (slice_is(verb, "letters") && !is_post) {
		if ((task = new_task(ops, request, TASK_JSON)))
			run(ops, task, args, AUDIT_MS);
	} else if (slice_is(verb, "test") && is_post) {
		if ((task = new_task(ops, request, TASK_SAID)))
			run(ops, task, test, TEST_MS);
	} else if (slice_is(verb, "send") && is_post) {
		if ((task = new_task(ops, request, TASK_SAID)))
			send_again(ops, task, name);
	} else {
		refuse(ops, request, 404, "unknown", "there is no such path");
	}
}

static void remove_destination(struct ops *ops, struct http_request *request, const char *name)
{
	const char *args[] = { "millrace", "destination", "remove", name, ops->config_arg, NULL };
	struct task *task = new_task(ops, request, TASK_SAID);

	if (task)
		run(ops, task, args, QUICK_MS);
}

static bool take_query(const struct http_request *request, const char *key, char *text, size_t size)
{
	struct slice raw = http_query(request, key);
	struct buf out = { .limit = 8192 };
	bool is_fine = raw.len && raw.len < size && http_unescape(raw, &out) == 0 &&
		       out.len < size && !memchr(out.ptr, '\0', out.len);

	snprintf(text, size, "%.*s", is_fine ? (int)out.len : 0, out.ptr ? out.ptr : "");
	buf_close(&out);
	return is_fine && text[0];
}

/* --- triggers --- */

static bool take_member(struct ops *ops, struct slice body, const char *key, char *text,
			size_t size)
{
	struct slice value = { NULL, 0 };
	yyjson_val *root;

	if (json_parse(ops->json, body, &root, NULL) == 0)
		value = json_text(root, key);
	if (!value.len || value.len >= size || memchr(value.ptr, '\0', value.len))
		return false;
	snprintf(text, size, "%.*s", (int)value.len, value.ptr);
	return true;
}

static void ask_trigger(struct ops *ops, struct http_request *request, const char *name,
			struct slice verb)
{
	char data[PATH_MAX + 20], text[ID_MAX + 16] = "", person[ID_MAX + 16] = "--person=";
	const char *args[10] = { "millrace", "trigger", NULL, name, ops->config_arg };
	bool is_post = slice_is(request->method, "POST");
	int64_t timeout_ms = is_post ? TEST_MS : QUICK_MS;
	enum task_kind kind = TASK_SAID;
	struct task *task;
	int count = 5;

	if (ops->conf.options->data) {
		snprintf(data, sizeof(data), "--data=%s", ops->conf.options->data);
		args[count++] = data;
	}
	if (is_post && slice_is(verb, "enable")) {
		args[2] = "enable";
	} else if (is_post && slice_is(verb, "disable")) {
		args[2] = "disable";
	} else if (is_post && slice_is(verb, "test")) {
		args[2] = "test";
		snprintf(text, sizeof(text), "--address=");
		(void)take_member(ops, request->body, "address", text + 10, sizeof(text) - 10);
		args[count++] = text;
		if (take_member(ops, request->body, "person", person + 9, sizeof(person) - 9))
			args[count++] = person;
	} else if (!is_post && slice_is(verb, "preview")) {
		args[2] = "preview";
		snprintf(text, sizeof(text), "--person=");
		if (take_query(request, "person", text + 9, sizeof(text) - 9))
			args[count++] = text;
	} else if (!is_post && slice_is(verb, "log")) {
		args[2] = "log";
		args[count++] = "--limit=200";
		kind = TASK_LINES;
	} else {
		refuse(ops, request, 404, "unknown", "there is no such path");
		return;
	}
	task = new_task(ops, request, kind);
	if (task)
		run(ops, task, args, timeout_ms);
}

/* --- audit, trace --- */

static void on_audit(void *ctx, const struct child_result *result)
{
	struct audit *audit = ctx;
	struct task *task = audit->waiting;

	audit->is_running = false;
	audit->waiting = NULL;
	audit->done_ms = loop_now_ms(audit->ops->conf.loop);
	buf_reset(&audit->text);
	if (result->status == 0 || result->status == 65)
		buf_append_slice(&audit->text, result->out);
	while (task) {
		struct task *next = task->next;

		on_done(task, result);
		task = next;
	}
}

/* That of the key, or a free one, or the one that was asked for longest ago. */
static struct audit *find_audit(struct ops *ops, const char *key)
{
	struct audit *oldest = NULL;

	for (int i = 0; i < AUDITS_MAX; i++) {
		struct audit *audit = &ops->audits[i];

		if (strcmp(audit->key, key) == 0)
			return audit;
		if (!audit->is_running && (!oldest || audit->done_ms < oldest->done_ms))
			oldest = audit;
	}
	if (oldest) {
		buf_reset(&oldest->text);
		oldest->done_ms = 0;
		snprintf(oldest->key, sizeof(oldest->key), "%s", key);
	}
	return oldest;
}

static void run_audit(struct ops *ops, struct task *task, const char *key,
		      const char *const *args)
{
	struct audit *audit = find_audit(ops, key);
	int64_t now = loop_now_ms(ops->conf.loop);

	if (!audit) {
		refuse(ops, task->request, 503, "busy", "too much is asked at once: try again");
		free(task);
		return;
	}
	if (!audit->is_running && audit->text.len &&
	    now - audit->done_ms < AUDIT_REST * (audit->done_ms - audit->begun_ms)) {
		answer(ops, task->request, 200, buf_slice(&audit->text));
		free(task);
		return;
	}
	if (!audit->is_running) {
		int rc = child_run(ops->children, args, AUDIT_MS, on_audit, audit);

		if (rc < 0) {
			refuse(ops, task->request, 503, "busy", strerror(-rc));
			free(task);
			return;
		}
		audit->ops = ops;
		audit->begun_ms = now;
		audit->is_running = true;
	}
	task->next = audit->waiting;
	audit->waiting = task;
}

static void ask_ledger(struct ops *ops, struct http_request *request, bool is_trace)
{
	char topics[URL_MAX + 16], data[PATH_MAX + 20], last[64], span[48] = "";
	char id[ID_MAX + 1], key[64];
	const char *args[10] = { "millrace", is_trace ? "trace" : "audit", ops->config_arg,
				 "--json", topics };
	int count = 5;
	struct task *task;

	snprintf(topics, sizeof(topics), "--topics=%s", ops->bus);
	if (ops->conf.options->data) {
		snprintf(data, sizeof(data), "--data=%s", ops->conf.options->data);
		args[count++] = data;
	}
	if (take_query(request, "last", span, sizeof(span))) {
		snprintf(last, sizeof(last), "--last=%s", span);
		args[count++] = last;
	}
	if (!is_trace && !http_query(request, "verify").len)
		args[count++] = "--no-verify";
	if (is_trace && !take_query(request, "id", id, sizeof(id))) {
		refuse(ops, request, 400, "id", "which message id? ?id=..");
		return;
	}
	if (is_trace) {
		args[count++] = "--";
		args[count++] = id;
	}
	task = new_task(ops, request, TASK_JSON);
	if (task && is_trace) {
		run(ops, task, args, AUDIT_MS);
	} else if (task) {
		snprintf(key, sizeof(key), "%s/%s", span,
			 http_query(request, "verify").len ? "verify" : "");
		run_audit(ops, task, key, args);
	}
}

/* --- sources --- */

/* The text, beside the settings, for collect to check. */
static int stage_sources(struct ops *ops, struct slice text, char path[FILES_PATH_MAX])
{
	struct stat st = { .st_mode = 0600 };
	int fd, rc = 0;

	snprintf(path, FILES_PATH_MAX, "%.4000s.new", ops->config);
	(void)!stat(ops->config, &st);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, st.st_mode & 0777) < 0 ||
	    write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0)
		rc = errno ? -errno : -EIO;
	close(fd);
	return rc;
}

static void change_sources(struct ops *ops, struct http_request *request, struct slice name,
			   struct slice verb)
{
	char config[FILES_PATH_MAX + 16];
	const char *args[] = { "collect", "--check", config, NULL };
	struct task *task = new_task(ops, request, TASK_SOURCES);
	struct buf out = { .limit = 4 << 20 };
	struct err err = { "" };
	int rc;

	if (!task)
		return;
	if (verb.len == 0)
		rc = source_file_add(ops->config, name, &out, &err);
	else
		rc = source_file_switch(ops->config, name, slice_is(verb, "enable"), &out, &err);
	if (rc == 0)
		rc = out.failed ? -ENOSPC : stage_sources(ops, buf_slice(&out), task->path);
	buf_close(&out);
	if (rc < 0) {
		refuse(ops, request, rc == -ENOENT ? 404 : rc == -EEXIST ? 409 : 400, "source",
		       err.text[0] ? err.text : strerror(-rc));
		free(task);
		return;
	}
	snprintf(config, sizeof(config), "--config=%s", task->path);
	run(ops, task, args, QUICK_MS);
}

static void ask_sources(struct ops *ops, struct http_request *request, struct slice name,
			struct slice verb, enum access_role role)
{
	struct err err = { "" };
	yyjson_val *root;

	if (role != ACCESS_EDITOR) {
		refuse(ops, request, 403, "role", "write keys are shown to editors");
	} else if (name.len == 0 && slice_is(request->method, "GET")) {
		answer_sources(ops, request);
	} else if (!slice_is(request->method, "POST")) {
		refuse(ops, request, 405, "method", "GET or POST");
	} else if (!ops->config[0]) {
		refuse(ops, request, 404, "no_config", "report was not told of a millrace.yaml: "
		       "--config");
	} else if (name.len && (slice_is(verb, "enable") || slice_is(verb, "disable"))) {
		change_sources(ops, request, name, verb);
	} else if (name.len) {
		refuse(ops, request, 404, "unknown", "enable or disable");
	} else if (json_parse(ops->json, request->body, &root, &err) < 0) {
		refuse(ops, request, 400, "json", err.text);
	} else {
		change_sources(ops, request, json_text(root, "name"), (struct slice){ "", 0 });
	}
}

/* --- routes --- */

/* "a/b/c" -> its parts; false: more than three. */
static bool split(struct slice path, struct slice parts[3])
{
	int count = 0;

	memset(parts, 0, 3 * sizeof(*parts));
	for (;;) {
		const char *slash = memchr(path.ptr, '/', path.len);

		if (count == 3)
			return false;
		parts[count].ptr = path.ptr;
		parts[count++].len = slash ? (size_t)(slash - path.ptr) : path.len;
		if (!slash)
			return true;
		path = slice_skip(path, (size_t)(slash - path.ptr) + 1);
	}
}

static bool copy_name(struct slice name, char text[NAME_MAX_BYTES + 1])
{
	for (size_t i = 0; i < name.len; i++)
		if (!name.ptr[i] || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789_-", name.ptr[i]))
			return false;
	if (name.len == 0 || name.len > NAME_MAX_BYTES || name.ptr[0] == '-')
		return false;
	snprintf(text, NAME_MAX_BYTES + 1, "%.*s", (int)name.len, name.ptr);
	return true;
}

/* Those that need the settings. */
static bool route(struct ops *ops, struct http_request *request, const struct slice parts[3])
{
	bool is_get = slice_is(request->method, "GET"), is_put = slice_is(request->method, "PUT");
	bool is_trigger = slice_is(parts[0], "triggers");
	bool is_file = slice_is(parts[0], "files") && !is_get && parts[2].len &&
		       (slice_is(parts[1], "destinations") || slice_is(parts[1], "triggers"));
	bool is_destination = slice_is(parts[0], "destinations");
	bool is_ledger = slice_is(parts[0], "audit") || slice_is(parts[0], "trace");
	char name[NAME_MAX_BYTES + 1];

	if (!is_file && !is_destination && !is_trigger && !is_ledger)
		return false;
	if (!ops->config[0] && !is_file) {
		refuse(ops, request, 404, "no_config", "report was not told of a millrace.yaml: "
		       "--config");
	} else if (is_ledger) {
		ask_ledger(ops, request, parts[0].ptr[0] == 't');
	} else if (!copy_name(is_file ? parts[2] : parts[1], name)) {
		refuse(ops, request, 400, "name", "a name is 1 to 64 letters, digits, '-' and '_', "
		       "and begins with none of '-'");
	} else if (is_destination) {
		ask_destination(ops, request, name, parts[2]);
	} else if (is_trigger) {
		ask_trigger(ops, request, name, parts[2]);
	} else if (is_put) {
		check_file(ops, request, parts[1], parts[2]);
	} else if (slice_is(request->method, "DELETE") && ops->config[0] &&
		   slice_is(parts[1], "destinations")) {
		remove_destination(ops, request, name);
	} else {
		return false;           /* files.h deletes it */
	}
	return true;
}

bool ops_answer(struct ops *ops, struct http_request *request, struct slice path,
		enum access_role role)
{
	bool is_get = slice_is(request->method, "GET");
	struct slice parts[3];
	struct task *task;

	if (!split(path, parts))
		return false;
	if ((slice_is(path, "kinds") || slice_is(path, "triggers")) && is_get) {
		if ((task = new_task(ops, request, TASK_JSON)))
			run(ops, task, path.ptr[0] == 'k' ? KINDS : TRIGGERS, QUICK_MS);
		return true;
	}
	if (slice_is(path, "statuses") && is_get) {
		answer_statuses(ops, request);
		return true;
	}
	if (slice_is(parts[0], "files") && !slice_is(parts[1], "reports") && ops->to_learn) {
		refuse(ops, request, 503, "starting", "just started: try again in a moment");
		return true;
	}
	if (slice_is(parts[0], "sources")) {
		ask_sources(ops, request, parts[1], parts[2], role);
		return true;
	}
	return route(ops, request, parts);
}

bool ops_has_dbip(const struct ops *ops)
{
	return ops->has_dbip;
}

/* Where the topics are: --bus, or --in without its last part. */
static void find_bus(struct ops *ops)
{
	const struct report_conf *options = ops->conf.options;
	const char *in = options->in && options->in[0] ? options->in : NULL;
	const char *bus = options->bus && options->bus[0] ? options->bus : in ? in : "";
	size_t len = strcspn(bus, "?");
	const char *slash = bus == in ? memrchr(bus, '/', len) : NULL;

	if (slash)
		len = (size_t)(slash - bus);
	while (len && bus[len - 1] == '/')
		len--;
	/* Children run in --dir: a log's place is made absolute. */
	if (strncmp(bus, "log:", 4) == 0 && bus[4] != '/') {
		char cwd[URL_MAX / 2];

		snprintf(ops->bus, sizeof(ops->bus), "log:%s/%.*s",
			 getcwd(cwd, sizeof(cwd)) ? cwd : ".", (int)(len - 4), bus + 4);
	} else {
		snprintf(ops->bus, sizeof(ops->bus), "%.*s", (int)len, bus);
	}
}

int ops_open(struct ops **opsp, const struct ops_conf *conf, struct err *err)
{
	struct ops *ops = calloc(1, sizeof(*ops));
	const char *config = conf->options->config;
	int rc;

	*opsp = ops;
	if (!ops)
		return err_set(err, -ENOMEM, "no memory");
	ops->conf = *conf;
	if (config && config[0] && !realpath(config, ops->config))
		return err_set(err, -errno, "%s: %s", config, strerror(errno));
	snprintf(ops->config_arg, sizeof(ops->config_arg), "--config=%s", ops->config);
	find_bus(ops);
	ops->has_dbip = ops->config[0] && source_file_has_dbip(ops->config);
	rc = json_open(&ops->json, err);
	if (rc == 0)
		rc = children_open(&ops->children, conf->loop, conf->options->dir, err);
	for (int i = 0; i < 2 && rc == 0; i++)
		ops->to_learn += child_run(ops->children, i ? TRIGGERS : KINDS, QUICK_MS, on_kinds,
					   ops) == 0;
	return rc;
}

void ops_close(struct ops *ops)
{
	if (!ops)
		return;
	children_close(ops->children);
	json_close(ops->json);
	for (int i = 0; i < AUDITS_MAX; i++)
		buf_close(&ops->audits[i].text);
	free(ops);
}
