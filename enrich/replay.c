// SPDX-License-Identifier: Apache-2.0
#include "enrich/replay.h"

#include <errno.h>
#include <stdio.h>

#include "lib/record.h"
#include "lib/when.h"

#define SLACK_US INT64_C(600000000)     /* as in resume.c */
#define WAIT_MS  1000

static int read_time(const char *name, const char *text, int64_t *us, struct err *err)
{
	char day[40];

	if (!text || !text[0])
		return 0;
	snprintf(day, sizeof(day), "%sT00:00:00Z", strlen(text) == 10 ? text : "");
	if (when_parse(slice_from(strlen(text) == 10 ? day : text), us) < 0)
		return err_set(err, -EINVAL, "--%s: '%.40s' is not written like 2026-11-01 or "
			       "2026-11-01T10:00:00Z", name, text);
	return 0;
}

int replay_times(struct replay *replay, const char *from, const char *to, struct err *err)
{
	int rc;

	*replay = (struct replay){ .from_us = INT64_MIN, .to_us = INT64_MAX };
	rc = read_time("from-time", from, &replay->from_us, err);
	if (rc == 0)
		rc = read_time("to-time", to, &replay->to_us, err);
	if (rc == 0 && replay->from_us >= replay->to_us)
		rc = err_set(err, -EINVAL, "--from-time is not before --to-time");
	return rc;
}

bool replay_is_given(const struct replay *replay)
{
	return replay->from_us != INT64_MIN || replay->to_us != INT64_MAX;
}

struct probe {
	struct bus *bus;
	struct bus_conf conf;
	char assign[16];
	int64_t at;
};

static int64_t probe_start(void *ctx, int32_t partition, struct err *err)
{
	const struct probe *probe = ctx;

	(void)partition;
	(void)err;
	return probe->at;
}

static int probe_open(struct probe *probe, const char *url, const struct bus_conf *base, int32_t p,
		      int64_t at, struct err *err)
{
	*probe = (struct probe){ .at = at };
	snprintf(probe->assign, sizeof(probe->assign), "%d", p);
	probe->conf = (struct bus_conf){
		.schema = base->schema, .log = base->log, .kafka = base->kafka,
		.open_ms = base->open_ms, .assign = probe->assign, .until_end = true,
		.start = probe_start, .start_ctx = probe, .time_field = COLLECTED_RECEIVED_AT,
	};
	return bus_open(&probe->bus, url, BUS_READ, &probe->conf, err);
}

/* The first record at or behind `at` that is not before time_us; end where there is none. */
static int scan(const char *url, const struct bus_conf *base, int32_t p, int64_t at,
		int64_t time_us, int64_t end, int64_t *offset, struct err *err)
{
	struct bus_record record;
	struct probe probe;
	int rc = probe_open(&probe, url, base, p, at, err);

	*offset = end;
	while (rc >= 0 && (rc = bus_next(probe.bus, &record, WAIT_MS)) >= 0) {
		if (rc == 0 || !record.fields || record.fields[COLLECTED_RECEIVED_AT].num < time_us)
			continue;
		*offset = record.offset;
		rc = -ENODATA;
		break;
	}
	if (rc != -ENODATA && probe.bus)
		err_set(err, rc, "%s: %s", url, bus_error_text(probe.bus));
	bus_close(probe.bus);
	return rc == -ENODATA ? 0 : rc;
}

static int find(struct probe *probe, const char *url, const struct bus_conf *base, int32_t p,
		int64_t time_us, int64_t first, int64_t end, int64_t *offset, struct err *err)
{
	int64_t at;
	int rc;

	*offset = end;
	if (first == end)
		return 0;
	rc = bus_find_time(probe->bus, p, time_us, &at);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", url, bus_error_text(probe->bus));
	if (at >= end)
		return 0;
	return scan(url, base, p, at < first ? first : at, time_us, end, offset, err);
}

static int64_t minus(int64_t us, int64_t less)
{
	int64_t result;

	return __builtin_sub_overflow(us, less, &result) ? INT64_MIN : result;
}

static void log_range(const struct replay *replay, const struct log *log, int32_t p)
{
	struct log_line line;

	log_begin(&line, log, LOG_LEVEL_INFO, "range");
	log_num(&line, "partition", p);
	log_num(&line, "warm", replay->ranges[p].warm);
	log_num(&line, "from", replay->ranges[p].from);
	log_num(&line, "to", replay->ranges[p].to);
	log_end(&line);
}

static int open_range(struct replay *replay, const char *url, const struct bus_conf *base,
		      int32_t p, int64_t window_ms, struct err *err)
{
	struct probe probe;
	int64_t first, end;
	int rc = probe_open(&probe, url, base, p, BUS_OFFSET_FIRST, err);

	if (rc == 0 && (rc = bus_range(probe.bus, p, &first, &end)) < 0)
		err_set(err, rc, "%s: %s", url, bus_error_text(probe.bus));
	if (rc == 0) {
		replay->ranges[p].warm = replay->ranges[p].from = first;
		replay->ranges[p].to = end;
	}
	if (rc == 0 && replay->from_us != INT64_MIN) {
		rc = find(&probe, url, base, p, minus(replay->from_us, window_ms * 1000 + SLACK_US),
			  first, end, &replay->ranges[p].warm, err);
		if (rc == 0)
			rc = find(&probe, url, base, p, replay->from_us, first, end,
				  &replay->ranges[p].from, err);
	}
	if (rc == 0 && replay->to_us != INT64_MAX)
		rc = find(&probe, url, base, p, minus(replay->to_us, -SLACK_US), first, end,
			  &replay->ranges[p].to, err);
	bus_close(probe.bus);
	if (rc == 0)
		log_range(replay, base->log, p);
	return rc;
}

int replay_open(struct replay *replay, const char *url, const struct bus_conf *base,
		int64_t window_ms, struct err *err)
{
	struct probe probe;
	int rc = probe_open(&probe, url, base, 0, BUS_OFFSET_FIRST, err);

	if (rc == 0)
		replay->count = bus_partition_count(probe.bus);
	bus_close(probe.bus);
	if (rc == 0 && replay->count <= 0)
		rc = err_set(err, -ENOENT, "%s: there is no such topic", url);
	for (int32_t p = 0; rc == 0 && p < replay->count; p++)
		rc = open_range(replay, url, base, p, window_ms, err);
	return rc;
}
