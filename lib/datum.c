// SPDX-License-Identifier: Apache-2.0
#include "lib/datum.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define VARINT_MAX 10

/* What one leaf of the writer's schema becomes. */
struct step {
	uint8_t kind;           /* enum schema_kind of the bytes */
	bool nullable;
	uint8_t null_branch;
	bool null_fits;         /* the reader takes a null here, or skips the leaf */
	bool to_real;           /* a whole number that the reader has as float or double */
	int target;             /* leaf of the reader; its leaf count: skipped */
	int symbol_count;
	const int *symbols;     /* the reader's index of each of the writer's; -1: unknown */
};

/* A leaf of the reader that the writer does not have. */
struct missing {
	int target;
	struct value value;
};

struct datum_reader {
	struct step *steps;
	int step_count;
	int leaf_count;         /* the reader's */
	struct missing *missing;
	int missing_count;
	int *symbols;           /* of all enums */
};

static bool widens(enum schema_kind from, enum schema_kind to)
{
	switch (from) {
	case SCHEMA_INT:
		return to == SCHEMA_LONG || to == SCHEMA_FLOAT || to == SCHEMA_DOUBLE;
	case SCHEMA_LONG:
		return to == SCHEMA_FLOAT || to == SCHEMA_DOUBLE;
	case SCHEMA_FLOAT:
		return to == SCHEMA_DOUBLE;
	case SCHEMA_STRING:
		return to == SCHEMA_BYTES;
	case SCHEMA_BYTES:
		return to == SCHEMA_STRING;
	default:
		return false;
	}
}

static void resolve_symbols(struct step *step, const struct schema_field *from,
			    const struct schema_field *to, int *map)
{
	step->symbols = map;
	for (int i = 0; i < from->symbol_count; i++) {
		map[i] = to ? to->symbol_fallback : 0;
		for (int j = 0; to && j < to->symbol_count; j++)
			if (slice_eq(from->symbols[i], to->symbols[j]))
				map[i] = j;
	}
}

/* The leaf that holds name or is held by it: "geo" meets "geo.city". */
static const char *clash(const struct schema *schema, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < schema_field_count(schema); i++) {
		const char *other = schema_field_at(schema, i)->name;
		size_t other_len = strlen(other);
		size_t least = len < other_len ? len : other_len;

		if (len != other_len && strncmp(name, other, least) == 0 &&
		    (len < other_len ? other : name)[least] == '.')
			return other;
	}
	return NULL;
}

static int resolve_step(struct step *step, const struct schema_field *from,
			const struct schema *reader, int *symbols, struct err *err)
{
	int target = schema_find(reader, from->name);
	const struct schema_field *to = target >= 0 ? schema_field_at(reader, target) : NULL;
	const char *other;

	*step = (struct step){
		.kind = (uint8_t)from->kind,
		.nullable = from->nullable,
		.null_branch = from->null_branch,
		.null_fits = !to || to->nullable,
		.target = to ? target : schema_field_count(reader),
		.symbol_count = from->symbol_count,
	};
	if (!to && (other = clash(reader, from->name)))
		return err_set(err, -EBADMSG, "field '%s' was written, '%s' is wanted",
			       from->name, other);
	if (to && from->kind != to->kind && !widens(from->kind, to->kind))
		return err_set(err, -EBADMSG, "field '%s': the type written does not turn into "
			       "the type wanted", from->name);
	if (from->kind == SCHEMA_ENUM)
		resolve_symbols(step, from, to, symbols);
	step->to_real = to && (to->kind == SCHEMA_FLOAT || to->kind == SCHEMA_DOUBLE) &&
			(from->kind == SCHEMA_INT || from->kind == SCHEMA_LONG);
	return 0;
}

static struct value fallback_value(const struct schema_field *leaf)
{
	if (!leaf->fallback.is_set)
		return (struct value){ 0 };
	switch (leaf->kind) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		return value_text(leaf->fallback.text);
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return value_real(leaf->fallback.real);
	default:
		return value_num(leaf->fallback.num);
	}
}

static int resolve(struct datum_reader *r, const struct schema *writer,
		   const struct schema *reader, struct err *err)
{
	int *symbols = r->symbols;
	int rc;

	for (int i = 0; i < r->step_count; i++) {
		const struct schema_field *from = schema_field_at(writer, i);

		if ((rc = resolve_step(&r->steps[i], from, reader, symbols, err)))
			return rc;
		symbols += from->symbol_count;
	}
	for (int i = 0; i < r->leaf_count; i++) {
		const struct schema_field *leaf = schema_field_at(reader, i);

		if (schema_find(writer, leaf->name) >= 0)
			continue;
		if (!leaf->has_default)
			return err_set(err, -EBADMSG, "field '%s' was not written and has no "
				       "default", leaf->name);
		r->missing[r->missing_count++] = (struct missing){ i, fallback_value(leaf) };
	}
	return 0;
}

