// SPDX-License-Identifier: Apache-2.0
/*
 * Any body through all steps: a record that decodes, the same bytes when done again, and JSON
 * leaves that parse; or a bad one with a reason. The first byte chooses the type.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "enrich/enrich.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
	struct enrich_conf conf;
	struct bus_conf out;
	struct enrich *enrich;
	struct datum_reader *reader;
	struct json_reader *json;
};

static void bench_open(struct bench *bench)
{
	struct err err = { "" };

	bench->conf.dedup_window_ms = 86400000;
	bench->out.schema = record_schema("enriched");
	if (enrich_open(&bench->enrich, &bench->conf, "-", &bench->out, &err) < 0 ||
	    datum_reader_open(&bench->reader, bench->out.schema, bench->out.schema, &err) < 0 ||
	    json_open(&bench->json, &err) < 0)
		abort();
}

static void check(struct bench *bench, struct slice datum)
{
	static const int leaves[] = { ENRICHED_PROPERTIES, ENRICHED_TRAITS, ENRICHED_CONTEXT,
				      ENRICHED_INTEGRATIONS };
	struct value fields[ENRICHED_COUNT];
	yyjson_val *root;

	if (datum_decode(bench->reader, datum, fields) != (ssize_t)datum.len)
		abort();
	for (int i = 0; i < 4; i++) {
		const struct value *value = &fields[leaves[i]];

		if (value->is_set && (json_parse(bench->json, value->text, &root, NULL) < 0 ||
				      !yyjson_is_obj(root)))
			abort();
		if (value->is_set && (memchr(value->text.ptr, '\n', value->text.len) ||
				      memchr(value->text.ptr, '\r', value->text.len)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "track", "identify", "page", "screen", "group",
					     "alias" };
	static struct bench bench;
	struct value in[COLLECTED_COUNT] = { { .is_set = false } };
	struct enrich_bad bad = { NULL, NULL, NULL };
	struct buf copy = { 0 };
	struct slice datum;
	int rc;

	if (!bench.enrich)
		bench_open(&bench);
	if (size == 0)
		return 0;
	in[COLLECTED_TYPE] = value_text(slice_from(types[data[0] % 6]));
	in[COLLECTED_MESSAGE_ID] = in[COLLECTED_USER_AGENT] = in[COLLECTED_BODY] =
		value_text((struct slice){ (const char *)data + 1, size - 1 });
	in[COLLECTED_RECEIVED_AT] = value_num(1795521600000000);
	in[COLLECTED_SENT_AT] = value_num(1795521600000000);
	rc = enrich_record(bench.enrich, in, 0, 1, &datum, &bad);
	if (rc == -EBADMSG && (!bad.reason || !bad.words || !bad.at))
		abort();
	if (rc < 0)
		return 0;
	check(&bench, datum);
	buf_append_slice(&copy, datum);
	if (enrich_record(bench.enrich, in, 0, 1, &datum, &bad) < 0 ||
	    !slice_eq(datum, buf_slice(&copy)))
		abort();
	buf_close(&copy);
	return 0;
}
