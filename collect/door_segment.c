// SPDX-License-Identifier: Apache-2.0
#include "collect/door.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "collect/extent.h"
#include "lib/when.h"

#define MESSAGE_ID_MAX 512      /* bytes; SDKs send about 60 */
#define ID_MAX         4096     /* bytes of an id as a key */
#define MERGE_MAX      65536    /* pairs of keys compared for one message; honest ones: 30 x 30 */

enum segment_type {
	SEGMENT_NONE, SEGMENT_TRACK, SEGMENT_IDENTIFY, SEGMENT_PAGE, SEGMENT_SCREEN,
	SEGMENT_GROUP, SEGMENT_ALIAS, SEGMENT_TYPES,
	SEGMENT_BATCH = SEGMENT_TYPES,
};

static const char *const type_names[SEGMENT_TYPES] = {
	"", "track", "identify", "page", "screen", "group", "alias",
};

struct segment_path {
	const char *name;
	int call;
};

static int call_of(struct slice path)
{
	static const struct segment_path paths[] = {
		{ "batch", SEGMENT_BATCH }, { "b", SEGMENT_BATCH }, { "import", SEGMENT_BATCH },
		{ "t", SEGMENT_TRACK }, { "track", SEGMENT_TRACK },
		{ "i", SEGMENT_IDENTIFY }, { "identify", SEGMENT_IDENTIFY },
		{ "p", SEGMENT_PAGE }, { "page", SEGMENT_PAGE },
		{ "s", SEGMENT_SCREEN }, { "screen", SEGMENT_SCREEN },
		{ "g", SEGMENT_GROUP }, { "group", SEGMENT_GROUP },
		{ "a", SEGMENT_ALIAS }, { "alias", SEGMENT_ALIAS },
	};

	if (!slice_starts(path, SLICE("/v1/")))
		return 0;
	path = slice_skip(path, 4);
	if (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (slice_is(path, paths[i].name))
			return paths[i].call;
	return 0;
}

/* The members of a message that matter here; null is as good as absent. */
enum segment_member {
	MEMBER_TYPE, MEMBER_USER_ID, MEMBER_ANONYMOUS_ID, MEMBER_GROUP_ID, MEMBER_PREVIOUS_ID,
	MEMBER_EVENT, MEMBER_MESSAGE_ID, MEMBER_TIMESTAMP, MEMBER_ORIGINAL_TIMESTAMP,
	MEMBER_SENT_AT, MEMBER_CONTEXT, MEMBER_INTEGRATIONS, MEMBER_PROPERTIES, MEMBER_TRAITS,
	MEMBER_WRITE_KEY, MEMBER_BATCH, MEMBERS
};

enum segment_kind { KIND_ANY, KIND_ID, KIND_TEXT, KIND_OBJECT };

static const struct {
	const char *name;
	size_t len;
	enum segment_kind kind;
} members[MEMBERS] = {
	[MEMBER_TYPE] = { "type", 4, KIND_TEXT },
	[MEMBER_USER_ID] = { "userId", 6, KIND_ID },
	[MEMBER_ANONYMOUS_ID] = { "anonymousId", 11, KIND_ID },
	[MEMBER_GROUP_ID] = { "groupId", 7, KIND_ID },
	[MEMBER_PREVIOUS_ID] = { "previousId", 10, KIND_ID },
	[MEMBER_EVENT] = { "event", 5, KIND_TEXT },
	[MEMBER_MESSAGE_ID] = { "messageId", 9, KIND_ID },
	[MEMBER_TIMESTAMP] = { "timestamp", 9, KIND_TEXT },
	[MEMBER_ORIGINAL_TIMESTAMP] = { "originalTimestamp", 17, KIND_TEXT },
	[MEMBER_SENT_AT] = { "sentAt", 6, KIND_ANY },
	[MEMBER_CONTEXT] = { "context", 7, KIND_OBJECT },
	[MEMBER_INTEGRATIONS] = { "integrations", 12, KIND_OBJECT },
	[MEMBER_PROPERTIES] = { "properties", 10, KIND_OBJECT },
	[MEMBER_TRAITS] = { "traits", 6, KIND_OBJECT },
	[MEMBER_WRITE_KEY] = { "writeKey", 8, KIND_ANY },
	[MEMBER_BATCH] = { "batch", 5, KIND_ANY },
};

struct message {
	yyjson_val *root;
	yyjson_val *member[MEMBERS];
	int index;                      /* in batch; -1: the body itself */
	yyjson_val *next;               /* behind it in batch; NULL: none */
	struct source *source;
};

/* What an envelope gives to its messages. */
struct envelope {
	yyjson_val *context;            /* an object with members, or NULL */
	yyjson_val *integrations;
	int64_t sent_us;
	bool has_sent;
};

struct verdict {
	const char *reason, *words;
	const char *member;             /* "" : the message itself */
};

/* One walk over the message's members; of two equal keys the last one counts. */
static void find_members(struct message *message)
{
	size_t count = unsafe_yyjson_get_len(message->root);
	yyjson_val *key = unsafe_yyjson_get_first(message->root);

	memset(message->member, 0, sizeof(message->member));
	for (; count; count--, key = unsafe_yyjson_get_next(key + 1)) {
		const char *name = unsafe_yyjson_get_str(key);
		size_t len = unsafe_yyjson_get_len(key);

		for (int i = 0; i < MEMBERS; i++) {
			if (members[i].len == len && name[0] == members[i].name[0] &&
			    memcmp(name, members[i].name, len) == 0) {
				message->member[i] = yyjson_is_null(key + 1) ? NULL : key + 1;
				break;
			}
		}
	}
}

static struct slice id_text(yyjson_val *value)
{
	return json_is_num(value) ? json_digits(value) : json_string(value);
}

static bool has_id(const struct message *message, enum segment_member member)
{
	return id_text(message->member[member]).len > 0;
}

static const char *kind_error(enum segment_kind kind, yyjson_val *value)
{
	switch (kind) {
	case KIND_ID:
		return yyjson_is_str(value) || json_is_num(value) ? NULL
			: "must be a string or a number";
	case KIND_TEXT:
		return yyjson_is_str(value) ? NULL : "must be a string";
	case KIND_OBJECT:
		return yyjson_is_obj(value) ? NULL : "must be an object";
	default:
		return NULL;
	}
}

static enum segment_type type_of(struct slice name)
{
	for (int i = 1; i < SEGMENT_TYPES; i++)
		if (slice_is(name, type_names[i]))
			return (enum segment_type)i;
	return SEGMENT_NONE;
}

static bool say(struct verdict *verdict, const char *reason, const char *member, const char *words)
{
	*verdict = (struct verdict){ reason, words, member };
	return false;
}

/* What its type asks of a message. */
static bool is_complete(const struct message *message, enum segment_type type,
			struct verdict *verdict)
{
	static const enum segment_member ids[] = {
		MEMBER_USER_ID, MEMBER_ANONYMOUS_ID, MEMBER_GROUP_ID, MEMBER_PREVIOUS_ID,
	};
	bool some_id = false;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (id_text(message->member[ids[i]]).len > ID_MAX)
			return say(verdict, "too_large", members[ids[i]].name,
				   "an id has 4096 bytes at most");
		some_id |= has_id(message, ids[i]);
	}
	if (!some_id)
		return say(verdict, "missing_id", "", "userId or anonymousId is needed");
	if (type == SEGMENT_TRACK && !json_string(message->member[MEMBER_EVENT]).len)
		return say(verdict, "missing_field", "event", "track needs the event's name");
	if (type == SEGMENT_GROUP && !has_id(message, MEMBER_GROUP_ID))
		return say(verdict, "missing_field", "groupId", "group needs groupId");
	if (type == SEGMENT_ALIAS && !has_id(message, MEMBER_USER_ID))
		return say(verdict, "missing_field", "userId", "alias needs userId");
	if (type == SEGMENT_ALIAS && !has_id(message, MEMBER_PREVIOUS_ID))
		return say(verdict, "missing_field", "previousId", "alias needs previousId");
	return true;
}

