// SPDX-License-Identifier: Apache-2.0
#include "aggregate/row.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/record.h"

#define TIME_MIN_US  INT64_C(31536000000000)            /* 1971 */
#define AHEAD_MAX_US INT64_C(3600000000)
#define OPS_MAX      PROP_COUNT_MAX

/* What leaves become columns. */
static const struct builtin {
	struct slice name;
	int leaf;
} builtins[] = {
	{ SLICE_INIT("$event"), ENRICHED_EVENT },
	{ SLICE_INIT("$source"), ENRICHED_SOURCE },
	{ SLICE_INIT("$type"), ENRICHED_TYPE },
	{ SLICE_INIT("$name"), ENRICHED_NAME },
	{ SLICE_INIT("$category"), ENRICHED_CATEGORY },
	{ SLICE_INIT("$group_id"), ENRICHED_GROUP_ID },
	{ SLICE_INIT("$ip"), ENRICHED_IP },
	{ SLICE_INIT("$country"), ENRICHED_GEO_COUNTRY },
	{ SLICE_INIT("$region"), ENRICHED_GEO_REGION },
	{ SLICE_INIT("$city"), ENRICHED_GEO_CITY },
	{ SLICE_INIT("$browser"), ENRICHED_AGENT_BROWSER },
	{ SLICE_INIT("$browser_version"), ENRICHED_AGENT_VERSION },
	{ SLICE_INIT("$os"), ENRICHED_AGENT_OS },
	{ SLICE_INIT("$os_version"), ENRICHED_AGENT_OS_VERSION },
	{ SLICE_INIT("$device"), ENRICHED_AGENT_DEVICE },
	{ SLICE_INIT("$bot"), ENRICHED_AGENT_BOT },
	{ SLICE_INIT("$url"), ENRICHED_PAGE_URL },
	{ SLICE_INIT("$host"), ENRICHED_PAGE_HOST },
	{ SLICE_INIT("$path"), ENRICHED_PAGE_PATH },
	{ SLICE_INIT("$title"), ENRICHED_PAGE_TITLE },
	{ SLICE_INIT("$referrer"), ENRICHED_PAGE_REFERRER },
	{ SLICE_INIT("$referring_domain"), ENRICHED_PAGE_REFERRING_DOMAIN },
	{ SLICE_INIT("$utm_source"), ENRICHED_CAMPAIGN_SOURCE },
	{ SLICE_INIT("$utm_medium"), ENRICHED_CAMPAIGN_MEDIUM },
	{ SLICE_INIT("$utm_campaign"), ENRICHED_CAMPAIGN_NAME },
	{ SLICE_INIT("$utm_term"), ENRICHED_CAMPAIGN_TERM },
	{ SLICE_INIT("$utm_content"), ENRICHED_CAMPAIGN_CONTENT },
	{ SLICE_INIT("$click_id"), ENRICHED_CAMPAIGN_CLICK_ID },
	{ SLICE_INIT("$referrer_medium"), ENRICHED_REFERRER_MEDIUM },
	{ SLICE_INIT("$referrer_source"), ENRICHED_REFERRER_SOURCE },
	{ SLICE_INIT("$library"), ENRICHED_LIBRARY_NAME },
	{ SLICE_INIT("$locale"), ENRICHED_LOCALE },
	{ SLICE_INIT("$timezone"), ENRICHED_TIMEZONE },
	{ SLICE_INIT("$screen"), ENRICHED_SCREEN },
};

#define BUILTINS (sizeof(builtins) / sizeof(builtins[0]))

static const struct operation {
	struct slice name;              /* with a dot: an object's members */
	enum person_op op;
} operations[] = {
	{ SLICE_INIT("$set."), PERSON_SET },
	{ SLICE_INIT("$set_once."), PERSON_SET_ONCE },
	{ SLICE_INIT("$add."), PERSON_ADD },
	{ SLICE_INIT("$append."), PERSON_APPEND },
	{ SLICE_INIT("$union."), PERSON_UNION },
	{ SLICE_INIT("$remove."), PERSON_REMOVE },
	{ SLICE_INIT("$unset."), PERSON_UNSET },
};

struct pending {
	enum person_op op;
	struct slice key;
	struct prop value;
};

struct row_taker {
	struct store *store;            /* borrowed */
	struct json_reader *json;
	struct buf scratch, key;
	struct arena arena;             /* what flattening made, for one record */
	struct store_prop props[PROP_COUNT_MAX + BUILTINS + 4];
	size_t count;
	struct pending ops[OPS_MAX];
	size_t op_count;
	bool is_delete, is_merge;
	struct row_counts counts;
	/* of traits in work */
	bool is_trait;
	struct slice prefix;
};

