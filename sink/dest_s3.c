/* dest_s3 - objects in an S3 bucket whose names say which offsets they cover
 *
 *      PREFIX/TOPIC-PARTITION-FIRST-LAST.jsonl.gz      file_name.h: names as the file sink's
 *
 * An object is one batch: records of one partition in order. A PUT is taken whole or not at all, a
 * large one goes in parts (multipart) and is there when the last call completes it; a retry writes
 * the same name again. The bucket is the memory: before the first object of a partition its names
 * are read, and what they cover already is not written again. So kill -9 leaves nothing twice, and
 * nothing out. Offsets between two objects were filtered, bad, or markers.
 *
 * Signature Version 4 (sigv4.h) of any server that speaks S3.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/when.h"
#include "sink/errand.h"
#include "sink/file_name.h"
#include "sink/kinds.h"
#include "sink/sigv4.h"

#define LIST_KEYS 400                   /* of one page: the answer fits into POST_BODY_MAX */
#define SPAN      INT64_C(100000000)    /* offsets that one object can cover */
#define PARTS_MAX 1000

struct conf {
	const char *bucket, *region, *endpoint, *prefix, *format;
	const char *access_key, *secret_key, *session_token;
	int64_t part_bytes;
	bool path_style;
};

struct range {
	int64_t first, last;
};

struct partition {
	int32_t number;
	bool is_known;                  /* what the bucket has was read */
	int64_t written;                /* the last offset of this run's last object; -1: none */
	struct range *ranges;           /* owned; in order of first */
	size_t count, cap;
};

struct dest {
	const struct conf *conf;
	struct sigv4 sigv4;
	const char *topic;
	int64_t timeout_ms;
	enum file_format format;
	char base[POST_URL_MAX];        /* up to the bucket, with / at the end */
	struct errand *errand;
	struct partition *partitions;
	size_t partition_count;
	struct buf body, text, etags;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "bucket", DEST_FIELD_TEXT, AT(bucket), NULL, true, 0, 0, NULL, "its name" },
	{ "region", DEST_FIELD_TEXT, AT(region), "us-east-1", false, 0, 0, NULL, "of the bucket" },
	{ "endpoint", DEST_FIELD_URL, AT(endpoint), NULL, false, 0, 0, NULL,
	  "of another server than Amazon's, such as https://minio.example:9000" },
	{ "path_style", DEST_FIELD_FLAG, AT(path_style), "no", false, 0, 0, NULL,
	  "the bucket in the path, not in the host's name; most other servers want it" },
	{ "prefix", DEST_FIELD_TEXT, AT(prefix), "", false, 0, 0, NULL,
	  "in front of each object's name, such as millrace/" },
	{ "format", DEST_FIELD_CHOICE, AT(format), "jsonl.gz", false, 0, 0, "jsonl|jsonl.gz",
	  "of an object" },
	{ "access_key", DEST_FIELD_SECRET, AT(access_key), NULL, true, 0, 0, NULL,
	  "access key id" },
	{ "secret_key", DEST_FIELD_SECRET, AT(secret_key), NULL, true, 0, 0, NULL,
	  "secret access key" },
	{ "session_token", DEST_FIELD_SECRET, AT(session_token), NULL, false, 0, 0, NULL,
	  "of temporary keys" },
	{ "part_bytes", DEST_FIELD_BYTES, AT(part_bytes), "8m", false, 5 << 20, 1 << 30, NULL,
	  "larger objects go in parts of this size" },
	{ .name = NULL },
};

static bool is_plain(const char *text, const char *more)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
	       strlen(text) || (more && strspn(text, more) == strlen(text));
}

static int s3_check(const void *ptr, struct err *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._=/";
	const struct conf *conf = ptr;

	if (!conf->bucket[0] || !is_plain(conf->bucket, NULL))
		return err_set(err, -EBADMSG, "bucket: '%.70s' is no bucket's name", conf->bucket);
	if (!conf->region[0] || !is_plain(conf->region, NULL))
		return err_set(err, -EBADMSG, "region: '%.40s' is none", conf->region);
	if (strlen(conf->prefix) > 500 || !is_plain(conf->prefix, chars))
		return err_set(err, -EBADMSG, "prefix: letters, digits and -._=/ only");
	return 0;
}