static bool is_good(const struct message *message, enum segment_type implied,
		    enum segment_type *type, struct verdict *verdict)
{
	yyjson_val *said = message->member[MEMBER_TYPE];

	for (int i = 0; i < MEMBERS; i++) {
		yyjson_val *value = message->member[i];
		const char *words = value ? kind_error(members[i].kind, value) : NULL;

		if (words)
			return say(verdict, "wrong_type", members[i].name, words);
	}
	*type = said ? type_of(json_string(said)) : implied;
	if (!said && !implied)
		return say(verdict, "missing_field", "type", "a message needs its type");
	if (!*type)
		return say(verdict, "unknown_type", "type", "type is none of track, identify, "
			   "page, screen, group, alias");
	if (implied && *type != implied)
		return say(verdict, "unknown_type", "type", "type is not that of the path");
	if (id_text(message->member[MEMBER_MESSAGE_ID]).len > MESSAGE_ID_MAX)
		return say(verdict, "too_large", "messageId", "messageId has 512 bytes at most");
	return is_complete(message, *type, verdict);
}

/* --- the body of an event --- */

/* `"key":value` with a comma before all but the first. */
static void write_member(yyjson_val *key, yyjson_val *value, struct buf *out)
{
	if (out->len && out->ptr[out->len - 1] != '{')
		buf_append_char(out, ',');
	json_write(key, out);
	buf_append_char(out, ':');
	json_write(value, out);
}

