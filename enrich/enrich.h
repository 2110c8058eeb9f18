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

extern const struct filter_ops enrich_ops;

/* One record, without the bus: datum (until the next call) gets the enriched record, or *bad the
 * reason. 0; -EBADMSG; -ENOMEM. */
struct enrich_bad {
	const char *reason, *words, *at;
};
MUST_CHECK int enrich_record(struct enrich *enrich, const struct value *in, int32_t partition,
			     int64_t offset, struct slice *datum, struct enrich_bad *bad);

#endif