static void s3_close(struct dest *dest)
{
	if (!dest)
		return;
	errand_close(dest->errand);
	for (size_t i = 0; i < dest->partition_count; i++)
		free(dest->partitions[i].ranges);
	free(dest->partitions);
	buf_close(&dest->body);
	buf_close(&dest->text);
	buf_close(&dest->etags);
	free(dest);
}

/* https://BUCKET.s3.REGION.amazonaws.com/, or https://HOST/BUCKET/ */
static void set_base(struct dest *dest)
{
	const struct conf *conf = dest->conf;
	char made[200];
	const char *endpoint = conf->endpoint ? conf->endpoint : made, *host;
	size_t len;

	snprintf(made, sizeof(made), "https://s3.%.100s.amazonaws.com", conf->region);
	len = strlen(endpoint);
	while (len && endpoint[len - 1] == '/')
		len--;
	host = strstr(endpoint, "://") + 3;
	if (conf->path_style)
		snprintf(dest->base, sizeof(dest->base), "%.*s/%.100s/", (int)len, endpoint,
			 conf->bucket);
	else
		snprintf(dest->base, sizeof(dest->base), "%.*s%.100s.%.*s/",
			 (int)(host - endpoint), endpoint, conf->bucket,
			 (int)(len - (size_t)(host - endpoint)), host);
}

static int s3_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	int rc;

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	dest->topic = env->topic;
	dest->timeout_ms = env->timeout_ms;
	dest->sigv4 = (struct sigv4){ dest->conf->access_key, dest->conf->secret_key,
				      dest->conf->session_token, dest->conf->region, "s3" };
	set_base(dest);
	rc = file_format_find(slice_from(dest->conf->format), &dest->format);
	if (rc == 0)
		rc = errand_open(&dest->errand, env, err);
	if (rc < 0) {
		s3_close(dest);
		return rc;
	}
	*destp = dest;
	return 0;
}

static int s3_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	(void)dest;
	buf_append_slice(out->buf, event->mapped.ptr ? event->mapped : event_line(event));
	buf_append_char(out->buf, '\n');
	return dest_out_end(out, 0);
}

/* Requests */

/* path and query are encoded; the query's names are sorted. */
static struct post_request *begin(struct dest *dest, const char *method, const char *path,
				  const char *query)
{
	struct post_request *request = errand_begin(dest->errand);

	request->method = method;
	if (snprintf(request->url, sizeof(request->url), "%s%s%s%s", dest->base, path,
		     query[0] ? "?" : "", query) >= (int)sizeof(request->url))
		request->body.failed = true;
	return request;
}

/* The text between <name> and </name>, as it stands; {NULL, 0}. */
static struct slice element(struct slice xml, const char *name)
{
	char open[40], close[40];
	const char *from, *to;
	size_t len = (size_t)snprintf(open, sizeof(open), "<%s>", name);

	snprintf(close, sizeof(close), "</%s>", name);
	from = xml.len ? memmem(xml.ptr, xml.len, open, len) : NULL;
	if (!from)
		return (struct slice){ NULL, 0 };
	from += len;
	to = memmem(from, (size_t)(xml.ptr + xml.len - from), close, len + 1);
	return (struct slice){ to ? from : NULL, to ? (size_t)(to - from) : 0 };
}

/* No request of ours can be wrong for the data in it: what is left are settings. */
static void set_failure(const struct post_answer *answer, struct dest_result *result)
{
	struct slice code = element(answer->body, "Code");
	struct slice words = element(answer->body, "Message");
	enum dest_class class = dest_class_of_status(answer->status, true);
	char text[DEST_WORDS_MAX];

	if (slice_is(code, "SlowDown") || slice_is(code, "TooManyRequests"))
		class = DEST_THROTTLED;
	else if (slice_is(code, "RequestTimeout") || slice_is(code, "InternalError") ||
		 slice_is(code, "NoSuchUpload") || slice_is(code, "OperationAborted") ||
		 slice_is(code, "RequestTimeTooSkewed") || class == DEST_OK)
		class = DEST_TRANSIENT;
	else if (class == DEST_INVALID)
		class = DEST_SETUP;
	snprintf(text, sizeof(text), "status %d: %.*s: %.*s", answer->status,
		 (int)(code.len < 40 ? code.len : 40), code.len ? code.ptr : "",
		 (int)(words.len < 120 ? words.len : 120), words.len ? words.ptr : "");
	dest_result_set(result, class, slice_from(text));
	if (class == DEST_THROTTLED)
		result->retry_after_ms = answer->retry_after_ms;
}