/* own's members, and those of beneath that own does not have. false: too many to compare. */
static bool write_merged(yyjson_val *own, yyjson_val *beneath, struct buf *out)
{
	yyjson_val *key, *value;
	size_t i, max;

	if (own && yyjson_obj_size(own) * yyjson_obj_size(beneath) > MERGE_MAX)
		return false;
	buf_append_char(out, '{');
	yyjson_obj_foreach(own, i, max, key, value)
		write_member(key, value, out);
	yyjson_obj_foreach(beneath, i, max, key, value)
		if (!own || !yyjson_obj_getn(own, unsafe_yyjson_get_str(key),
					     unsafe_yyjson_get_len(key)))
			write_member(key, value, out);
	buf_append_char(out, '}');
	return true;
}

static bool write_context(struct door_job *job, const struct message *message,
			  const struct envelope *envelope)
{
	struct buf *out = &job->text;
	yyjson_val *own = message->member[MEMBER_CONTEXT];

	if (out->ptr[out->len - 1] != '{')
		buf_append_char(out, ',');
	buf_append_text(out, "\"context\":");
	if (own)
		return write_merged(own, envelope->context, out);
	if (!job->context.len)
		json_write(envelope->context, &job->context);
	if (job->context.len > job->message_max)
		return false;
	buf_append_slice(out, buf_slice(&job->context));
	return true;
}

/* The message without its writeKey, with the envelope's context beneath its own, and the
 * envelope's integrations where it has none. */
static bool write_edited(struct door_job *job, const struct message *message,
			 const struct envelope *envelope)
{
	struct buf *out = &job->text;
	yyjson_val *key, *value;
	size_t i, max;

	buf_append_char(out, '{');
	yyjson_obj_foreach(message->root, i, max, key, value) {
		struct slice name = json_string(key);

		if (slice_is(name, "writeKey") ||
		    (envelope->context && slice_is(name, "context")) ||
		    (envelope->integrations && !message->member[MEMBER_INTEGRATIONS] &&
		     slice_is(name, "integrations")))
			continue;
		write_member(key, value, out);
	}
	if (envelope->context && !write_context(job, message, envelope))
		return false;
	if (envelope->integrations && !message->member[MEMBER_INTEGRATIONS]) {
		buf_append_text(out, out->ptr[out->len - 1] == '{' ? "\"integrations\":"
								   : ",\"integrations\":");
		json_write(envelope->integrations, out);
	}
	buf_append_char(out, '}');
	return true;
}

