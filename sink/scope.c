// SPDX-License-Identifier: Apache-2.0
#include "sink/scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/record.h"
#include "lib/when.h"

struct scope {
	struct json_reader *json;
	struct buf text;
	bool is_members;
	char trigger[65];
};

int scope_open(struct scope **scopep, const struct schema *schema, const char *trigger,
	       struct err *err)
{
	struct scope *scope = calloc(1, sizeof(*scope));
	int rc = scope ? json_open(&scope->json, err) : -ENOMEM;

	*scopep = NULL;
	if (rc < 0) {
		free(scope);
		return err_set(err, rc, "no memory");
	}
	scope->is_members = schema_find(schema, "change") == MEMBERS_CHANGE &&
			    schema_find(schema, "profile") == MEMBERS_PROFILE;
	snprintf(scope->trigger, sizeof(scope->trigger), "%s", trigger);
	*scopep = scope;
	return 0;
}

void scope_close(struct scope *scope)
{
	if (!scope)
		return;
	json_close(scope->json);
	buf_close(&scope->text);
	free(scope);
}

static void put_text(struct buf *out, const char *name, struct slice text)
{
	buf_printf(out, "\"%s\":", name);
	json_write_text(text, out);
	buf_append_char(out, ',');
}

static void put_members(struct scope *scope, const struct value *fields)
{
	struct buf *out = &scope->text;
	struct slice profile = value_slice(&fields[MEMBERS_PROFILE]);
	struct slice ids = value_slice(&fields[MEMBERS_IDS]);
	char at[WHEN_TEXT_MAX];

	when_print(fields[MEMBERS_AT].num, 3, at);
	buf_append_char(out, '{');
	put_text(out, "person", value_slice(&fields[MEMBERS_PERSON]));
	put_text(out, "query", value_slice(&fields[MEMBERS_QUERY]));
	put_text(out, "trigger", slice_from(scope->trigger));
	put_text(out, "change", value_slice(&fields[MEMBERS_CHANGE]));
	put_text(out, "at", slice_from(at));
	buf_printf(out, "\"version\":%lld,\"total\":%lld,\"profile\":",
		   (long long)fields[MEMBERS_VERSION].num, (long long)fields[MEMBERS_TOTAL].num);
	buf_append_slice(out, profile.len ? profile : SLICE("{}"));
	buf_append_text(out, ",\"ids\":");
	buf_append_slice(out, ids.len ? ids : SLICE("[]"));
	buf_append_char(out, '}');
}

int scope_read(struct scope *scope, const struct event *event, bool is_strict,
	       struct template_scope *names, struct err *err)
{
	yyjson_val *root = NULL;
	int rc;

	buf_reset(&scope->text);
	if (scope->is_members)
		put_members(scope, event->fields);
	else
		buf_append_slice(&scope->text, event_line(event));
	if (scope->text.failed)
		return err_set(err, -ENOMEM, "no memory");
	rc = json_parse(scope->json, buf_slice(&scope->text), &root, err);
	*names = (struct template_scope){ .all = root, .is_strict = is_strict };
	if (rc == 0 && scope->is_members)
		names->own = json_get(root, "profile");
	return rc;
}