/* NULL: *result says why. */
static const struct post_answer *run(struct dest *dest, struct post_request *request,
				     struct dest_result *result)
{
	const struct post_answer *answer;

	if (request->body.failed || sigv4_sign(&dest->sigv4, when_now_us(), request) < 0) {
		dest_result_set(result, DEST_SETUP, SLICE("keys or names are too long, or have "
							  "bytes that no header may have"));
		return NULL;
	}
	answer = errand_run(dest->errand, when_monotonic_ms() + dest->timeout_ms, result);
	if (answer && (answer->status < 200 || answer->status > 299)) {
		set_failure(answer, result);
		return NULL;
	}
	return answer;
}

/* What the bucket has */

static bool add_range(struct partition *p, int64_t first, int64_t last)
{
	if (p->count && p->ranges[p->count - 1].last + 1 >= first &&
	    p->ranges[p->count - 1].first <= first) {
		if (p->ranges[p->count - 1].last < last)
			p->ranges[p->count - 1].last = last;
		return true;
	}
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 16;
		struct range *ranges = reallocarray(p->ranges, cap, sizeof(*ranges));

		if (!ranges)
			return false;
		p->ranges = ranges;
		p->cap = cap;
	}
	p->ranges[p->count++] = (struct range){ first, last };
	return true;
}

static bool is_covered(const struct partition *p, int64_t offset)
{
	for (size_t i = p->count; i-- > 0;)
		if (offset >= p->ranges[i].first && offset <= p->ranges[i].last)
			return true;
	return false;
}

/* Adds the names of a page; after gets the last key. */
static bool read_page(struct dest *dest, struct partition *p, struct slice xml, struct buf *after)
{
	struct slice key;

	while ((key = element(xml, "Key")).ptr) {
		struct file_name name;
		char text[FILE_NAME_TEXT_MAX];
		size_t skip = strlen(dest->conf->prefix);

		buf_reset(after);
		buf_append_slice(after, key);
		xml = slice_skip(xml, (size_t)(key.ptr + key.len - xml.ptr));
		if (key.len < skip || key.len - skip >= sizeof(text))
			continue;
		memcpy(text, key.ptr + skip, key.len - skip);
		text[key.len - skip] = '\0';
		if (file_name_parse(text, &name) == 0 && name.last >= 0 &&
		    name.partition == p->number && strcmp(name.topic, dest->topic) == 0 &&
		    !add_range(p, name.first, name.last))
			return false;
	}
	return true;
}

static bool read_names(struct dest *dest, struct partition *p, int64_t offset,
		       struct dest_result *result)
{
	const struct post_answer *answer;
	struct buf after = { 0 };
	bool fine = true, more = true;

	buf_printf(&after, "%s%s-%d-%020" PRId64, dest->conf->prefix, dest->topic, p->number,
		   offset > SPAN ? offset - SPAN : 0);
	p->count = 0;
	while (fine && more) {
		buf_reset(&dest->text);
		buf_printf(&dest->text, "list-type=2&max-keys=%d&prefix=", LIST_KEYS);
		sigv4_encode(slice_from(dest->conf->prefix), false, &dest->text);
		sigv4_encode(slice_from(dest->topic), false, &dest->text);
		buf_printf(&dest->text, "-%d-&start-after=", p->number);
		sigv4_encode(buf_slice(&after), false, &dest->text);
		buf_append_char(&dest->text, '\0');
		answer = run(dest, begin(dest, "GET", "", dest->text.ptr), result);
		fine = answer && read_page(dest, p, answer->body, &after);
		more = fine && slice_is(element(answer->body, "IsTruncated"), "true");
		if (answer && !fine)
			dest_result_set(result, DEST_TRANSIENT, SLICE("no memory"));
	}
	buf_close(&after);
	p->is_known = fine;
	return fine;
}

static struct partition *find_partition(struct dest *dest, int32_t number)
{
	struct partition *list;

