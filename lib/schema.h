/* schema - an Avro record schema, flat
 *
 * The .avsc of a topic is a record of leaves and of records of leaves (geo, agent, ..). Here it
 * is one list of leaves in wire order, named with dots ("geo.country"): reading or writing a
 * datum is one loop over that list. A leaf is boolean, int, long, float, double, string, bytes
 * or enum (as its symbol's index), or a union of null and one of these. Arrays, maps, other unions
 * and recursion are refused when a schema is parsed: no topic of ours uses them.
 *
 * Parsing goes through avro-c's schema parser (never its decoder) for validity; defaults, which
 * avro-c drops, are read from the JSON. Limits: 1 MiB of text, SCHEMA_FIELDS_MAX leaves, depth 8.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_SCHEMA_H
#define LIB_SCHEMA_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define SCHEMA_FIELDS_MAX 256

enum schema_kind {
	SCHEMA_BOOLEAN,
	SCHEMA_INT,
	SCHEMA_LONG,
	SCHEMA_FLOAT,
	SCHEMA_DOUBLE,
	SCHEMA_STRING,
	SCHEMA_BYTES,
	SCHEMA_ENUM,
};

struct schema_field {
	const char *name;               /* with dots; owned by the schema */
	const char *doc;                /* "" where there is none */
	enum schema_kind kind;
	bool is_time_us;                /* logicalType timestamp-micros */
	const struct slice *symbols;    /* of an enum, in order; owned by the schema */
	int symbol_count;
	int symbol_fallback;            /* an unknown symbol is read as this one; -1: refused */
	bool nullable;
	uint8_t null_branch;            /* of a nullable leaf: 0 or 1 */
	bool has_default;
	struct {
		bool is_set;            /* false: the default is null */
		int64_t num;
		double real;
		struct slice text;      /* owned by the schema */
	} fallback;
};

/* What an encoder needs of a leaf, packed: 70 leaves in four cache lines, not in 140. */
struct schema_code {
	uint8_t kind;                   /* enum schema_kind */
	uint8_t nullable;               /* 0 or 1 */
	char branch[2];                 /* of a nullable leaf, encoded: [0] null, [1] the other */
};

struct schema;

/* Parses the text of an .avsc. The caller closes it. Errors: -EBADMSG with the place. */
MUST_CHECK int schema_parse(struct schema **schemap, struct slice text, struct err *err);
void schema_close(struct schema *schema);

/* One of the topics' own schemas, compiled in from schemas/NAME.avsc: "collected", "enriched",
 * "bad", "counted". It must parse: a failure is a bug and aborts. The caller closes it. */
struct schema *schema_own(const char *name);

/* A version of one of our schemas that was ever in use, compiled in from schemas/history, by the
 * record's full name ("millrace.Enriched") and a number from 0 on: so that a record in Kafka can be
 * read whatever release wrote it. The caller closes it. -ENOENT: no more. A schema that changes is
 * copied there under the next number, and put in the lists of schema_own.c. */
MUST_CHECK int schema_old(const char *name, int index, struct schema **schemap);

const char *schema_name(const struct schema *schema);       /* the record's full name */
struct slice schema_text(const struct schema *schema);      /* as parsed */
int schema_field_count(const struct schema *schema);
/* Fields lie in one array: &schema_field_at(schema, 0)[i] is field i. */
const struct schema_field *schema_field_at(const struct schema *schema, int index);
const struct schema_code *schema_codes(const struct schema *schema);
/* The leaf's index, or -ENOENT. */
int schema_find(const struct schema *schema, const char *name);
/* CRC-64-AVRO of the Parsing Canonical Form (Avro specification, "Schema Fingerprints"). */
uint64_t schema_fingerprint(const struct schema *schema);

#endif
