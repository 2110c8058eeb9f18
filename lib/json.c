// SPDX-License-Identifier: Apache-2.0
#include "lib/json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define JSON_KEEP ((size_t)4 << 20)     /* memory kept between texts, per slot */
#define JSON_SLOT_FIRST ((size_t)64 << 10)

/* yyjson asks for one copy of the text and one pool of values, never for more than two at a
 * time: each gets a slot that is kept when yyjson frees it. */
#define JSON_SLOTS 2

struct slot {
	char *ptr;
	size_t cap;
	bool used;
};

struct json_reader {
	struct slot slots[JSON_SLOTS];
	yyjson_alc alc;
	yyjson_doc *doc;
	int depth_max;
	bool has_control;               /* the latest text has bytes below 0x20 */
};

static bool slot_grow(struct slot *slot, size_t size)
{
	size_t cap = slot->cap ? slot->cap : JSON_SLOT_FIRST;
	char *ptr;

	if (size <= slot->cap)
		return true;
	while (cap < size)
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	/* Nothing of a free slot is worth a copy. */
	if (!slot->used) {
		free(slot->ptr);
		*slot = (struct slot){ 0 };
	}
	ptr = realloc(slot->ptr, cap);
	if (!ptr)
		return false;
	slot->ptr = ptr;
	slot->cap = cap;
	return true;
}

static void *slot_malloc(void *ctx, size_t size)
{
	struct json_reader *reader = ctx;

	for (int i = 0; i < JSON_SLOTS; i++) {
		struct slot *slot = &reader->slots[i];

		if (slot->used)
			continue;
		if (!slot_grow(slot, size))
			return NULL;
		slot->used = true;
		return slot->ptr;
	}
	return NULL;
}

static struct slot *slot_of(struct json_reader *reader, const void *ptr)
{
	for (int i = 0; i < JSON_SLOTS; i++)
		if (reader->slots[i].used && reader->slots[i].ptr == ptr)
			return &reader->slots[i];
	abort(); /* yyjson gave back what it did not get */
}

static void *slot_realloc(void *ctx, void *ptr, size_t old, size_t size)
{
	struct slot *slot = slot_of(ctx, ptr);

	(void)old;
	return slot_grow(slot, size) ? slot->ptr : NULL;
}

static void slot_free(void *ctx, void *ptr)
{
	slot_of(ctx, ptr)->used = false;
}

int json_open(struct json_reader **readerp, struct err *err)
{
	struct json_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return err_set(err, -ENOMEM, "json: no memory");
	reader->depth_max = JSON_DEPTH_MAX;
	reader->alc = (yyjson_alc){ slot_malloc, slot_realloc, slot_free, reader };
	*readerp = reader;
	return 0;
}

#define LANES 16
#define TURNS 255       /* until a lane's count could pass a byte */

/* The opening brackets of a text (in strings, too: an upper bound of its depth), and whether it has
 * control bytes; 16 bytes at a time. */
static size_t count_brackets(struct slice text, bool *has_control)
{
	unsigned char bytes __attribute__((vector_size(LANES)));
	unsigned char sums __attribute__((vector_size(LANES)));
	unsigned char hits __attribute__((vector_size(LANES))) = { 0 };
	const char *at = text.ptr, *last = at + text.len / LANES * LANES;
	uint64_t halves[LANES / 8];
	size_t count = 0;

	while (at < last) {
		const char *stop = last - at > TURNS * LANES ? at + TURNS * LANES : last;

		for (sums = hits & 0; at < stop; at += LANES) {
			memcpy(&bytes, at, LANES);
			/* '[' and '{' differ in one bit; a comparison's yes is -1 */
			sums -= (unsigned char __attribute__((vector_size(LANES))))
				((bytes & 0xdf) == '[');
			hits |= (unsigned char __attribute__((vector_size(LANES))))
				(bytes < 0x20);
		}
		for (int lane = 0; lane < LANES; lane++)
			count += sums[lane];
	}
	memcpy(halves, &hits, sizeof(halves));
	*has_control = (halves[0] | halves[1]) != 0;
	for (; at < text.ptr + text.len; at++) {
		count += (*at & 0xdf) == '[';
		*has_control |= (unsigned char)*at < 0x20;
	}
	return count;
}

