// SPDX-License-Identifier: Apache-2.0
/*
 * What must not be kept of a person. It comes behind all steps that look things up, and behind
 * json, as it changes what they have set:
 *
 *      ip              truncate (the default): IPv4 to /24, IPv6 to /48; drop; keep. The leaf ip,
 *                      and context.ip
 *      remove, hash    fields: properties.X.Y, traits.X (context.traits.X, too), context.X, or a
 *                      leaf of the record by its name (user_id, page.search, geo.city, ..). Lists
 *                      inside a path are passed through: properties.products.email is that of each
 *      key             FILE of pseudonym.h, for hash
 *      do_not_track, gpc   keep (the default), anonymise, drop: what becomes of events whose
 *                      context says that the person does not want it: doNotTrack, dnt; gpc,
 *                      globalPrivacyControl, also below consent: true, 1, "1" or "true"; or
 *                      whose request had the header DNT: 1, or Sec-GPC: 1
 *
 * Anonymised: no ids, no traits, no address, and no context but library, locale, page, consent.
 * consent.categoryPreferences and all else of context.consent pass as they were sent.
 */
#include "enrich/step.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "enrich/leaf.h"
#include "enrich/pseudonym.h"
#include "lib/bus.h"

enum privacy_act { PRIVACY_KEEP, PRIVACY_CHANGE, PRIVACY_DROP };

struct conf {
	const char *ip, *key, *do_not_track, *gpc;
	struct opt_list remove, hash;
};

/* One named field: a leaf of the record, or a path in one of the JSON leaves. */
struct field {
	int leaf;               /* of the record; -1: a path */
	enum leaf tree;
	struct slice path;      /* into conf */
	bool is_hash;
};

struct privacy {
	enum privacy_act ip, do_not_track, gpc;
	struct pseudonym *pseudonym;
	struct field *fields;
	int count;
	bool has[LEAF_COUNT];           /* has a path in it */
};

#define AT(field) offsetof(struct conf, field)

static const struct opt opts[] = {
	{ "ip", OPT_TEXT, AT(ip), "truncate", 0, 0, "keep|truncate|drop", "addresses" },
	{ "remove", OPT_LIST, AT(remove), NULL, 0, 0, "FIELD", "fields to take away" },
	{ "hash", OPT_LIST, AT(hash), NULL, 0, 0, "FIELD", "fields to replace by a pseudonym" },
	{ "key", OPT_TEXT, AT(key), NULL, 0, 0, "FILE", "keys for hash" },
	{ "do-not-track", OPT_TEXT, AT(do_not_track), "keep", 0, 0, "keep|anonymise|drop", "" },
	{ "gpc", OPT_TEXT, AT(gpc), "keep", 0, 0, "keep|anonymise|drop", "" },
	{ .name = NULL },
};

static int read_act(const char *name, const char *text, const char *change, enum privacy_act *act,
		    const char *where, struct err *err)
{
	if (strcmp(text, "keep") == 0)
		*act = PRIVACY_KEEP;
	else if (strcmp(text, change) == 0)
		*act = PRIVACY_CHANGE;
	else if (strcmp(text, "drop") == 0)
		*act = PRIVACY_DROP;
	else
		return err_set(err, -EINVAL, "%s: %s: '%.40s' is not keep, %s or drop", where, name,
			       text, change);
	return 0;
}

static int leaf_named(const struct schema *schema, const char *name)
{
	static const struct { const char *name; int leaf; } sent[] = {
		{ "userId", ENRICHED_USER_ID }, { "anonymousId", ENRICHED_ANONYMOUS_ID },
		{ "groupId", ENRICHED_GROUP_ID }, { "previousId", ENRICHED_PREVIOUS_ID },
	};

	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		if (strcmp(name, sent[i].name) == 0)
			return sent[i].leaf;
	}
	return schema_find(schema, name);
}

