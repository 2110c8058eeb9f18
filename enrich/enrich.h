/* enrich - from a collected record to an enriched one
 *
 *      collected --> seen before? --> body --> steps (chain.h) --> enriched (same partition)
 *                        |              |        |
 *                        v              v        v
 *                    dropped           bad   bad, filtered
 *
 * A pure function of (record, settings, data files) but for deduplication, which is one of the
 * records already written; so a replay, another batch size or a crash in between gives the same
 * bytes.
 *
 * Output partition p comes from input partition p in order, each record stamped with the offset
 * it came from. Records that give no output (duplicates, bad ones) leave no stamp, so a marker
 * (RECORD_TYPE_MARKER) with the last one's offset is written when there were MARKER_EVERY of
 * them, and when the input is idle or ends: a restart then does not read them again.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef ENRICH_ENRICH_H
#define ENRICH_ENRICH_H

#include "enrich/replay.h"
#include "enrich/step.h"
#include "lib/filter.h"

struct enrich;

struct enrich_conf {
	const char *config;             /* --config; first, see opt.h */
	const char *in, *out, *bad, *bus;
	const char *assign, *group, *metrics;
	bool until_end;
	int64_t dedup_window_ms;
	int64_t segment_bytes, retain_bytes, retain_ms;
	int64_t open_ms;
	struct opt_list kafka;
	struct opt_list steps;
	const char *from_time, *to_time;
	bool verify;
	int64_t show;
	/* Data files of steps that have no settings of their own; NULL, none: the usual places. */
	const char *ua_regexes, *suffixes;
	struct opt_list geoip, asn, referrers, bot_lists, internal_domains;
	const char *bots;               /* mark, drop, divert; NULL: mark */
	bool use_cache;
};

extern const struct opt_program enrich_program;

/* The three URLs that are meant: given, or of --bus, or the defaults. They live in urls. */
struct enrich_urls {
	char in[1024], out[1024], bad[1024];
};
MUST_CHECK int enrich_urls(const struct enrich_conf *conf, struct enrich_urls *urls,
			   struct err *err);

/* out_url is read where it is resumed from; conf, bus_conf (the output's) and log are borrowed. */
MUST_CHECK int enrich_open(struct enrich **enrichp, const struct enrich_conf *conf,
			   const char *out_url, const struct bus_conf *out_conf, struct err *err);
void enrich_close(struct enrich *enrich);

/* Hash of all that the records depend on beside their input: 16 hex digits. */
const char *enrich_logic(const struct enrich *enrich);

/* bus_conf.start of the input: where the output's stamps end; also builds the partition's ids. */
int64_t enrich_start(void *enrich, int32_t partition, struct err *err);

/* Where --from-time and --to-time are given: looks the ranges up (replay.h) in the input, before it
 * is read. */
MUST_CHECK int enrich_replay_open(struct enrich *enrich, const char *in_url,
				  const struct bus_conf *in_base, struct err *err);
/* bus_conf.stop of the input: the end of the range. */
int64_t enrich_stop(void *enrich, int32_t partition, struct err *err);
/* The start of the warm-up, where there is a range. */
bool enrich_replay_start(const struct enrich *enrich, int32_t partition, int64_t *offset);
bool enrich_is_in_times(const struct enrich *enrich, int64_t received_us);

extern const struct filter_ops enrich_ops;

struct enrich_bad;

/* What becomes of the next record of a partition, nothing being written: an enum filter_fate but
 * PENDING, with datum or bad (both until the next call); -errno. Those that become OUT are
 * remembered as seen. What lies outside of the times to be replayed is FILTERED. */
MUST_CHECK int enrich_decide(struct enrich *enrich, const struct bus_record *record,
			     struct slice *datum, struct enrich_bad *bad, struct err *err);

/* One record, without the bus: datum (until the next call) gets the enriched record, or *bad the
 * reason. 0; -EBADMSG; -ENOMEM. */
struct enrich_bad {
	const char *reason, *words, *at;
};
MUST_CHECK int enrich_record(struct enrich *enrich, const struct value *in, int32_t partition,
			     int64_t offset, struct slice *datum, struct enrich_bad *bad);

#endif
