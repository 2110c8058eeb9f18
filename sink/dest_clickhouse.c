/* dest_clickhouse - rows of a ClickHouse table over its HTTP interface
 *
 *      CREATE TABLE IF NOT EXISTS, columns that are missing        once
 *      SELECT message_id .. IN (..)                                where some may be there
 *      INSERT .. FORMAT JSONEachRow
 *
 * ClickHouse has no unique key. So rows that may have come before are asked for before they are
 * inserted: those of a retry or a replay, and the first ones after a start, among which is what was
 * under way when the last run was killed. All else (power loss) is ReplacingMergeTree's: its merges
 * leave one row of each message_id, and FINAL reads only one before. The sorting key is (day,
 * event, message_id), or message_id where a topic has no times.
 *
 * Columns: String; JSON leaves as text; times DateTime (UTC) in seconds and NAME_us, an Int64 with
 * all of it; numbers Nullable; bytes in base64. Works from version 18 on.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/when.h"
#include "sink/errand.h"
#include "sink/kinds.h"
#include "sink/row.h"
#include "sink/sheet.h"

#define DOUBTFUL 20000          /* parts after a start: more than can have been under way */
#define ASK_IDS  400            /* in one question: its answer fits into POST_BODY_MAX */
#define DATETIME_MAX INT64_C(4294967295)

struct conf {
	const char *url, *database, *table, *user, *password;
	struct dest_list columns;
	bool create;
};

struct dest {
	const struct conf *conf;
	int64_t timeout_ms;
	struct row row;
	struct errand *errand;          /* put's from here on */
	struct buf sql;
	int64_t deadline_ms;
	size_t parts;                   /* since the start */
	bool is_ready, has_time, is_replay;
	bool *is_there;                 /* of the batch's parts */
	size_t there_cap;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "url", DEST_FIELD_URL, AT(url), NULL, true, 0, 0, NULL,
	  "of the HTTP interface, such as https://HOST:8443" },
	{ "database", DEST_FIELD_TEXT, AT(database), "default", false, 0, 0, NULL, "of the table" },
	{ "table", DEST_FIELD_TEXT, AT(table), "events", false, 0, 0, NULL,
	  "is made where it is missing" },
	{ "user", DEST_FIELD_TEXT, AT(user), "default", false, 0, 0, NULL, "to log in as" },
	{ "password", DEST_FIELD_SECRET, AT(password), NULL, false, 0, 0, NULL, "of the user" },
	{ "columns", DEST_FIELD_LIST, AT(columns), NULL, false, 0, 0, NULL,
	  "only these, such as [event, user_id, timestamp, properties]; all where not given" },
	{ "create", DEST_FIELD_FLAG, AT(create), "yes", false, 0, 0, NULL,
	  "make the table and columns that are missing; no: what has no column is left out" },
	{ .name = NULL },
};

static int clickhouse_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	int rc = row_check_name("database", conf->database, err);

	return rc < 0 ? rc : row_check_name("table", conf->table, err);
}

static void clickhouse_close(struct dest *dest)
{
	if (!dest)
		return;
	row_reset(&dest->row);
	errand_close(dest->errand);
	buf_close(&dest->sql);
	free(dest->is_there);
	free(dest);
}

static int clickhouse_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	dest->timeout_ms = env->timeout_ms;
	dest->is_replay = env->is_replay;
	if ((rc = row_init(&dest->row, env->schema, &dest->conf->columns, err)) < 0 ||
	    (rc = errand_open(&dest->errand, env, err)) < 0) {
		clickhouse_close(dest);
		return rc;
	}
	for (size_t i = 0; i < dest->row.count; i++)
		dest->has_time |= strcmp(dest->row.columns[i].name, "timestamp") == 0;
	*destp = dest;
	return 0;
}

/* Rows */

static void put_time(const struct row_column *column, int64_t us, struct sheet *sheet)
{
	int64_t seconds = us < 0 ? 0 : us / 1000000;
	char text[WHEN_TEXT_MAX], name[ROW_NAME_MAX + 4];

	if (seconds > DATETIME_MAX)
		seconds = DATETIME_MAX;
	when_print(seconds * 1000000, 3, text);
	text[10] = ' ';
	sheet_text(sheet, column->name, (struct slice){ text, 19 });
	snprintf(name, sizeof(name), "%s_us", column->name);
	sheet_num(sheet, name, us);
}