static int add_field(struct privacy *p, const struct schema *schema, const char *text, bool is_hash,
		     const char *where, struct err *err)
{
	static const struct { struct slice prefix; enum leaf tree; } trees[] = {
		{ SLICE_INIT("properties."), LEAF_PROPERTIES },
		{ SLICE_INIT("traits."), LEAF_TRAITS },
		{ SLICE_INIT("context."), LEAF_CONTEXT },
	};
	struct slice name = slice_from(text);
	const struct schema_field *field;
	int leaf;

	for (int i = 0; i < LEAF_COUNT; i++) {
		if (!slice_starts(name, trees[i].prefix) || name.len == trees[i].prefix.len)
			continue;
		p->fields[p->count++] = (struct field){
			-1, trees[i].tree, slice_skip(name, trees[i].prefix.len), is_hash };
		p->has[trees[i].tree] = true;
		p->has[LEAF_CONTEXT] |= trees[i].tree == LEAF_TRAITS;
		return 0;
	}
	leaf = leaf_named(schema, text);
	field = leaf >= 0 ? schema_field_at(schema, leaf) : NULL;
	if (!field || !field->nullable || field->is_time_us)
		return err_set(err, -EINVAL, "%s: '%.60s' is no field that can be taken away: name "
			       "one of properties. traits. context. or a leaf such as user_id, "
			       "page.search", where, text);
	if (is_hash && field->kind != SCHEMA_STRING)
		return err_set(err, -EINVAL, "%s: %.60s is no text and cannot be hashed", where,
			       text);
	p->fields[p->count++] = (struct field){ .leaf = leaf, .is_hash = is_hash };
	return 0;
}

static int add_fields(struct privacy *p, const struct conf *conf, const char *where,
		      struct err *err)
{
	size_t count = conf->remove.count + conf->hash.count;
	struct schema *schema;
	int rc = 0;

	p->fields = calloc(count + 1, sizeof(*p->fields));
	if (!p->fields)
		return err_set(err, -ENOMEM, "%s: no memory", where);
	schema = record_schema("enriched");
	for (size_t i = 0; i < count && rc == 0; i++) {
		bool is_hash = i >= conf->remove.count;

		rc = add_field(p, schema, is_hash ? conf->hash.items[i - conf->remove.count]
						  : conf->remove.items[i], is_hash, where, err);
	}
	schema_close(schema);
	return rc;
}

static void close_state(void *state)
{
	struct privacy *p = state;

	pseudonym_close(p->pseudonym);
	free(p->fields);
	free(p);
}

static int read_key(struct privacy *p, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;
	struct slice text;
	int rc;

	if (!conf->hash.count)
		return 0;
	if (!conf->key || !conf->key[0])
		return err_set(err, -EINVAL, "%s: hash needs key: of a file", args->where);
	rc = step_file_read(args, conf->key, &text, err);
	return rc < 0 ? rc : pseudonym_open(&p->pseudonym, text, args->where, err);
}

static int open_state(void **statep, const struct step_args *args, struct err *err)
{
	const struct conf *conf = args->conf;
	struct privacy *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return err_set(err, -ENOMEM, "%s: no memory", args->where);
	rc = read_act("ip", conf->ip, "truncate", &p->ip, args->where, err);
	if (rc == 0)
		rc = read_act("do_not_track", conf->do_not_track, "anonymise", &p->do_not_track,
			      args->where, err);
	if (rc == 0)
		rc = read_act("gpc", conf->gpc, "anonymise", &p->gpc, args->where, err);
	if (rc == 0)
		rc = add_fields(p, conf, args->where, err);
	if (rc == 0)
		rc = read_key(p, args, err);
	if (rc < 0) {
		close_state(p);
		return rc;
	}
	*statep = p;
	return 0;
}

/* Addresses */

/* The network of an address: /24 or /48; {NULL, 0}: it is no address. */
static struct slice truncate_ip(struct arena *arena, struct slice text)
{
	unsigned char bytes[16];
	char copy[INET6_ADDRSTRLEN];
	size_t len = text.len;