static struct slice trim(struct slice text)
{
	while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1]))
		text.len--;
	while (text.len && strchr(" \t\r\n", text.ptr[0]))
		text = slice_skip(text, 1);
	return text;
}

/* Where a message of a batch begins in the text: before its first key. -EBADMSG: it has none. */
static ssize_t start_of(const struct door_job *job, yyjson_val *root)
{
	const char *text = job->body.ptr;
	ssize_t at;

	if (!yyjson_is_obj(root) || unsafe_yyjson_get_len(root) == 0)
		return -EBADMSG;
	at = json_offset(job->json, unsafe_yyjson_get_first(root)) - 1;
	if (at <= 0 || text[at] != '"')
		return -EBADMSG;
	for (at--; at > 0 && strchr(" \t\r\n", text[at]); at--)
		;
	return text[at] == '{' ? at : -EBADMSG;
}

/* The bytes that a message of a batch came as; {NULL, 0} where that is not clear. Its end is sought
 * from the next one's start backwards: no need to go through the message. Writing it anew instead
 * took 15 % of all CPU time. */
static struct slice verbatim(const struct door_job *job, const struct message *message)
{
	ssize_t start = start_of(job, message->root), next;
	struct slice text = job->body;
	size_t end;

	if (start < 0)
		return (struct slice){ NULL, 0 };
	next = message->next ? start_of(job, message->next) : -1;
	if (next < 0)
		end = extent_end(text, (size_t)start);
	else
		for (end = (size_t)next; end > (size_t)start &&
					 strchr(" \t\r\n,", text.ptr[end - 1]); end--)
			;
	if (end <= (size_t)start || text.ptr[end - 1] != '}')
		return (struct slice){ NULL, 0 };
	return (struct slice){ text.ptr + start, end - (size_t)start };
}

/* *body gets the event's JSON: the very bytes that came where nothing is to be changed. */
static bool make_body(struct door_job *job, const struct message *message,
		      const struct envelope *envelope, struct slice *body, struct verdict *verdict)
{
	bool edit = message->member[MEMBER_WRITE_KEY] || envelope->context ||
		    (envelope->integrations && !message->member[MEMBER_INTEGRATIONS]);

	buf_reset(&job->text);
	if (edit && !write_edited(job, message, envelope))
		return say(verdict, "too_large", "context", "the envelope's context is too large "
			   "to be merged");
	*body = (struct slice){ NULL, 0 };
	if (!edit)
		*body = message->index < 0 ? trim(job->body) : verbatim(job, message);
	if (!edit && !body->ptr)
		json_write(message->root, &job->text);
	if (!body->ptr)
		*body = buf_slice(&job->text);
	if (body->len > job->message_max)
		return say(verdict, "too_large", "", "a message has more than --message-max "
			   "bytes");
	return true;
}

/* --- one message --- */

static int make_uuid(struct door_job *job, char text[37])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char *r;
	char *at = text;

	if (job->random_left < 16) {
		if (RAND_bytes(job->random, sizeof(job->random)) != 1)
			return -EIO;
		job->random_left = sizeof(job->random);
	}
	job->random_left -= 16;
	r = job->random + job->random_left;
	r[6] = (r[6] & 0x0f) | 0x40;
	r[8] = (r[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[r[i] >> 4];
		*at++ = hex[r[i] & 15];
	}
	*at = '\0';
	return 0;
}

/* The bytes of a message as they came. Which they are in a batch has to be looked for: only bad
 * messages pay for that. */
