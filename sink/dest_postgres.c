/* dest_postgres - rows of a PostgreSQL table, each event once
 *
 *      BEGIN
 *      COPY pg_temp.table FROM STDIN               a temporary table, emptied at each commit
 *      INSERT INTO table SELECT .. FROM pg_temp.table ON CONFLICT (message_id) DO NOTHING
 *      COMMIT
 *
 * The table's key is message_id, so what comes again (after kill -9, a lost answer, a replay)
 * changes nothing. It is made where it is missing, with a column per leaf of the topic's schema
 * (row.h); columns that a newer version of the schema brings are added. A batch that is refused
 * for its data is cut until the bad row is alone.
 *
 * Columns: text; JSON leaves jsonb; times timestamptz; bytes bytea. PostgreSQL has no NUL in texts:
 * it becomes U+FFFD.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/when.h"
#include "sink/kinds.h"
#include "sink/pg.h"
#include "sink/row.h"

struct conf {
	const char *host, *database, *user, *password, *schema, *table, *tls, *ca_file;
	struct dest_list columns;
	int64_t port;
	bool create;
};

struct dest {
	const struct conf *conf;
	int64_t timeout_ms;
	struct row row;
	struct json_reader *json;       /* map's */
	struct buf clean;               /* map's */
	struct pg *pg;
	struct buf prepare, copy, insert, rows; /* put's; statements */
	bool is_staged;                 /* this connection has its temporary table */
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "host", DEST_FIELD_TEXT, AT(host), NULL, true, 0, 0, NULL,
	  "name or address; a path: directory of a socket" },
	{ "port", DEST_FIELD_COUNT, AT(port), "5432", false, 1, 65535, NULL, "of the server" },
	{ "database", DEST_FIELD_TEXT, AT(database), NULL, true, 0, 0, NULL, "its name" },
	{ "user", DEST_FIELD_TEXT, AT(user), NULL, true, 0, 0, NULL, "role to log in as" },
	{ "password", DEST_FIELD_SECRET, AT(password), NULL, false, 0, 0, NULL, "of the role" },
	{ "schema", DEST_FIELD_TEXT, AT(schema), "public", false, 0, 0, NULL, "of the table" },
	{ "table", DEST_FIELD_TEXT, AT(table), "events", false, 0, 0, NULL,
	  "is made where it is missing" },
	{ "columns", DEST_FIELD_LIST, AT(columns), NULL, false, 0, 0, NULL,
	  "only these, such as [event, user_id, timestamp, properties]; all where not given" },
	{ "create", DEST_FIELD_FLAG, AT(create), "yes", false, 0, 0, NULL,
	  "make the table and columns that are missing" },
	{ "tls", DEST_FIELD_CHOICE, AT(tls), "verify-full", false, 0, 0,
	  "verify-full|require|disable", "require: without a check of the certificate" },
	{ "ca_file", DEST_FIELD_TEXT, AT(ca_file), NULL, false, 0, 0, NULL,
	  "certificates to trust; the system's where not given" },
	{ .name = NULL },
};

static int postgres_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	int rc = row_check_name("schema", conf->schema, err);

	return rc < 0 ? rc : row_check_name("table", conf->table, err);
}

/* Statements */

static const char *type_of(enum row_kind kind)
{
	switch (kind) {
	case ROW_JSON:
		return "jsonb";
	case ROW_TIME:
		return "timestamptz";
	case ROW_INT:
		return "bigint";
	case ROW_REAL:
		return "double precision";
	case ROW_FLAG:
		return "boolean";
	case ROW_BYTES:
		return "bytea";
	case ROW_TEXT:
	case ROW_ENUM:
		break;
	}
	return "text";
}

static void put_columns(const struct row *row, struct buf *out)
{
	buf_append_text(out, "\"message_id\"");
	for (size_t i = 0; i < row->count; i++)
		buf_printf(out, ",\"%s\"", row->columns[i].name);
}

/* Only what is missing is made: a role without the right to make it may still write. */
static void make_prepare(struct dest *dest, const char *table)
{
	const struct row *row = &dest->row;
	struct buf *out = &dest->prepare;
	bool has_time = false;

	buf_printf(out, "DO $do$ BEGIN IF to_regclass('%s') IS NULL THEN CREATE TABLE %s "
		   "(\"message_id\" text PRIMARY KEY", table, table);
	for (size_t i = 0; i < row->count; i++) {
		buf_printf(out, ",\"%s\" %s", row->columns[i].name,
			   type_of(row->columns[i].kind));
		has_time |= strcmp(row->columns[i].name, "timestamp") == 0;
	}
	buf_append_text(out, ");");
	if (has_time)
		buf_printf(out, "CREATE INDEX ON %s USING brin (\"timestamp\");", table);
	buf_append_text(out, "ELSIF EXISTS (SELECT 1 FROM unnest(ARRAY['message_id'");
	for (size_t i = 0; i < row->count; i++)
		buf_printf(out, ",'%s'", row->columns[i].name);
	buf_printf(out, "]) AS c WHERE NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = "
		   "to_regclass('%s') AND attname = c AND NOT attisdropped)) THEN ALTER TABLE %s ",
		   table, table);
	for (size_t i = 0; i < row->count; i++)
		buf_printf(out, "%sADD COLUMN IF NOT EXISTS \"%s\" %s", i ? "," : "",
			   row->columns[i].name, type_of(row->columns[i].kind));
	if (!row->count)
		buf_append_text(out, "ADD COLUMN IF NOT EXISTS \"message_id\" text PRIMARY KEY");
	buf_append_text(out, ";END IF;END $do$");
}

