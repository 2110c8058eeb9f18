// SPDX-License-Identifier: Apache-2.0
#include "sink/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/bus_url.h"
#include "lib/slice.h"

static const char *const schemas[] = { "collected", "enriched", "bad", "counted", "members",
				       "funnels" };

static const char *find_schema(struct slice name)
{
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++)
		if (slice_is(name, schemas[i]))
			return schemas[i];
	return NULL;
}

static bool is_log(const char *url)
{
	return strncmp(url, "log:", 4) == 0;
}

/* The bad topic's partitions from 2 on are the sinks': a free one. */
static int set_urls(struct target *target, const struct sink_conf *conf, struct err *err)
{
	const char *bus = conf->bus && conf->bus[0] ? conf->bus : NULL;
	const char *topic = conf->from ? conf->from : "enriched";
	bool fits = conf->in ? bus_url_copy(target->in, TARGET_URL_MAX, conf->in)
		    : bus    ? bus_url_join(target->in, TARGET_URL_MAX, bus, topic, "")
			     : bus_url_copy(target->in, TARGET_URL_MAX, "-");

	fits &= conf->bad ? bus_url_copy(target->bad, TARGET_URL_MAX, conf->bad)
		: bus     ? bus_url_join(target->bad, TARGET_URL_MAX, bus, "bad",
					 is_log(bus) ? "?partition=2+" : "")
			  : bus_url_copy(target->bad, TARGET_URL_MAX, "log:bad?partition=2+");
	target->is_pipe = strcmp(target->in, "-") == 0;
	return fits ? 0 : err_set(err, -EINVAL, "a bus URL is over 1,000 bytes long");
}

/* The last part of the URL's path. It becomes a part of file names. */
static int set_topic(struct target *target, struct err *err)
{
	size_t len = strcspn(target->in, "?");
	const char *slash = memrchr(target->in, '/', len);
	const char *name = slash ? slash + 1 : target->in;
	struct slice topic = { name, len - (size_t)(name - target->in) };

	if (target->is_pipe)
		topic = SLICE("stdin");
	if (!slash && is_log(target->in))
		topic = slice_skip(topic, 4);
	if (topic.len == 0 || topic.len > FILE_NAME_TOPIC_MAX || topic.ptr[0] == '.' ||
	    memchr(topic.ptr, ':', topic.len))
		return err_set(err, -EINVAL,
			       "--in: '%.100s' has no topic at its end that can begin "
			       "a file's name",
			       target->in);
	memcpy(target->topic, topic.ptr, topic.len);
	return 0;
}

static int set_schema(struct target *target, const struct sink_conf *conf, struct err *err)
{
	if (conf->schema && conf->schema[0]) {
		target->schema = find_schema(slice_from(conf->schema));
		return target->schema ? 0 : err_set(err, -EINVAL, "--schema: '%.40s' is not "
				"collected, enriched, bad or counted", conf->schema);
	}
	target->schema = find_schema(slice_from(target->topic));
	if (!target->schema)
		target->schema = "enriched";
	return 0;
}

static int set_to(struct target *target, const char *to, struct err *err)
{
	static const char scheme[] = "file:", query[] = "format=";
	const char *dir = to + strlen(scheme);
	size_t len = strlen(to) < strlen(scheme) ? 0 : strcspn(dir, "?");
	const char *format = dir + len + 1;

	if (strncmp(to, scheme, strlen(scheme)) != 0 || len == 0 || len >= TARGET_URL_MAX)
		return err_set(err, -EINVAL, "--to: '%.100s' is not file:DIR"
			       "[?format=jsonl|jsonl.gz|avro], nor a destination's name", to);
	memcpy(target->dir, dir, len);
	target->format = FILE_FORMAT_JSONL;
	if (dir[len] == '\0')
		return 0;
	if (strncmp(format, query, strlen(query)) != 0 ||
	    file_format_find(slice_from(format + strlen(query)), &target->format) < 0)
		return err_set(err, -EINVAL,
			       "--to: '?%.60s' is not ?format=jsonl, jsonl.gz or avro", format);
	return 0;
}

int target_init(struct target *target, const struct sink_conf *conf, struct err *err)
{
	int rc;

	*target = (struct target){ .name = strpbrk(conf->to, ":/") ? NULL : conf->to };
	rc = set_urls(target, conf, err);
	if (rc == 0)
		rc = set_topic(target, err);
	if (rc == 0)
		rc = set_schema(target, conf, err);
	return rc == 0 && !target->name ? set_to(target, conf->to, err) : rc;
}

enum block_codec target_codec(const char *name)
{
	return strcmp(name, "zstandard") == 0 ? BLOCK_ZSTANDARD
	       : strcmp(name, "null") == 0    ? BLOCK_NULL
					      : BLOCK_DEFLATE;
}