static void forget(struct json_reader *reader)
{
	yyjson_doc_free(reader->doc);
	reader->doc = NULL;
	for (int i = 0; i < JSON_SLOTS; i++) {
		struct slot *slot = &reader->slots[i];

		assert(!slot->used);
		if (slot->cap > JSON_KEEP) {
			free(slot->ptr);
			*slot = (struct slot){ 0 };
		}
	}
}

void json_limit_depth(struct json_reader *reader, int depth_max)
{
	assert(depth_max > 0 && depth_max <= JSON_DEPTH_MAX);
	reader->depth_max = depth_max;
}

void json_close(struct json_reader *reader)
{
	if (!reader)
		return;
	forget(reader);
	for (int i = 0; i < JSON_SLOTS; i++)
		free(reader->slots[i].ptr);
	free(reader);
}

/* Values lie in one row, a container's members behind it, so that depth is known by remembering
 * where each open container ends. A walk over values (16 bytes each) costs less than one over
 * the text; yyjson itself does not recurse, so that it is early enough. */
static bool is_too_deep(yyjson_val *root, int depth_max)
{
	const char *end[JSON_DEPTH_MAX + 1];
	const char *last = (const char *)unsafe_yyjson_get_next(root);
	int depth = 0;

	end[0] = last;
	for (yyjson_val *val = root; (const char *)val < last; val++) {
		if (!unsafe_yyjson_is_ctn(val))
			continue;
		while (depth && (const char *)val >= end[depth])
			depth--;
		if (unsafe_yyjson_get_len(val) == 0 && depth < depth_max)
			continue;
		if (depth == depth_max)
			return true;
		end[++depth] = (const char *)unsafe_yyjson_get_next(val);
	}
	return false;
}

int json_parse(struct json_reader *reader, struct slice text, yyjson_val **rootp, struct err *err)
{
	yyjson_read_err why;

	forget(reader);
	if (text.len == 0)
		return err_set(err, -EBADMSG, "no JSON: the text is empty");
	/* Without the flag INSITU the text is only read; yyjson_read casts, too. */
	reader->doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len,
				       YYJSON_READ_NUMBER_AS_RAW, &reader->alc, &why);
	if (!reader->doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return err_set(err, -ENOMEM, "no memory for %zu bytes of JSON", text.len);
	if (!reader->doc)
		return err_set(err, -EBADMSG, "no valid JSON: %s at byte %zu", why.msg, why.pos);
	*rootp = yyjson_doc_get_root(reader->doc);
	/* Most texts have so few brackets that no walk is needed. */
	if (count_brackets(text, &reader->has_control) > (size_t)reader->depth_max &&
	    is_too_deep(*rootp, reader->depth_max))
		return err_set(err, -EBADMSG, "JSON nested deeper than %d", reader->depth_max);
	return 0;
}

ssize_t json_offset(const struct json_reader *reader, yyjson_val *string)
{
	const char *pool = reader->doc ? reader->doc->str_pool : NULL, *at;

	if (!pool || !yyjson_is_str(string))
		return -EBADMSG;
	at = unsafe_yyjson_get_str(string);
	if (at <= pool || (size_t)(at - pool) >= yyjson_doc_get_read_size(reader->doc))
		return -EBADMSG;
	return at - pool;
}

yyjson_val *json_get(yyjson_val *object, const char *key)
{
	size_t len = strlen(key), count;
	yyjson_val *name, *found = NULL;

	if (!yyjson_is_obj(object))
		return NULL;
	count = unsafe_yyjson_get_len(object);
	name = unsafe_yyjson_get_first(object);
	for (; count; count--, name = unsafe_yyjson_get_next(name + 1))
		if (unsafe_yyjson_get_len(name) == len &&
		    memcmp(unsafe_yyjson_get_str(name), key, len) == 0)
			found = name + 1;
	return yyjson_is_null(found) ? NULL : found;
}