int row_taker_open(struct row_taker **takerp, struct store *store, struct err *err)
{
	struct row_taker *taker = calloc(1, sizeof(*taker));
	int rc;

	*takerp = NULL;
	if (!taker)
		return err_set(err, -ENOMEM, "no memory");
	taker->store = store;
	taker->scratch.limit = (size_t)64 << 20;
	rc = json_open(&taker->json, err);
	if (rc < 0) {
		row_taker_close(taker);
		return rc;
	}
	*takerp = taker;
	return 0;
}

void row_taker_close(struct row_taker *taker)
{
	if (!taker)
		return;
	json_close(taker->json);
	buf_close(&taker->scratch);
	buf_close(&taker->key);
	arena_close(&taker->arena);
	free(taker);
}

struct row_counts row_counts(const struct row_taker *taker)
{
	return taker->counts;
}

/* Flattening makes some names and lists in its scratch: they are copied for the record's life. */
static struct slice keep(struct row_taker *taker, struct slice text)
{
	const char *begin = taker->scratch.ptr;

	if (!begin || text.ptr < begin || text.ptr >= begin + taker->scratch.cap || !text.len)
		return text;
	return arena_copy(&taker->arena, text);
}

static int add_op(struct row_taker *taker, enum person_op op, struct slice key,
		  const struct prop *value)
{
	struct pending *pending = &taker->ops[taker->op_count];

	if (taker->op_count == OPS_MAX) {
		taker->counts.left_out++;
		return 0;
	}
	*pending = (struct pending){ op, keep(taker, key), *value };
	pending->value.text = keep(taker, value->text);
	if (!pending->key.ptr || (value->text.len && !pending->value.text.ptr))
		return -ENOMEM;
	taker->op_count++;
	return 0;
}

/* "$unset": a name, or a list of them. */
static int add_unset(struct row_taker *taker, const struct prop *value)
{
	struct prop element, none = { PROP_NONE, 0, { NULL, 0 } };
	size_t at = 0;
	int rc = 0;

	if (value->kind == PROP_TEXT)
		return add_op(taker, PERSON_UNSET, value->text, &none);
	while (rc == 0 && value->kind == PROP_LIST && prop_next(value->text, &at, &element))
		if (element.kind == PROP_TEXT)
			rc = add_op(taker, PERSON_UNSET, element.text, &none);
	return rc;
}

/* 1: it was an operation on the profile. */
static int take_op(struct row_taker *taker, struct slice name, const struct prop *value)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (slice_starts(name, operations[i].name)) {
			int rc = add_op(taker, operations[i].op,
					slice_skip(name, operations[i].name.len), value);

			return rc < 0 ? rc : 1;
		}
	if (slice_is(name, "$unset")) {
		int rc = add_unset(taker, value);

		return rc < 0 ? rc : 1;
	}
	if (slice_is(name, "$delete"))
		return (taker->is_delete |= value->kind == PROP_TRUE), 1;
	if (slice_is(name, "$merge"))
		return (taker->is_merge |= value->kind == PROP_TRUE), 1;
	return 0;
}

static int take_prop(void *ctx, struct slice name, const struct prop *value)
{
	struct row_taker *taker = ctx;
	int rc = name.len && name.ptr[0] == '$' ? take_op(taker, name, value) : 0;
	struct store_prop *prop = &taker->props[taker->count];

	if (rc)
		return rc < 0 ? rc : 0;
	if (taker->is_trait) {
		buf_reset(&taker->key);
		if (taker->prefix.len) {
			buf_append_slice(&taker->key, taker->prefix);
			buf_append_slice(&taker->key, name);
			name = arena_copy(&taker->arena, buf_slice(&taker->key));
			if (!name.ptr)
				return -ENOMEM;
		}
		return add_op(taker, PERSON_SET, name, value);
	}
	*prop = (struct store_prop){ keep(taker, name), *value };
	prop->value.text = keep(taker, value->text);
	if ((name.len && !prop->name.ptr) || (value->text.len && !prop->value.text.ptr))
		return -ENOMEM;
	taker->count++;
	return 0;
}

static int flatten(struct row_taker *taker, const struct value *field)
{
	struct slice text = value_slice(field);
	uint32_t left_out = 0;
	yyjson_val *root;
	int rc;

	if (text.len == 0)
		return 0;
	if (json_parse(taker->json, text, &root, NULL) < 0) {
		taker->counts.left_out++;
		return 0;
	}
	rc = prop_flatten(root, &taker->scratch, take_prop, taker, &left_out);
	taker->counts.left_out += left_out;
	return rc < 0 ? rc : 0;
}