int datum_reader_open(struct datum_reader **rp, const struct schema *writer,
		      const struct schema *reader, struct err *err)
{
	struct datum_reader *r = calloc(1, sizeof(*r));
	size_t symbols = 1;
	int rc;

	if (!r)
		return err_set(err, -ENOMEM, "no memory");
	r->step_count = schema_field_count(writer);
	r->leaf_count = schema_field_count(reader);
	assert(r->step_count > 0 && r->leaf_count > 0);
	for (int i = 0; i < r->step_count; i++)
		symbols += (size_t)schema_field_at(writer, i)->symbol_count;
	r->steps = calloc((size_t)r->step_count, sizeof(*r->steps));
	r->missing = calloc((size_t)r->leaf_count, sizeof(*r->missing));
	r->symbols = calloc(symbols, sizeof(*r->symbols));
	if (!r->steps || !r->missing || !r->symbols)
		rc = err_set(err, -ENOMEM, "no memory");
	else
		rc = resolve(r, writer, reader, err);
	if (rc) {
		datum_reader_close(r);
		return rc;
	}
	*rp = r;
	return 0;
}

void datum_reader_close(struct datum_reader *reader)
{
	if (!reader)
		return;
	free(reader->symbols);
	free(reader->missing);
	free(reader->steps);
	free(reader);
}

/* A varint, zigzag undone; NULL where it is cut short or does not fit 64 bits. */
static inline const uint8_t *get_long(const uint8_t *p, const uint8_t *end, int64_t *num)
{
	uint64_t sum = 0;

	if (p < end && *p < 0x80) {
		*num = (*p >> 1) ^ -(*p & 1);
		return p + 1;
	}
	for (int shift = 0; p < end && shift < 7 * VARINT_MAX; shift += 7) {
		uint64_t byte = *p++;

		sum |= (byte & 0x7f) << shift;
		if (shift == 63 && byte > 1)
			return NULL;
		if (byte < 0x80) {
			*num = (int64_t)(sum >> 1) ^ -(int64_t)(sum & 1);
			return p;
		}
	}
	return NULL;
}

static inline const uint8_t *get_text(const uint8_t *p, const uint8_t *end, struct slice *text)
{
	int64_t len;

	p = get_long(p, end, &len);
	if (!p || len < 0 || len > end - p)
		return NULL;
	*text = (struct slice){ (const char *)p, (size_t)len };
	return p + len;
}

static const uint8_t *get_enum(const struct step *step, const uint8_t *p, const uint8_t *end,
			       int64_t *num)
{
	p = get_long(p, end, num);
	if (!p || *num < 0 || *num >= step->symbol_count)
		return NULL;
	*num = step->symbols[*num];
	return *num < 0 ? NULL : p;
}

static inline uint64_t load_le(const uint8_t *p, int bytes)
{
	uint64_t num = 0;

	for (int i = 0; i < bytes; i++)
		num |= (uint64_t)p[i] << (8 * i);
	return num;
}

static const uint8_t *get_real(const struct step *step, const uint8_t *p, const uint8_t *end,
			       double *real)
{
	int size = step->kind == SCHEMA_FLOAT ? 4 : 8;
	uint64_t bits;
	uint32_t half;
	float single;

	if (end - p < size)
		return NULL;
	bits = load_le(p, size);
	if (size == 8) {
		memcpy(real, &bits, sizeof(*real));
	} else {
		half = (uint32_t)bits;
		memcpy(&single, &half, sizeof(single));
		*real = (double)single;
	}
	return p + size;
}

/* One leaf that is there. */
static inline const uint8_t *get_value(const struct step *step, const uint8_t *p,
				       const uint8_t *end, struct value *value)
{
	value->is_set = true;
	switch (step->kind) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		return get_text(p, end, &value->text);
	case SCHEMA_INT:
	case SCHEMA_LONG:
		p = get_long(p, end, &value->num);
		if (p && step->kind == SCHEMA_INT && value->num != (int32_t)value->num)
			return NULL;
		if (p && step->to_real)
			value->real = (double)value->num;
		return p;
	case SCHEMA_BOOLEAN:
		if (p == end || *p > 1)
			return NULL;
		value->num = *p;
		return p + 1;
	case SCHEMA_ENUM:
		return get_enum(step, p, end, &value->num);
	default:
		return get_real(step, p, end, &value->real);
	}
}

/* Fields that are skipped go to `scrap`, so that a skipped leaf needs no code of its own. Nullable
 * leaves come first in cost: most of an enriched record's are null, one byte each. */