	for (size_t i = 0; i < dest->partition_count; i++)
		if (dest->partitions[i].number == number)
			return &dest->partitions[i];
	list = reallocarray(dest->partitions, dest->partition_count + 1, sizeof(*list));
	if (!list)
		return NULL;
	dest->partitions = list;
	list[dest->partition_count] = (struct partition){ .number = number, .written = -1 };
	return &list[dest->partition_count++];
}

/* Putting */

static bool pack(struct dest *dest, const struct dest_batch *batch, const struct partition *p)
{
	z_stream z = { .zalloc = Z_NULL };
	bool is_packed = dest->format == FILE_FORMAT_JSONL_GZ;
	int rc = is_packed ? deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) : Z_OK;

	buf_reset(&dest->body);
	for (size_t i = 0; i <= batch->count && rc == Z_OK; i++) {
		bool is_end = i == batch->count;
		struct slice text = is_end ? SLICE("") : batch->items[i]->payload;

		if (!is_end && is_covered(p, batch->items[i]->offset))
			continue;
		if (!is_packed) {
			buf_append_slice(&dest->body, text);
			continue;
		}
		z.next_in = (unsigned char *)(uintptr_t)text.ptr;
		z.avail_in = (unsigned)text.len;
		do {
			char *at = buf_reserve(&dest->body, (size_t)64 << 10);

			if (!at) {
				rc = Z_MEM_ERROR;
				break;
			}
			z.next_out = (unsigned char *)at;
			z.avail_out = 64 << 10;
			rc = deflate(&z, is_end ? Z_FINISH : Z_NO_FLUSH);
			dest->body.len += ((size_t)64 << 10) - z.avail_out;
			rc = rc == Z_BUF_ERROR ? Z_OK : rc;
		} while (rc == Z_OK && z.avail_out == 0);
	}
	if (is_packed)
		deflateEnd(&z);
	return (rc == Z_OK || rc == Z_STREAM_END) && !dest->body.failed;
}

static bool put_whole(struct dest *dest, const char *path, struct dest_result *result)
{
	struct post_request *request = begin(dest, "PUT", path, "");

	buf_append_slice(&request->body, buf_slice(&dest->body));
	if (post_header(request, "Content-Type", SLICE("application/octet-stream")) < 0)
		return false;
	return run(dest, request, result) != NULL;
}

/* Its ETag goes into the list that completes the object. */
static bool put_part(struct dest *dest, const char *path, const char *id, int number,
		     struct slice bytes, struct dest_result *result)
{
	const struct post_answer *answer;
	struct post_request *request;
	struct slice etag;
	char query[600];

	snprintf(query, sizeof(query), "partNumber=%d&uploadId=%s", number, id);
	request = begin(dest, "PUT", path, query);
	buf_append_slice(&request->body, bytes);
	answer = run(dest, request, result);
	if (!answer)
		return false;
	etag = post_answer_header(answer, "etag");
	buf_printf(&dest->etags, "<Part><PartNumber>%d</PartNumber><ETag>%.*s</ETag></Part>",
		   number, (int)etag.len, etag.len ? etag.ptr : "");
	return true;
}

static bool complete(struct dest *dest, const char *path, const char *id,
		     struct dest_result *result)
{
	const struct post_answer *answer;
	struct post_request *request;
	char query[600];

	snprintf(query, sizeof(query), "uploadId=%s", id);
	request = begin(dest, "POST", path, query);
	buf_printf(&request->body, "<CompleteMultipartUpload>%.*s</CompleteMultipartUpload>",
		   (int)dest->etags.len, dest->etags.ptr);
	if (post_header(request, "Content-Type", SLICE("application/xml")) < 0)
		return false;
	answer = run(dest, request, result);
	/* It may begin with 200 and end with an error. */
	if (answer && !memmem(answer->body.ptr, answer->body.len, "CompleteMultipartUploadResult",
			      29)) {
		set_failure(answer, result);
		return false;
	}
	return answer != NULL;
}

static bool begin_parts(struct dest *dest, const char *path, char *id, size_t size,
			struct dest_result *result)
{
	const struct post_answer *answer;
	struct buf encoded = { 0 };
	struct slice raw;
	bool fits;