static void put_bytes(const struct row_column *column, struct slice bytes, struct buf *out)
{
	char *at;

	(void)column;
	buf_append_char(out, '"');
	at = buf_reserve(out, bytes.len * 4 / 3 + 8);
	if (at)
		out->len += (size_t)EVP_EncodeBlock((unsigned char *)at,
						    (const unsigned char *)bytes.ptr,
						    (int)bytes.len);
	buf_append_char(out, '"');
}

static void put_value(const struct row_column *column, const struct value *value,
		      struct sheet *sheet)
{
	switch (column->kind) {
	case ROW_TEXT:
	case ROW_JSON:
		sheet_text(sheet, column->name, value->text);
		break;
	case ROW_ENUM:
		sheet_text(sheet, column->name, column->field->symbols[value->num]);
		break;
	case ROW_TIME:
		put_time(column, value->num, sheet);
		break;
	case ROW_INT:
	case ROW_FLAG:
		sheet_num(sheet, column->name, value->num);
		break;
	case ROW_REAL:
		if (!isfinite(value->real))
			break;
		sheet_name(sheet, column->name);
		buf_printf(sheet->out, "%.17g", value->real);
		break;
	case ROW_BYTES:
		sheet_name(sheet, column->name);
		put_bytes(column, value->text, sheet->out);
		break;
	}
}

/* All but message_id and the first brace. */
static int clickhouse_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct sheet sheet = { .out = out->buf, .has_members = true };

	for (size_t i = 0; i < dest->row.count; i++) {
		const struct row_column *column = &dest->row.columns[i];
		const struct value *value = &event->fields[column->leaf];

		if (value->is_set)
			put_value(column, value, &sheet);
	}
	buf_append_text(out->buf, "}\n");
	return dest_out_end(out, 0);
}

/* Requests */

static void put_escaped(struct buf *out, struct slice text)
{
	buf_append_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, text.ptr[i]);
	}
	buf_append_char(out, '\'');
}

/* Codes of ClickHouse's ErrorCodes that say more than the status. */
static enum dest_class class_of(int code, int status)
{
	static const int setup[] = { 16, 36, 44, 46, 47, 48, 50, 60, 62, 81, 115, 164, 192, 193,
				     194, 195, 291, 497, 516 };
	static const int invalid[] = { 6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131,
				       321, 349, 441 };

	for (size_t i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
		if (code == setup[i])
			return DEST_SETUP;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		if (code == invalid[i])
			return DEST_INVALID;
	return code || status >= 400 ? (code ? DEST_TRANSIENT : dest_class_of_status(status, false))
				     : DEST_OK;
}

/* "Code: 60, e.displayText() = DB::Exception: Table ..". A row may stand in it: only its begin. */
static void set_failure(const struct post_answer *answer, struct dest_result *result)
{
	struct slice body = answer->body;
	char head[64], text[DEST_WORDS_MAX];
	size_t len = body.len < sizeof(head) - 1 ? body.len : sizeof(head) - 1;
	const char *words;
	long code = 0;

	if (slice_starts(body, SLICE("Code: "))) {
		memcpy(head, body.ptr, len);
		head[len] = '\0';
		code = strtol(head + 6, NULL, 10);
	}
	words = body.len ? memmem(body.ptr, body.len, "Exception: ", 11) : NULL;
	if (words)
		body = slice_skip(body, (size_t)(words - body.ptr) + 11);
	snprintf(text, sizeof(text), "status %d, code %ld: %.*s", answer->status, code,
		 (int)(body.len < 120 ? body.len : 120), body.len ? body.ptr : "");
	dest_result_set(result, class_of((int)code, answer->status), slice_from(text));
	if (result->class == DEST_OK)
		result->class = DEST_TRANSIENT;
}

static struct post_request *begin(struct dest *dest, const char *query)
{
	const struct conf *conf = dest->conf;
	struct post_request *request = errand_begin(dest->errand);
	size_t len = strlen(conf->url);