ssize_t datum_decode(const struct datum_reader *reader, struct slice bytes, struct value *fields)
{
	const uint8_t *start = (const uint8_t *)bytes.ptr, *p = start, *end = p + bytes.len;
	const struct step *step = reader->steps, *last = step + reader->step_count;
	struct value scrap;

	for (; step < last; step++) {
		struct value *value = step->target < reader->leaf_count ? &fields[step->target]
									: &scrap;

		if (step->nullable) {
			int64_t branch;

			p = get_long(p, end, &branch);
			if (!p || branch < 0 || branch > 1)
				return -EBADMSG;
			if (branch == step->null_branch) {
				if (!step->null_fits)
					return -EBADMSG;
				*value = (struct value){ 0 };
				continue;
			}
		}
		p = get_value(step, p, end, value);
		if (!p)
			return -EBADMSG;
	}
	for (int i = 0; i < reader->missing_count; i++)
		fields[reader->missing[i].target] = reader->missing[i].value;
	return p - start;
}

static inline char *put_long(char *at, int64_t num)
{
	uint64_t bits = ((uint64_t)num << 1) ^ (uint64_t)(num >> 63);

	for (; bits >= 0x80; bits >>= 7)
		*at++ = (char)(bits | 0x80);
	*at++ = (char)bits;
	return at;
}

static char *put_real(char *at, double real, enum schema_kind kind)
{
	int size = kind == SCHEMA_FLOAT ? 4 : 8;
	float single = (float)real;
	uint32_t half;
	uint64_t bits;

	if (kind == SCHEMA_FLOAT) {
		memcpy(&half, &single, sizeof(half));
		bits = half;
	} else {
		memcpy(&bits, &real, sizeof(bits));
	}
	for (int i = 0; i < size; i++)
		*at++ = (char)(bits >> (8 * i));
	return at;
}

/* Of a leaf that is no text. */
static char *put_value(char *at, const struct schema_field *leaf, const struct value *value)
{
	int64_t num = value->is_set ? value->num : 0;

	switch (leaf->kind) {
	case SCHEMA_BOOLEAN:
		*at = num != 0;
		return at + 1;
	case SCHEMA_INT:
		if (num != (int32_t)num)
			num = num < 0 ? INT32_MIN : INT32_MAX;
		return put_long(at, num);
	case SCHEMA_ENUM:
		if (num < 0 || num >= leaf->symbol_count)
			num = 0;
		return put_long(at, num);
	case SCHEMA_FLOAT:
	case SCHEMA_DOUBLE:
		return put_real(at, value->is_set ? value->real : 0, leaf->kind);
	default:
		return put_long(at, num);
	}
}

/* The longest form of a leaf that is no text. */
#define LEAF_MAX (1 + VARINT_MAX)

/* Where the room in buf ends: of its memory and of its limit the nearer one. */
static char *room_end(const struct buf *out)
{
	size_t limit = out->limit ? out->limit : BUF_LIMIT_DEFAULT;

	return out->ptr + (out->cap < limit ? out->cap : limit);
}

/* Room behind at for n more bytes; NULL over out's limit. */
static char *more_room(struct buf *out, const char *at, size_t n)
{
	size_t len = out->len;
	char *more;

	out->len = (size_t)(at - out->ptr);
	more = buf_reserve(out, n);
	out->len = len;
	return more;
}

/* The longest form of all that is no text has room at any time: only a text looks for it. */
int datum_encode(const struct schema *schema, const struct value *fields, struct buf *out)
{
	size_t left = (size_t)schema_field_count(schema);
	const struct schema_field *leaf = schema_field_at(schema, 0);
	const struct schema_code *code = schema_codes(schema);
	const struct value *value = fields;
	char *at = buf_reserve(out, left * LEAF_MAX), *end = at ? room_end(out) : NULL;

	for (; at && left; left--, code++, value++, leaf++) {
		*at = code->branch[value->is_set];
		at += code->nullable;
		if (code->nullable & !value->is_set)
			continue;
		if (code->kind != SCHEMA_STRING && code->kind != SCHEMA_BYTES) {
			at = put_value(at, leaf, value);
			continue;
		}
		struct slice text = value_slice(value);

		if ((size_t)(end - at) < left * LEAF_MAX ||
		    (size_t)(end - at) - left * LEAF_MAX < text.len) {
			at = more_room(out, at, text.len < SIZE_MAX / 2
						? left * LEAF_MAX + text.len : SIZE_MAX);
			end = room_end(out);
		}
		if (at)
			at = slice_put(put_long(at, (int64_t)text.len), text);
	}
	if (!at)
		return -ENOSPC;
	assert(at <= end);
	out->len = (size_t)(at - out->ptr);
	return 0;
}