static struct slice original_of(struct door_job *job, const struct message *message)
{
	if (message->index < 0)
		return trim(job->body);
	if (!job->extents_known)
		extent_find(job->body, "batch", &job->extents, &job->extent_count,
			    &job->extent_cap);
	job->extents_known = true;
	if ((size_t)message->index < job->extent_count)
		return job->extents[message->index];
	buf_reset(&job->original);
	json_write(message->root, &job->original);
	return buf_slice(&job->original);
}

static int refuse(struct door_job *job, const struct message *message,
		  const struct verdict *verdict)
{
	char at[64] = "", words[160];
	size_t n = 0;

	if (message->index >= 0)
		n = (size_t)snprintf(at, sizeof(at), "/batch/%d", message->index);
	if (verdict->member[0])
		snprintf(at + n, sizeof(at) - n, "/%s", verdict->member);
	if (job->line)
		snprintf(words, sizeof(words), "line %" PRId64 ": %s", job->line, verdict->words);
	else
		snprintf(words, sizeof(words), "%s", verdict->words);
	job->rejected++;
	return parcel_bad(job->parcel, &(struct parcel_bad){
		.source = message->source, .reason = verdict->reason, .words = words, .at = at,
		.original = original_of(job, message), .format = "json",
	});
}

/* The source by the message's own key, where neither header nor envelope had one. 0: found.
 * 1: it has been dealt with. */
static int find_source(struct door_job *job, struct message *message)
{
	struct slice key = json_string(message->member[MEMBER_WRITE_KEY]);
	struct verdict verdict;
	int rc;

	message->source = job->source;
	if (!message->source)
		message->source = source_find(job->sources, key.len ? key : job->query_key);
	if (message->source)
		return 0;
	if (!job->keep_unknown) {
		job->rejected++;
		job->unknown++;
		return 1;
	}
	say(&verdict, "unknown_key", "writeKey", "no source has this write key");
	rc = refuse(job, message, &verdict);
	return rc ? rc : 1;
}

static void sent_at(const struct message *message, const struct envelope *envelope,
		    struct parcel_event *event)
{
	event->sent_us = envelope->sent_us;
	event->has_sent = envelope->has_sent ||
		when_parse(json_string(message->member[MEMBER_SENT_AT]), &event->sent_us) == 0;
}

