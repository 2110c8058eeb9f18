// SPDX-License-Identifier: Apache-2.0
#include "aggregate/activity.h"

int activity_parse(struct activity *activity, yyjson_val *root, const char *const *known,
		   const struct measure_world *world, struct question_error *error)
{
	struct predicate_world predicates = measure_predicates(world, NULL);
	enum zone_unit unit = ZONE_DAY;
	int rc;

	*activity = (struct activity){ .where = NULL };
	rc = question_range_parse(&activity->range, root, world->now_us, world->week_start, error);
	predicates.zone = activity->range.zone;
	if (rc == 0)
		rc = pick_parse(&activity->pick, root, "", known, &predicates, error);
	/* The question's where is the event's; what is left for its own is the source. */
	if (rc == 0 && !json_get(root, "where"))
		rc = predicate_parse_root(&activity->where, root, &predicates, error);
	if (rc == 0 && json_get(root, "where") && json_get(root, "source")) {
		predicate_close(activity->pick.where);
		activity->pick.where = NULL;
		rc = predicate_parse_root(&activity->where, root, &predicates, error);
	}
	if (rc == 0 && json_get(root, "unit"))
		rc = question_unit(json_get(root, "unit"), "/unit", &unit, error);
	if (rc == 0)
		rc = calendar_init(&activity->calendar, &activity->range, unit, 0, error);
	return rc;
}

void activity_close(struct activity *activity)
{
	pick_close(&activity->pick);
	predicate_close(activity->where);
	calendar_close(&activity->calendar);
	question_range_close(&activity->range);
}

int activity_scan(const struct activity *activity, int64_t from_us, struct measure_world *world,
		  const struct scan_ops *ops, void *ctx, struct question_error *error)
{
	const struct calendar *calendar = &activity->calendar;
	struct scan_selector selector = pick_selector(&activity->pick, activity->where, from_us,
						      calendar->bounds[calendar->count]);
	struct scan_conf scan = { .snapshot = world->snapshot, .threads = world->threads,
				  .cancel = world->cancel, .deadline_ms = world->deadline_ms,
				  .memory_max = world->memory_max, .selectors = &selector,
				  .selector_count = 1 };
	int rc = scan_run(&scan, ops, ctx);

	world->scanned += atomic_load(&scan.scanned);
	return rc < 0 ? question_fail_scan(error, rc) : 0;
}

void activity_write_incomplete(const struct activity *activity, int64_t through_us,
			       struct buf *out)
{
	buf_append_text(out, ",\"incomplete\":[");
	for (int i = 0; i < activity->calendar.count; i++)
		buf_printf(out, "%s%s", i ? "," : "",
			   activity->calendar.bounds[i + 1] > through_us ? "true" : "false");
	buf_append_char(out, ']');
}