	while (len && conf->url[len - 1] == '/')
		len--;
	snprintf(request->url, sizeof(request->url), "%.*s/?database=%s%s", (int)len, conf->url,
		 conf->database, query);
	if (post_header(request, "X-ClickHouse-User", slice_from(conf->user)) < 0 ||
	    (conf->password && post_header(request, "X-ClickHouse-Key",
					   slice_from(conf->password)) < 0) ||
	    post_header(request, "Content-Type", SLICE("text/plain; charset=utf-8")) < 0)
		request->body.failed = true;
	return request;
}

/* NULL: *result says why. */
static const struct post_answer *run(struct dest *dest, struct dest_result *result)
{
	const struct post_answer *answer = errand_run(dest->errand, dest->deadline_ms, result);

	if (answer && answer->status != 200) {
		set_failure(answer, result);
		return NULL;
	}
	return answer;
}

/* The statement of dest->sql. */
static const struct post_answer *run_sql(struct dest *dest, struct dest_result *result)
{
	struct post_request *request = begin(dest, "&max_query_size=8000000");

	buf_append_slice(&request->body, buf_slice(&dest->sql));
	request->body.failed |= dest->sql.failed;
	return run(dest, result);
}

/* The table */

static const char *type_of(enum row_kind kind)
{
	switch (kind) {
	case ROW_TIME:
		return "DateTime('UTC')";
	case ROW_INT:
		return "Nullable(Int64)";
	case ROW_REAL:
		return "Nullable(Float64)";
	case ROW_FLAG:
		return "Nullable(UInt8)";
	case ROW_TEXT:
	case ROW_JSON:
	case ROW_BYTES:
	case ROW_ENUM:
		break;
	}
	return "String";
}

static bool has_event(const struct row *row)
{
	for (size_t i = 0; i < row->count; i++)
		if (strcmp(row->columns[i].name, "event") == 0)
			return true;
	return false;
}

static bool make_table(struct dest *dest, struct dest_result *result)
{
	struct buf *sql = &dest->sql;

	buf_reset(sql);
	buf_printf(sql, "CREATE TABLE IF NOT EXISTS %s.%s (message_id String",
		   dest->conf->database, dest->conf->table);
	for (size_t i = 0; i < dest->row.count; i++) {
		const struct row_column *column = &dest->row.columns[i];

		buf_printf(sql, ", %s %s", column->name, type_of(column->kind));
		if (column->kind == ROW_TIME)
			buf_printf(sql, ", %s_us Int64", column->name);
	}
	buf_append_text(sql, ") ENGINE = ReplacingMergeTree");
	if (dest->has_time)
		buf_printf(sql, " PARTITION BY toYYYYMM(timestamp) ORDER BY (toDate(timestamp), "
			   "%smessage_id)", has_event(&dest->row) ? "event, " : "");
	else
		buf_append_text(sql, " ORDER BY message_id");
	return run_sql(dest, result) != NULL;
}

static bool has_line(struct slice text, const char *name)
{
	size_t len = strlen(name);

	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t line = end ? (size_t)(end - text.ptr) : text.len;

		if (line == len && memcmp(text.ptr, name, len) == 0)
			return true;
		text = slice_skip(text, line + (end != NULL));
	}
	return false;
}

/* Old versions know no ADD COLUMN IF NOT EXISTS. */
static bool add_columns(struct dest *dest, struct dest_result *result)
{
	const struct post_answer *answer;
	struct buf *sql = &dest->sql;
	size_t begun;

	buf_reset(sql);
	buf_printf(sql, "SELECT name FROM system.columns WHERE database = '%s' AND table = '%s' "
		   "FORMAT TSV", dest->conf->database, dest->conf->table);
	answer = run_sql(dest, result);
	if (!answer)
		return false;
	buf_reset(sql);
	buf_printf(sql, "ALTER TABLE %s.%s ", dest->conf->database, dest->conf->table);
	begun = sql->len;
	for (size_t i = 0; i < dest->row.count; i++) {
		const struct row_column *column = &dest->row.columns[i];
		char us[ROW_NAME_MAX + 4];

		snprintf(us, sizeof(us), "%s_us", column->name);
		if (!has_line(answer->body, column->name))
			buf_printf(sql, "%sADD COLUMN %s %s", sql->len > begun ? ", " : "",
				   column->name, type_of(column->kind));
		if (column->kind == ROW_TIME && !has_line(answer->body, us))
			buf_printf(sql, "%sADD COLUMN %s Int64", sql->len > begun ? ", " : "", us);
	}
	return sql->len == begun || run_sql(dest, result) != NULL;
}

/* What is there already */

static void put_hex(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_printf(out, "%02X", (unsigned char)text.ptr[i]);
}