struct slice json_string(yyjson_val *value)
{
	if (!yyjson_is_str(value))
		return (struct slice){ NULL, 0 };
	return (struct slice){ unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value) };
}

struct slice json_text(yyjson_val *object, const char *key)
{
	return json_string(json_get(object, key));
}

bool json_is_num(yyjson_val *value)
{
	return yyjson_is_raw(value);
}

struct slice json_digits(yyjson_val *value)
{
	if (!yyjson_is_raw(value))
		return (struct slice){ NULL, 0 };
	return (struct slice){ unsafe_yyjson_get_raw(value), unsafe_yyjson_get_len(value) };
}

int json_real(yyjson_val *value, double *real)
{
	yyjson_val num = { 0 };

	/* A raw value ends with NUL in yyjson's copy. What no double holds (1e400) is an error. */
	if (!yyjson_is_raw(value) ||
	    !yyjson_read_number(unsafe_yyjson_get_raw(value), &num, YYJSON_READ_NOFLAG, NULL, NULL))
		return -EBADMSG;
	*real = yyjson_get_num(&num);
	return 0;
}

int json_num(yyjson_val *value, int64_t *num)
{
	struct slice digits = json_digits(value);
	bool minus = digits.len && digits.ptr[0] == '-';
	int64_t sum = 0;
	double real;

	if (!digits.len)
		return -EBADMSG;
	for (size_t i = minus; i < digits.len; i++) {
		int digit = digits.ptr[i] - '0';

		if (digit < 0 || digit > 9) {
			/* 5.0 and 1e3 are whole, too, as far as a double counts exactly. */
			if (json_real(value, &real) || real < -9007199254740992.0 ||
			    real > 9007199254740992.0 || real != (double)(int64_t)real)
				return -EBADMSG;
			*num = (int64_t)real;
			return 0;
		}
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_sub_overflow(sum, digit, &sum))
			return -EBADMSG;
	}
	if (!minus && __builtin_sub_overflow((int64_t)0, sum, &sum))
		return -EBADMSG;
	*num = sum;
	return 0;
}

#define ONES  0x0101010101010101u
#define HIGHS 0x8080808080808080u

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool has_control(struct slice text)
{
	size_t i = 0;
	uint64_t bytes, hits = 0;

	for (; i + 8 <= text.len; i += 8) {
		memcpy(&bytes, text.ptr + i, 8);
		hits |= (bytes - ONES * 0x20) & ~bytes & HIGHS;
	}
	for (; i < text.len; i++)
		hits |= (unsigned char)text.ptr[i] < 0x20;
	return hits != 0;
}

/* yyjson parses a copy of the text and leaves strings where they stand in it, so a name's place
 * in the copy is its place in the text. From a name's closing quote the value begins behind the
 * colon; it ends before the comma and the next name's opening quote, or the object's brace. */
struct slice json_source(const struct json_reader *reader, struct slice text, yyjson_val *value)
{
	const struct slice none = { NULL, 0 };
	const char *pool = reader->doc->str_pool;
	yyjson_val *root = yyjson_doc_get_root(reader->doc);
	yyjson_val *name = value - 1, *next = unsafe_yyjson_get_next(value);
	size_t start, end;
	char stop;

	if (yyjson_get_tag(name) != (YYJSON_TYPE_STR | YYJSON_SUBTYPE_NOESC))
		return none;
	start = (size_t)(unsafe_yyjson_get_str(name) - pool) + unsafe_yyjson_get_len(name) + 1;
	while (start < text.len && is_space(text.ptr[start]))
		start++;
	if (start >= text.len || text.ptr[start++] != ':')
		return none;
	while (start < text.len && is_space(text.ptr[start]))
		start++;
	stop = next < unsafe_yyjson_get_next(root) ? ',' : '}';
	end = stop == ',' ? (size_t)(unsafe_yyjson_get_str(next) - pool) - 1 : text.len;
	while (end > start && is_space(text.ptr[end - 1]))
		end--;
	if (end <= start || text.ptr[--end] != stop)
		return none;
	while (end > start && is_space(text.ptr[end - 1]))
		end--;
	text = (struct slice){ text.ptr + start, end - start };
	return end > start && !(reader->has_control && has_control(text)) ? text : none;
}