static void add_builtins(struct row_taker *taker, const struct value *fields)
{
	for (size_t i = 0; i < BUILTINS; i++) {
		const struct value *value = &fields[builtins[i].leaf];
		struct store_prop *prop = &taker->props[taker->count];

		if (!value->is_set || (value->text.len == 0 && i >= 2))
			continue;
		*prop = (struct store_prop){ builtins[i].name,
					     { .kind = PROP_TEXT, .text = value->text } };
		if (value->text.len > PROP_TEXT_MAX) {
			prop->value.text.len = PROP_TEXT_MAX;
			while ((value->text.ptr[prop->value.text.len] & 0xc0) == 0x80)
				prop->value.text.len--;
		}
		taker->count++;
	}
	if (fields[ENRICHED_GEO_ASN].is_set)
		taker->props[taker->count++] = (struct store_prop){
			SLICE("$asn"), { .kind = PROP_NUMBER,
					 .number = (double)fields[ENRICHED_GEO_ASN].num } };
}

static void set_time(struct row_taker *taker, const struct value *fields, struct store_row *row)
{
	row->received_us = fields[ENRICHED_RECEIVED_AT].num;
	row->time_us = fields[ENRICHED_TIMESTAMP].num;
	if (row->time_us >= TIME_MIN_US && (row->received_us > INT64_MAX - AHEAD_MAX_US ||
					    row->time_us <= row->received_us + AHEAD_MAX_US))
		return;
	row->time_us = row->received_us;
	taker->counts.adjusted++;
	taker->props[taker->count++] =
		(struct store_prop){ SLICE("$time_adjusted"), { .kind = PROP_TRUE } };
}

struct who {
	uint32_t user, anonymous;
};

static int find_actors(struct row_taker *taker, const struct value *fields, struct who *who,
		       struct store_row *row)
{
	struct persons *persons = store_persons(taker->store);
	int rc = persons_actor(persons, 'u', value_slice(&fields[ENRICHED_USER_ID]),
			       row->time_us, &who->user);

	if (rc == 0)
		rc = persons_actor(persons, 'a', value_slice(&fields[ENRICHED_ANONYMOUS_ID]),
				   row->time_us, &who->anonymous);
	row->actor = who->user != PERSON_NOBODY ? who->user : who->anonymous;
	return rc;
}

static int apply_ops(struct row_taker *taker, const struct store_row *row,
		     const struct person_when *when)
{
	struct persons *persons = store_persons(taker->store);
	int rc = 0;

	for (size_t i = 0; i < taker->op_count && rc == 0; i++)
		rc = persons_profile(persons, row->actor, taker->ops[i].op, taker->ops[i].key,
				     &taker->ops[i].value, when);
	taker->op_count = 0;
	return rc;
}

/* What a new event says of persons. */
static int take_facts(struct row_taker *taker, const struct value *fields,
		      const struct store_row *row, const struct who *who)
{
	struct persons *persons = store_persons(taker->store);
	struct person_when when = { row->time_us, row->received_us, row->message };
	struct slice type = value_slice(&fields[ENRICHED_TYPE]);
	struct slice group = value_slice(&fields[ENRICHED_GROUP_ID]);
	int rc = persons_link(persons, who->anonymous, who->user, &when);

	if (rc == 0 && slice_is(type, "alias"))
		rc = persons_alias(persons, value_slice(&fields[ENRICHED_PREVIOUS_ID]), row->actor,
				   taker->is_merge, &when);
	if (rc == 0)
		rc = apply_ops(taker, row, &when);
	if (rc == 0 && slice_is(type, "group") && group.len) {
		struct prop value = { .kind = PROP_TEXT, .text = group };

		rc = persons_profile(persons, row->actor, PERSON_SET, SLICE("$group_id"), &value,
				     &when);
	}
	taker->is_trait = true;
	taker->prefix = slice_is(type, "group") ? SLICE("group.") : SLICE("");
	if (rc == 0)
		rc = flatten(taker, &fields[ENRICHED_TRAITS]);
	taker->is_trait = false;
	if (rc == 0)
		rc = apply_ops(taker, row, &when);
	if (rc == 0 && taker->is_delete)
		rc = persons_delete_later(persons, row->actor, row->time_us, row->received_us);
	return rc;
}

int row_take(struct row_taker *taker, const struct value *fields, struct err *err)
{
	struct store_row row = { .props = taker->props };
	struct who who = { PERSON_NOBODY, PERSON_NOBODY };
	int rc, added;

	arena_reset(&taker->arena);
	taker->count = taker->op_count = 0;
	taker->is_delete = taker->is_merge = taker->is_trait = false;
	rc = flatten(taker, &fields[ENRICHED_PROPERTIES]);
	add_builtins(taker, fields);
	set_time(taker, fields, &row);
	row.message = message_key_of(value_slice(&fields[ENRICHED_MESSAGE_ID]));
	if (rc == 0)
		rc = find_actors(taker, fields, &who, &row);
	if (rc < 0)
		return err_set(err, rc, "the newest events: %s", strerror(-rc));
	row.count = taker->count;
	added = store_add(taker->store, &row, err);
	if (added != 1)
		return added;
	rc = take_facts(taker, fields, &row, &who);
	return rc < 0 ? err_set(err, rc, "persons: %s", strerror(-rc)) : added;
}