static int make_statements(struct dest *dest)
{
	char table[2 * ROW_NAME_MAX + 8];

	snprintf(table, sizeof(table), "\"%s\".\"%s\"", dest->conf->schema, dest->conf->table);
	make_prepare(dest, table);
	buf_printf(&dest->copy, "COPY pg_temp.\"%s\" (", dest->conf->table);
	put_columns(&dest->row, &dest->copy);
	buf_append_text(&dest->copy, ") FROM STDIN");
	buf_printf(&dest->insert, "INSERT INTO %s (", table);
	put_columns(&dest->row, &dest->insert);
	buf_append_text(&dest->insert, ") SELECT ");
	put_columns(&dest->row, &dest->insert);
	buf_printf(&dest->insert, " FROM pg_temp.\"%s\" ON CONFLICT (\"message_id\") DO NOTHING;"
		   "COMMIT", dest->conf->table);
	buf_append_char(&dest->prepare, '\0');
	buf_append_char(&dest->copy, '\0');
	buf_append_char(&dest->insert, '\0');
	return dest->prepare.failed || dest->copy.failed || dest->insert.failed ? -ENOMEM : 0;
}

static void postgres_close(struct dest *dest)
{
	if (!dest)
		return;
	pg_close(dest->pg);
	row_reset(&dest->row);
	json_close(dest->json);
	buf_close(&dest->clean);
	buf_close(&dest->prepare);
	buf_close(&dest->copy);
	buf_close(&dest->insert);
	buf_close(&dest->rows);
	free(dest);
}

static int postgres_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	const struct conf *conf = env->conf;
	struct pg_conf pg = {
		.host = conf->host, .port = conf->port, .database = conf->database,
		.user = conf->user, .password = conf->password, .tls = conf->tls,
		.ca_file = conf->ca_file ? conf->ca_file : env->ca_file, .name = "millrace",
		.guard = env->guard, .stop = env->stop,
	};
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = conf;
	dest->timeout_ms = env->timeout_ms;
	if ((rc = row_init(&dest->row, env->schema, &conf->columns, err)) < 0 ||
	    (rc = json_open(&dest->json, err)) < 0 || (rc = pg_open(&dest->pg, &pg)) < 0 ||
	    (rc = make_statements(dest)) < 0) {
		postgres_close(dest);
		return err_set(err, rc, "no memory");
	}
	*destp = dest;
	return 0;
}

/* Rows, in COPY's text format */

static void put_escaped(struct slice text, struct buf *out)
{
	size_t from = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		const char *escape = c == '\\' ? "\\\\" : c == '\t' ? "\\t" : c == '\n' ? "\\n"
				     : c == '\r' ? "\\r" : c == '\0' ? "\xef\xbf\xbd" : NULL;

		if (!escape)
			continue;
		buf_append(out, text.ptr + from, i - from);
		buf_append_text(out, escape);
		from = i + 1;
	}
	buf_append(out, text.ptr + from, text.len - from);
}

/* jsonb has no \u0000 in its texts; an escape is one where an odd number of \ stands there. */
static struct slice without_nul(struct dest *dest, struct slice text)
{
	const char *at = text.ptr, *end = text.ptr + text.len, *from = text.ptr;

	if (!memmem(text.ptr, text.len, "\\u0000", 6))
		return text;
	buf_reset(&dest->clean);
	while ((at = memchr(at, '\\', (size_t)(end - at)))) {
		if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) {
			buf_append(&dest->clean, from, (size_t)(at - from));
			buf_append_text(&dest->clean, "\\ufffd");
			from = at + 6;
		}
		at += end - at > 1 ? 2 : 1;
	}
	buf_append(&dest->clean, from, (size_t)(end - from));
	return buf_slice(&dest->clean);
}

static void put_json(struct dest *dest, struct slice text, struct buf *out)
{
	yyjson_val *root;

	if (json_parse(dest->json, text, &root, NULL) < 0) {
		buf_reset(&dest->clean);
		json_write_text(text, &dest->clean);
		text = buf_slice(&dest->clean);
	}
	put_escaped(without_nul(dest, text), out);
}

static void put_text(struct dest *dest, struct slice text, struct buf *out)
{
	buf_reset(&dest->clean);
	json_clean_utf8(text, &dest->clean);
	put_escaped(buf_slice(&dest->clean), out);
}