static struct slice key_of(const struct message *message)
{
	static const enum segment_member ids[] = {
		MEMBER_ANONYMOUS_ID, MEMBER_USER_ID, MEMBER_GROUP_ID, MEMBER_PREVIOUS_ID,
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (has_id(message, ids[i]))
			return id_text(message->member[ids[i]]);
	return (struct slice){ "", 0 };
}

static int take(struct door_job *job, struct message *message, enum segment_type implied,
		const struct envelope *envelope)
{
	struct parcel_event event = { 0 };
	struct verdict verdict;
	enum segment_type type = SEGMENT_NONE;
	char uuid[37];
	int rc;

	if (!yyjson_is_obj(message->root)) {
		rc = find_source(job, message);
		if (rc)
			return rc < 0 ? rc : 0;
		say(&verdict, "wrong_type", "", "a message must be a JSON object");
		return refuse(job, message, &verdict);
	}
	find_members(message);
	rc = find_source(job, message);
	if (rc)
		return rc < 0 ? rc : 0;
	if (!message->source->enabled) {
		job->parcel->filtered++;
		return 0;
	}
	if (!is_good(message, implied, &type, &verdict) ||
	    !make_body(job, message, envelope, &event.body, &verdict))
		return refuse(job, message, &verdict);
	event.message_id = id_text(message->member[MEMBER_MESSAGE_ID]);
	if (!event.message_id.len) {
		rc = make_uuid(job, uuid);
		if (rc)
			return rc;
		event.message_id = (struct slice){ uuid, 36 };
	}
	event.source = message->source;
	event.type = slice_from(type_names[type]);
	event.key = key_of(message);
	sent_at(message, envelope, &event);
	return parcel_event(job->parcel, &event);
}

/* --- the body --- */

static yyjson_val *filled_object(yyjson_val *value)
{
	return yyjson_is_obj(value) && yyjson_obj_size(value) ? value : NULL;
}

static int fail(struct door_job *job, int code, const char *reason)
{
	job->reason = reason;
	return code;
}

static int take_batch(struct door_job *job, const struct message *root, struct err *err)
{
	yyjson_val *batch = root->member[MEMBER_BATCH], *value;
	struct envelope envelope = {
		.context = filled_object(root->member[MEMBER_CONTEXT]),
		.integrations = filled_object(root->member[MEMBER_INTEGRATIONS]),
	};
	size_t i, max;
	int rc = 0;

	if (!yyjson_is_arr(batch)) {
		err_set(err, -EBADMSG, "batch must be an array");
		return fail(job, -EBADMSG, "wrong_type");
	}
	if (yyjson_arr_size(batch) > job->batch_max) {
		err_set(err, -EMSGSIZE, "a batch of %zu messages; --batch-max is %zu",
			yyjson_arr_size(batch), job->batch_max);
		return fail(job, -EMSGSIZE, "too_large");
	}
	envelope.has_sent = when_parse(json_string(root->member[MEMBER_SENT_AT]),
				       &envelope.sent_us) == 0;
	yyjson_arr_foreach(batch, i, max, value) {
		struct message message = { .root = value, .index = (int)i };

		if (i + 1 < max)
			message.next = unsafe_yyjson_get_next(value);
		rc = take(job, &message, SEGMENT_NONE, &envelope);
		if (rc)
			return rc;
	}
	if (job->unknown && job->unknown == yyjson_arr_size(batch))
		return fail(job, -EACCES, "unknown_key");
	return 0;
}

/* The envelope's key decides for all; without one each message's own does. */
static int find_envelope_source(struct door_job *job, const struct message *root, struct err *err)
{
	struct slice key = json_string(root->member[MEMBER_WRITE_KEY]);

	if (job->source || !key.len)
		return 0;
	job->source = source_find(job->sources, key);
	if (job->source || job->keep_unknown)
		return 0;
	job->unknown++;
	err_set(err, -EACCES, "no source has this write key");
	return fail(job, -EACCES, "unknown_key");
}

static int read_body(struct door_job *job, struct err *err)
{
	static const struct envelope none = { 0 };
	struct message root = { .index = -1 };
	int rc;

	job->reason = NULL;
	job->rejected = job->unknown = 0;
	job->extent_count = 0;
	job->extents_known = false;
	buf_reset(&job->context);
	rc = json_parse(job->json, job->body, &root.root, err);
	if (rc)
		return fail(job, rc == -ENOMEM ? -ENOSPC : rc, "malformed_json");
	if (!yyjson_is_obj(root.root)) {
		err_set(err, -EBADMSG, "the body must be a JSON object");
		return fail(job, -EBADMSG, "wrong_type");
	}
	find_members(&root);
	rc = find_envelope_source(job, &root, err);
	if (rc)
		return rc;
	if (job->call >= SEGMENT_BATCH && root.member[MEMBER_BATCH])
		return take_batch(job, &root, err);
	rc = take(job, &root, job->call >= SEGMENT_BATCH ? SEGMENT_NONE
							  : (enum segment_type)job->call, &none);
	if (rc == 0 && job->unknown)
		return fail(job, -EACCES, "unknown_key");
	return rc;
}

struct slice door_segment_key(struct json_reader *json, struct slice body)
{
	struct message message = { .index = -1 };

	if (json_parse(json, body, &message.root, NULL) || !yyjson_is_obj(message.root))
		return (struct slice){ "", 0 };
	find_members(&message);
	return key_of(&message);
}

void door_job_close(struct door_job *job)
{
	buf_close(&job->text);
	buf_close(&job->context);
	buf_close(&job->original);
	free(job->extents);
}

const struct door door_segment = { "segment", call_of, read_body };