	if (len == 0 || len >= sizeof(copy) || memchr(text.ptr, 0, len))
		return (struct slice){ NULL, 0 };
	memcpy(copy, text.ptr, len);
	copy[len] = '\0';
	if (!memchr(copy, ':', len)) {
		if (inet_pton(AF_INET, copy, bytes) != 1)
			return (struct slice){ NULL, 0 };
		bytes[3] = 0;
		inet_ntop(AF_INET, bytes, copy, sizeof(copy));
	} else {
		if (inet_pton(AF_INET6, copy, bytes) != 1)
			return (struct slice){ NULL, 0 };
		/* ::ffff:192.0.2.1 */
		if (memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
			bytes[15] = 0;
		else
			memset(bytes + 6, 0, 10);
		inet_ntop(AF_INET6, bytes, copy, sizeof(copy));
	}
	return arena_copy(arena, slice_from(copy));
}

/* What stands for a field: ptr NULL to take it away. */
struct change {
	struct privacy *privacy;
	struct step_event *event;
	struct leaf_edits *edits;
	bool is_hash;
};

static int set_pseudonym(struct change *change, yyjson_val *key, struct slice id)
{
	char text[PSEUDONYM_LEN + 2];
	int64_t received = change->event->in[COLLECTED_RECEIVED_AT].num;
	struct slice copy;
	int rc = pseudonym_make(change->privacy->pseudonym, received, id, text + 1);

	if (rc < 0)
		return rc;
	text[0] = text[PSEUDONYM_LEN + 1] = '"';
	copy = arena_copy(change->event->arena, (struct slice){ text, sizeof(text) });
	return copy.ptr ? leaf_edit(change->event, change->edits, key, copy) : -ENOMEM;
}

static int change_member(void *ctx, yyjson_val *key, yyjson_val *value)
{
	struct change *change = ctx;
	struct buf *scratch = &change->event->scratch;
	struct slice none = { NULL, 0 };

	if (yyjson_is_null(value))
		return 0;
	if (!change->is_hash)
		return leaf_edit(change->event, change->edits, key, none);
	if (yyjson_is_str(value))
		return set_pseudonym(change, key, json_string(value));
	if (json_is_num(value))
		return set_pseudonym(change, key, json_digits(value));
	scratch->limit = BUS_RECORD_MAX;
	buf_reset(scratch);
	json_write(value, scratch);
	return scratch->failed ? -ENOSPC : set_pseudonym(change, key, buf_slice(scratch));
}

static int change_ip(void *ctx, yyjson_val *key, yyjson_val *value)
{
	struct change *change = ctx;
	struct slice text = { NULL, 0 }, quoted = { NULL, 0 };
	char *copy;

	if (change->privacy->ip == PRIVACY_CHANGE)
		text = truncate_ip(change->event->arena, json_string(value));
	if (text.ptr) {
		copy = arena_alloc(change->event->arena, text.len + 2);
		if (!copy)
			return -ENOMEM;
		copy[0] = copy[text.len + 1] = '"';
		memcpy(copy + 1, text.ptr, text.len);
		quoted = (struct slice){ copy, text.len + 2 };
	}
	return leaf_edit(change->event, change->edits, key, quoted);
}

static int change_tree(struct privacy *p, struct step_event *event, enum leaf leaf)
{
	struct leaf_edits edits = { .count = 0 };
	struct change change = { .privacy = p, .event = event, .edits = &edits };
	bool has_ip = leaf == LEAF_CONTEXT && p->ip != PRIVACY_KEEP;
	yyjson_val *tree;
	int rc;

	if (!p->has[leaf] && !has_ip)
		return 0;
	rc = leaf_tree(event, leaf, &tree);
	for (int i = 0; i < p->count && rc == 0; i++) {
		const struct field *field = &p->fields[i];

		change.is_hash = field->is_hash;
		if (field->leaf < 0 && field->tree == leaf)
			rc = leaf_find(tree, field->path, change_member, &change);
		else if (field->leaf < 0 && field->tree == LEAF_TRAITS && leaf == LEAF_CONTEXT)
			rc = leaf_find(json_get(tree, "traits"), field->path, change_member,
				       &change);
	}
	if (rc == 0 && has_ip)
		rc = leaf_find(tree, SLICE("ip"), change_ip, &change);
	return rc == 0 ? leaf_apply(event, leaf, &edits) : rc;
}

static int change_leaves(struct privacy *p, struct step_event *event)
{
	struct value *ip = &event->out[ENRICHED_IP];

	if (ip->is_set && p->ip != PRIVACY_KEEP) {
		struct slice text = { NULL, 0 };

		if (p->ip == PRIVACY_CHANGE)
			text = truncate_ip(event->arena, ip->text);
		*ip = text.ptr ? value_text(text) : (struct value){ .is_set = false };
	}
	for (int i = 0; i < p->count; i++) {
		struct value *out = p->fields[i].leaf < 0 ? NULL : &event->out[p->fields[i].leaf];
		char hex[PSEUDONYM_LEN];
		struct slice copy;
		int rc;

		if (!out || !out->is_set)
			continue;
		if (!p->fields[i].is_hash) {
			out->is_set = false;
			continue;
		}
		rc = pseudonym_make(p->pseudonym, event->in[COLLECTED_RECEIVED_AT].num, out->text,
				    hex);
		copy = arena_copy(event->arena, (struct slice){ hex, sizeof(hex) });
		if (rc < 0 || !copy.ptr)
			return rc < 0 ? rc : -ENOMEM;
		*out = value_text(copy);
	}
	return 0;
}

/* Signals */

static bool is_yes(yyjson_val *value)
{
	struct slice text = json_is_num(value) ? json_digits(value) : json_string(value);

	if (yyjson_is_bool(value))
		return yyjson_get_bool(value);
	return slice_is(text, "1") || slice_is(text, "true") || slice_is(text, "yes");
}

static bool says(yyjson_val *context, const char *a, const char *b)
{
	yyjson_val *consent = json_get(context, "consent");

	return is_yes(json_get(context, a)) || is_yes(json_get(context, b)) ||
	       is_yes(json_get(consent, a)) || is_yes(json_get(consent, b));
}

/* The words of collected's opt_out. */
static bool asks(struct slice headers, const char *word)
{
	return headers.len && memmem(headers.ptr, headers.len, word, strlen(word));
}

/* Of the event's context, or of the headers of the request that brought it. */
static enum privacy_act wish(const struct privacy *p, const struct step_event *event)
{
	struct slice headers = value_slice(&event->in[COLLECTED_OPT_OUT]);
	yyjson_val *context = event->body[STEP_BODY_CONTEXT];
	enum privacy_act act = PRIVACY_KEEP;