/* Whether one of eight bytes is '"', '\\' or below 0x20: a borrow shows it. Bytes over 0x7f are
 * masked out; a borrow out of a lower hit may claim a higher one, never miss one. */
static bool has_escape(uint64_t bytes)
{
	uint64_t quote = bytes ^ (ONES * '"'), slash = bytes ^ (ONES * '\\');
	uint64_t hits = (bytes - ONES * 0x20) | (quote - ONES) | (slash - ONES);

	return (hits & ~bytes & HIGHS) != 0;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* The bytes at the start of text that stand in a string as they are. */
static size_t plain_length(struct slice text)
{
	size_t i = 0;

	for (; i + 8 <= text.len; i += 8) {
		uint64_t bytes;

		memcpy(&bytes, text.ptr + i, 8);
		if (has_escape(bytes))
			break;
	}
	while (i < text.len && is_plain((unsigned char)text.ptr[i]))
		i++;
	return i;
}

/* Where the output goes on. A buf_append per bracket and comma made the writer four times slower
 * than this, which looks for room once a value. */
struct pen {
	struct buf *out;
	char *at;
	const char *end;        /* of the room, which is within out's limit */
};

/* What a value may need beside its own bytes: quotes, separator, all closing brackets. */
#define PEN_SPARE (JSON_DEPTH_MAX + 8)

static bool pen_grow(struct pen *pen, size_t n)
{
	struct buf *out = pen->out;
	size_t limit = out->limit ? out->limit : BUF_LIMIT_DEFAULT;

	if (pen->at)
		out->len = (size_t)(pen->at - out->ptr);
	pen->at = buf_reserve(out, n);
	if (!pen->at)
		return false;
	pen->end = out->ptr + (out->cap < limit ? out->cap : limit);
	return true;
}

static inline bool pen_room(struct pen *pen, size_t n)
{
	return (pen->at && (size_t)(pen->end - pen->at) >= n) || pen_grow(pen, n);
}

static void pen_lift(struct pen *pen)
{
	if (pen->at)
		pen->out->len = (size_t)(pen->at - pen->out->ptr);
}

static inline void pen_put(struct pen *pen, struct slice text)
{
	pen->at = slice_put(pen->at, text);
}

static void put_escape(struct pen *pen, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[] = "btn\0fr"; /* 0x08..0x0d */

	*pen->at++ = '\\';
	if (c == '"' || c == '\\') {
		*pen->at++ = (char)c;
	} else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
		*pen->at++ = shorts[c - 0x08];
	} else {
		pen_put(pen, SLICE("u00"));
		*pen->at++ = hex[c >> 4];
		*pen->at++ = hex[c & 15];
	}
}

/* The inside of a string; text is UTF-8. PEN_SPARE is left behind it. */
static bool put_escaped(struct pen *pen, struct slice text)
{
	while (text.len) {
		size_t n = plain_length(text);

		if (!pen_room(pen, n + PEN_SPARE))
			return false;
		pen_put(pen, (struct slice){ text.ptr, n });
		for (; n < text.len && !is_plain((unsigned char)text.ptr[n]); n++) {
			if (!pen_room(pen, 6 + PEN_SPARE))
				return false;
			put_escape(pen, (unsigned char)text.ptr[n]);
		}
		text = slice_skip(text, n);
	}
	return true;
}

static inline bool put_scalar(struct pen *pen, yyjson_val *val)
{
	struct slice text;

	switch (unsafe_yyjson_get_type(val)) {
	case YYJSON_TYPE_STR:
		text.ptr = unsafe_yyjson_get_str(val);
		text.len = unsafe_yyjson_get_len(val);
		if (!pen_room(pen, text.len + PEN_SPARE))
			return false;
		*pen->at++ = '"';
		if (unsafe_yyjson_get_tag(val) == (YYJSON_TYPE_STR | YYJSON_SUBTYPE_NOESC))
			pen_put(pen, text);
		else if (!put_escaped(pen, text))
			return false;
		*pen->at++ = '"';
		return true;
	case YYJSON_TYPE_RAW:
		text = json_digits(val);
		break;
	case YYJSON_TYPE_BOOL:
		text = unsafe_yyjson_get_bool(val) ? SLICE("true") : SLICE("false");
		break;
	default:
		text = SLICE("null");
	}
	if (!pen_room(pen, text.len + PEN_SPARE))
		return false;
	pen_put(pen, text);
	return true;
}