static void put_value(struct dest *dest, const struct row_column *column,
		      const struct value *value, struct buf *out)
{
	char when[WHEN_TEXT_MAX];

	if (!value->is_set) {
		buf_append_text(out, "\\N");
		return;
	}
	switch (column->kind) {
	case ROW_TEXT:
		put_text(dest, value->text, out);
		break;
	case ROW_ENUM:
		put_escaped(column->field->symbols[value->num], out);
		break;
	case ROW_JSON:
		put_json(dest, value->text, out);
		break;
	case ROW_TIME:
		when_print(value->num, 6, when);
		buf_append_text(out, when);
		break;
	case ROW_INT:
		buf_printf(out, "%lld", (long long)value->num);
		break;
	case ROW_FLAG:
		buf_append_char(out, value->num ? 't' : 'f');
		break;
	case ROW_REAL:
		buf_printf(out, "%.17g", value->real);
		break;
	case ROW_BYTES:
		buf_append_text(out, "\\\\x");
		for (size_t i = 0; i < value->text.len; i++)
			buf_printf(out, "%02x", (unsigned char)value->text.ptr[i]);
		break;
	}
}

/* All but message_id, with a tab before each. */
static int postgres_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	for (size_t i = 0; i < dest->row.count; i++) {
		const struct row_column *column = &dest->row.columns[i];

		buf_append_char(out->buf, '\t');
		put_value(dest, column, &event->fields[column->leaf], out->buf);
	}
	buf_append_char(out->buf, '\n');
	return dest_out_end(out, 0);
}

/* Putting */

/* The temporary table has the name of the other, which words of errors then name. */
static int stage(struct dest *dest)
{
	char make[3 * ROW_NAME_MAX + 120];

	if (dest->conf->create && pg_run(dest->pg, dest->prepare.ptr) < 0)
		return -1;
	snprintf(make, sizeof(make), "CREATE TEMP TABLE \"%s\" (LIKE \"%s\".\"%s\" INCLUDING "
		 "DEFAULTS) ON COMMIT DELETE ROWS", dest->conf->table, dest->conf->schema,
		 dest->conf->table);
	if (pg_run(dest->pg, "DISCARD TEMP") < 0 || pg_run(dest->pg, make) < 0)
		return -1;
	dest->is_staged = true;
	return 0;
}

static int write_rows(struct dest *dest, const struct dest_batch *batch)
{
	if (pg_run(dest->pg, "BEGIN") < 0 || pg_copy_begin(dest->pg, dest->copy.ptr) < 0)
		return -1;
	buf_reset(&dest->rows);
	for (size_t i = 0; i < batch->count; i++) {
		put_escaped(batch->items[i]->message_id, &dest->rows);
		buf_append_slice(&dest->rows, batch->items[i]->payload);
		if (dest->rows.len < ((size_t)64 << 10) && i + 1 < batch->count)
			continue;
		if (pg_copy_put(dest->pg, buf_slice(&dest->rows)) < 0)
			return -1;
		buf_reset(&dest->rows);
	}
	if (pg_copy_end(dest->pg) < 0)
		return -1;
	return pg_run(dest->pg, dest->insert.ptr);
}

static void postgres_put(struct dest *dest, const struct dest_batch *batch,
			 struct dest_result *results)
{
	enum dest_class class;
	bool is_new = false;
	char words[DEST_WORDS_MAX];

	pg_until(dest->pg, when_monotonic_ms() + dest->timeout_ms);
	if (pg_connect(dest->pg, &is_new) == 0) {
		dest->is_staged &= !is_new;
		if (!dest->is_staged && stage(dest) < 0) {
			/* Two sinks that make the same table at once: one of them loses. */
			class = pg_class(dest->pg);
			dest_result_all(batch, results,
					class == DEST_INVALID ? DEST_TRANSIENT : class,
					slice_from(pg_words(dest->pg)));
			return;
		}
		if (write_rows(dest, batch) == 0)
			return;
	}
	class = pg_class(dest->pg);
	snprintf(words, sizeof(words), "%s", pg_words(dest->pg));
	if (pg_is_connected(dest->pg) && pg_run(dest->pg, "ROLLBACK") == 0 &&
	    class == DEST_SETUP)
		dest->is_staged = false;        /* the table may be another one by then */
	dest_result_all(batch, results, class, slice_from(words));
}

const struct dest_kind dest_postgres = {
	.name = "postgres",
	.summary = "rows of a PostgreSQL table, each event once",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_WHOLE | DEST_ANY_TOPIC | DEST_NO_BATCH_KEY,
	.accepts = DEST_ALL,
	.limits = { .items = 5000, .items_max = 100000, .bytes = 16 << 20, .wait_ms = 1000,
		    .concurrency = 1, .timeout_ms = 60000 },
	.check = postgres_check,
	.open = postgres_open,
	.map = postgres_map,
	.put = postgres_put,
	.close = postgres_close,
};