	answer = run(dest, begin(dest, "POST", path, "uploads="), result);
	if (!answer)
		return false;
	raw = element(answer->body, "UploadId");
	sigv4_encode(raw, false, &encoded);
	fits = raw.len && !encoded.failed && encoded.len < size;
	snprintf(id, size, "%.*s", fits ? (int)encoded.len : 0, fits ? encoded.ptr : "");
	buf_close(&encoded);
	if (!fits)
		dest_result_set(result, DEST_TRANSIENT, SLICE("the answer has no upload id"));
	return fits;
}

static bool put_parts(struct dest *dest, const char *path, struct dest_result *result)
{
	size_t size = (size_t)dest->conf->part_bytes;
	struct slice left = buf_slice(&dest->body);
	struct dest_result ignored = { 0 };
	char id[500], query[600];
	bool fine = true;

	if (left.len / size >= PARTS_MAX)
		size = left.len / PARTS_MAX + 1;
	if (!begin_parts(dest, path, id, sizeof(id), result))
		return false;
	buf_reset(&dest->etags);
	for (int number = 1; left.len && fine; number++) {
		struct slice part = { left.ptr, left.len < size ? left.len : size };

		fine = put_part(dest, path, id, number, part, result);
		left = slice_skip(left, part.len);
	}
	fine = fine && complete(dest, path, id, result);
	if (!fine) {            /* or its parts are paid for until somebody drops them */
		snprintf(query, sizeof(query), "uploadId=%s", id);
		(void)!run(dest, begin(dest, "DELETE", path, query), &ignored);
	}
	return fine;
}

static bool put_object(struct dest *dest, struct partition *p, int64_t first, int64_t last,
		       struct dest_result *result)
{
	struct file_name name = { .partition = p->number, .last = last, .format = dest->format };
	char text[FILE_NAME_TEXT_MAX], path[POST_URL_MAX / 2];
	struct buf encoded = { 0 };

	/* Offsets that had no record since the last object of this run are this one's. */
	name.first = p->written >= 0 && p->written < first ? p->written + 1 : first;
	snprintf(name.topic, sizeof(name.topic), "%s", dest->topic);
	file_name_print(&name, text);
	sigv4_encode(slice_from(dest->conf->prefix), true, &encoded);
	sigv4_encode(slice_from(text), true, &encoded);
	snprintf(path, sizeof(path), "%.*s", (int)encoded.len, encoded.len ? encoded.ptr : "");
	buf_close(&encoded);
	if (dest->body.len > (size_t)dest->conf->part_bytes ? !put_parts(dest, path, result)
							     : !put_whole(dest, path, result))
		return false;
	p->written = last;
	return true;
}

static void s3_put(struct dest *dest, const struct dest_batch *batch, struct dest_result *results)
{
	struct partition *p = find_partition(dest, batch->items[0]->partition);
	struct dest_result result = { .class = DEST_TRANSIENT, .retry_after_ms = -1,
				      .words = "no memory" };
	int64_t first = -1, last = -1;

	if (p && (p->is_known || read_names(dest, p, batch->items[0]->offset, &result)) &&
	    pack(dest, batch, p)) {
		for (size_t i = 0; i < batch->count; i++) {
			if (is_covered(p, batch->items[i]->offset))
				continue;
			first = first < 0 ? batch->items[i]->offset : first;
			last = batch->items[i]->offset;
		}
		if (first < 0 || put_object(dest, p, first, last, &result))
			return;
	}
	dest_result_all(batch, results, result.class, slice_from(result.words));
	for (size_t i = 0; i < batch->count; i++)
		results[i].retry_after_ms = result.retry_after_ms;
}

const struct dest_kind dest_s3 = {
	.name = "s3",
	.summary = "objects in a bucket, named by the offsets they cover",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_PARTITION | DEST_ANY_TOPIC | DEST_NO_BATCH_KEY | DEST_RAW_MAP,
	.accepts = DEST_ALL,
	.limits = { .items = 50000, .items_max = 500000, .bytes = 64 << 20, .wait_ms = 60000,
		    .concurrency = 1, .timeout_ms = 120000 },
	.check = s3_check,
	.open = s3_open,
	.map = s3_map,
	.put = s3_put,
	.close = s3_close,
};