	if (p->do_not_track != PRIVACY_KEEP &&
	    (asks(headers, "dnt") || says(context, "doNotTrack", "dnt")))
		act = p->do_not_track;
	if (p->gpc > act &&
	    (asks(headers, "gpc") || says(context, "gpc", "globalPrivacyControl")))
		act = p->gpc;
	return act;
}

static int anonymise(struct step_event *event)
{
	static const int leaves[] = { ENRICHED_USER_ID, ENRICHED_ANONYMOUS_ID, ENRICHED_GROUP_ID,
				      ENRICHED_PREVIOUS_ID, ENRICHED_IP };
	static const char *const kept[] = { "library", "locale", "page", "consent" };
	struct leaf_edits edits = { .count = 0 };
	yyjson_obj_iter iter;
	yyjson_val *context, *key;
	int rc = leaf_tree(event, LEAF_CONTEXT, &context);

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		event->out[leaves[i]].is_set = false;
	leaf_set(event, LEAF_TRAITS, (struct slice){ NULL, 0 });
	if (rc < 0 || !context)
		return rc;
	yyjson_obj_iter_init(context, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter))) {
		bool stays = false;

		for (int i = 0; i < 4; i++)
			stays |= yyjson_equals_str(key, kept[i]);
		if (!stays)
			rc = leaf_edit(event, &edits, key, (struct slice){ NULL, 0 });
	}
	return rc == 0 ? leaf_apply(event, LEAF_CONTEXT, &edits) : rc;
}

static int apply(void *state, struct step_event *event)
{
	struct privacy *p = state;
	enum privacy_act act = PRIVACY_KEEP;
	int rc = 0;

	if (p->do_not_track != PRIVACY_KEEP || p->gpc != PRIVACY_KEEP)
		act = wish(p, event);
	if (act == PRIVACY_DROP)
		return STEP_RESULT_DROP;
	if (act == PRIVACY_CHANGE)
		rc = anonymise(event);
	if (rc == 0)
		rc = change_leaves(p, event);
	for (int i = 0; i < LEAF_COUNT && rc == 0; i++)
		rc = change_tree(p, event, (enum leaf)i);
	if (rc != -ENOSPC && rc != -EBADMSG)
		return rc;
	event->bad.reason = "too_large";
	event->bad.words = "the event's JSON is too large to be changed";
	event->bad.at = "";
	return -EBADMSG;
}

const struct step_kind step_privacy = {
	.name = "privacy",
	.version = 2,
	.after = "ids context page referrer campaign agent bot geo asn json suppress",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.open = open_state,
	.close = close_state,
	.apply = apply,
};