/* One loop over the row of values, like is_too_deep. */
void json_write(yyjson_val *value, struct buf *out)
{
	struct {
		size_t left;    /* values to come, keys counted too */
		bool object;
	} open[JSON_DEPTH_MAX + 1];
	struct pen pen = { .out = out };
	int depth = 0;

	open[0].left = 1;
	open[0].object = false;
	for (yyjson_val *val = value;; val++) {
		size_t members = 0;

		open[depth].left--;
		if (unsafe_yyjson_is_ctn(val)) {
			bool object = unsafe_yyjson_get_type(val) == YYJSON_TYPE_OBJ;

			assert(depth < JSON_DEPTH_MAX);
			if (!pen_room(&pen, PEN_SPARE))
				break;
			*pen.at++ = object ? '{' : '[';
			members = unsafe_yyjson_get_len(val) << object;
			depth++;
			open[depth].object = object;
			open[depth].left = members;
		} else if (!put_scalar(&pen, val)) {
			break;
		}
		for (; depth && open[depth].left == 0; depth--)
			*pen.at++ = open[depth].object ? '}' : ']';
		if (depth == 0)
			break;
		/* A comma or colon belongs between two values, not before the first. */
		if (!members)
			*pen.at++ = open[depth].object && open[depth].left % 2 ? ':' : ',';
	}
	pen_lift(&pen);
}

/* The length of the UTF-8 character at the start of text, 0 where it is none; *bad is then the
 * bytes that one U+FFFD stands for (Unicode 15, table 3-8: the longest start of a character). */
static size_t utf8_length(struct slice text, size_t *bad)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	*bad = 1;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	switch (p[0]) {
	case 0xe0: low = 0xa0; break;   /* else too long a form */
	case 0xed: high = 0x9f; break;  /* else a surrogate */
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;  /* else over U+10FFFF */
	default: break;
	}
	for (size_t i = 1; i < len; i++) {
		if (i == text.len || p[i] < low || p[i] > high) {
			*bad = i;
			return 0;
		}
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

/* The bytes at the start of text that are whole UTF-8 characters. */
static size_t clean_length(struct slice text, size_t *bad)
{
	size_t i = 0, n;

	*bad = 0;
	while (i < text.len) {
		uint64_t bytes;

		if (i + 8 <= text.len) {
			memcpy(&bytes, text.ptr + i, 8);
			if (!(bytes & HIGHS)) {
				i += 8;
				continue;
			}
		}
		n = utf8_length(slice_skip(text, i), bad);
		if (!n)
			return i;
		i += n;
	}
	*bad = 0;
	return i;
}

void json_clean_utf8(struct slice text, struct buf *out)
{
	size_t bad;

	while (text.len) {
		size_t n = clean_length(text, &bad);

		buf_append(out, text.ptr, n);
		if (bad)
			buf_append(out, "\xef\xbf\xbd", 3);
		text = slice_skip(text, n + bad);
	}
}

void json_write_text(struct slice text, struct buf *out)
{
	struct pen pen = { .out = out };
	size_t bad, n;
	bool room = pen_room(&pen, PEN_SPARE);

	if (room)
		*pen.at++ = '"';
	while (room && text.len) {
		n = clean_length(text, &bad);
		room = put_escaped(&pen, (struct slice){ text.ptr, n });
		if (room && bad) {
			room = pen_room(&pen, 3 + PEN_SPARE);
			if (room)
				pen_put(&pen, SLICE("\xef\xbf\xbd"));
		}
		text = slice_skip(text, n + bad);
	}
	if (room)
		*pen.at++ = '"';
	pen_lift(&pen);
}