static bool ask(struct dest *dest, const struct dest_batch *batch, size_t from, size_t to,
		struct dest_result *result)
{
	int64_t first = INT64_MAX, last = 0;
	const struct post_answer *answer;
	struct buf *sql = &dest->sql;

	for (size_t i = from; i < to; i++) {
		int64_t s = batch->items[i]->timestamp_us / 1000000;

		s = s < 0 ? 0 : s > DATETIME_MAX ? DATETIME_MAX : s;
		first = s < first ? s : first;
		last = s > last ? s : last;
	}
	buf_reset(sql);
	buf_printf(sql, "SELECT DISTINCT hex(message_id) FROM %s.%s WHERE ", dest->conf->database,
		   dest->conf->table);
	if (dest->has_time)
		buf_printf(sql, "timestamp >= toDateTime(%" PRId64 ") AND timestamp <= "
			   "toDateTime(%" PRId64 ") AND ", first, last);
	buf_append_text(sql, "message_id IN (");
	for (size_t i = from; i < to; i++) {
		if (i > from)
			buf_append_char(sql, ',');
		put_escaped(sql, batch->items[i]->message_id);
	}
	buf_append_text(sql, ") FORMAT TSV");
	answer = run_sql(dest, result);
	if (!answer)
		return false;
	for (size_t i = from; i < to; i++) {
		buf_reset(sql);
		put_hex(sql, batch->items[i]->message_id);
		buf_append_char(sql, '\0');
		if (sql->failed) {
			dest_result_set(result, DEST_TRANSIENT, SLICE("no memory"));
			return false;
		}
		dest->is_there[i] = has_line(answer->body, sql->ptr);
	}
	return true;
}

static bool ask_all(struct dest *dest, const struct dest_batch *batch, struct dest_result *result)
{
	if (batch->count > dest->there_cap) {
		bool *list = realloc(dest->is_there, batch->count);

		if (!list) {
			dest_result_set(result, DEST_TRANSIENT, SLICE("no memory"));
			return false;
		}
		dest->is_there = list;
		dest->there_cap = batch->count;
	}
	memset(dest->is_there, 0, batch->count);
	if (batch->attempt == 1 && dest->parts > DOUBTFUL && !dest->is_replay)
		return true;
	for (size_t i = 0; i < batch->count; i += ASK_IDS)
		if (!ask(dest, batch, i, i + ASK_IDS < batch->count ? i + ASK_IDS : batch->count,
			 result))
			return false;
	return true;
}

/* Putting */

static bool insert(struct dest *dest, const struct dest_batch *batch, struct dest_result *result)
{
	struct post_request *request;
	char query[200];
	size_t count = 0;

	snprintf(query, sizeof(query), "&input_format_skip_unknown_fields=1&query=INSERT%%20INTO"
		 "%%20%s.%s%%20FORMAT%%20JSONEachRow", dest->conf->database, dest->conf->table);
	request = begin(dest, query);
	for (size_t i = 0; i < batch->count; i++) {
		if (dest->is_there[i])
			continue;
		buf_append_text(&request->body, "{\"message_id\":");
		json_write_text(batch->items[i]->message_id, &request->body);
		buf_append_slice(&request->body, batch->items[i]->payload);
		count++;
	}
	return count == 0 || run(dest, result) != NULL;
}

static void clickhouse_put(struct dest *dest, const struct dest_batch *batch,
			   struct dest_result *results)
{
	struct dest_result result = { .class = DEST_OK };

	dest->deadline_ms = when_monotonic_ms() + dest->timeout_ms;
	if (!dest->is_ready)
		dest->is_ready = !dest->conf->create || (make_table(dest, &result) &&
							 add_columns(dest, &result));
	if (dest->is_ready && ask_all(dest, batch, &result) && insert(dest, batch, &result)) {
		dest->parts += batch->count;
		return;
	}
	if (result.class == DEST_SETUP)
		dest->is_ready = false;
	dest_result_all(batch, results, result.class, slice_from(result.words));
}

const struct dest_kind dest_clickhouse = {
	.name = "clickhouse",
	.summary = "rows of a ClickHouse table",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_WHOLE | DEST_ANY_TOPIC | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 10000, .items_max = 100000, .bytes = 16 << 20, .wait_ms = 1000,
		    .concurrency = 1, .timeout_ms = 60000 },
	.check = clickhouse_check,
	.open = clickhouse_open,
	.map = clickhouse_map,
	.put = clickhouse_put,
	.close = clickhouse_close,
};
