// SPDX-License-Identifier: Apache-2.0
#include "aggregate/column.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "aggregate/column_format.h"

#define MEND "; start aggregate with --rebuild"

/* What column_file points into. */
struct opened {
	struct column_file file;        /* first */
	struct column_foot foot;
	const struct column_entry *entries;
	struct column *columns;         /* owned */
	uint32_t *quarters;             /* owned */
	const char *bytes;              /* the image */
	size_t size;
	struct buf image;               /* owned; empty for a mapped file */
	char name[64];                  /* for words */
};

static int damaged(struct err *err, const struct opened *opened, const char *what)
{
	return err_set(err, -EBADMSG, "%s: damaged (%s)" MEND, opened->name, what);
}

static bool is_inside(uint64_t at, uint64_t bytes, uint64_t end)
{
	return at <= end && bytes <= end - at;
}

static const char *const section_names[COLUMN_SECTIONS] = { "actors", "starts", "times", "messages",
							    "Bloom filter" };

static int check_foot(struct opened *opened, struct err *err)
{
	struct column_foot *foot = &opened->foot;
	uint64_t end;

	if (opened->size < sizeof(*foot) + 8 || memcmp(opened->bytes, COLUMN_MAGIC, 8) != 0)
		return damaged(err, opened, "too short, or no column file");
	end = opened->size - sizeof(*foot);
	memcpy(foot, opened->bytes + end, sizeof(*foot));
	if (memcmp(foot->magic, COLUMN_MAGIC, 8) != 0)
		return damaged(err, opened, "cut short: it has no end");
	if (foot->foot_sum != XXH3_64bits(foot, offsetof(struct column_foot, foot_sum)))
		return damaged(err, opened, "checksum of the foot");
	if (foot->version != COLUMN_VERSION)
		return err_set(err, -EINVAL, "%s: is of version %u" MEND, opened->name,
			       foot->version);
	if (foot->bytes != opened->size || foot->rows > COLUMN_ROWS_MAX ||
	    foot->actors > foot->rows || foot->bloom_blocks == 0 ||
	    (foot->bloom_blocks & (foot->bloom_blocks - 1)) ||
	    !is_inside(foot->directory_at,
		       (uint64_t)foot->columns * sizeof(struct column_entry), end) ||
	    foot->directory_at % 8)
		return damaged(err, opened, "sizes in the foot");
	for (int i = 0; i < COLUMN_SECTIONS; i++) {
		uint64_t bytes = column_section_bytes(foot, i);

		if (foot->at[i] % 8 || !is_inside(foot->at[i], bytes, end))
			return damaged(err, opened, section_names[i]);
		if (XXH3_64bits(opened->bytes + foot->at[i], bytes) != foot->sum[i])
			return damaged(err, opened, section_names[i]);
	}
	opened->entries = (const void *)(opened->bytes + foot->directory_at);
	if (XXH3_64bits(opened->entries, (size_t)foot->columns * sizeof(struct column_entry)) !=
	    foot->directory_sum)
		return damaged(err, opened, "the directory of columns");
	return 0;
}

static bool is_entry_good(const struct opened *opened, const struct column_entry *entry)
{
	uint64_t at = entry->at, end = entry->at + entry->bytes, ends = entry->texts;

	ends += entry->lists;
	if (!is_inside(entry->at, entry->bytes, opened->foot.directory_at) || entry->at % 8 ||
	    (entry->width != 1 && entry->width != 2 && entry->width != 4) ||
	    entry->count > opened->foot.rows ||
	    (entry->rows_at == 0 && entry->count != opened->foot.rows) ||
	    (uint64_t)(entry->flags & 1) + (entry->flags >> 1 & 1) + entry->numbers + ends !=
	    entry->values)
		return false;
	return is_inside(at, entry->name_len, end) && entry->codes_at >= at &&
	       is_inside(entry->codes_at, (uint64_t)entry->count * entry->width, end) &&
	       (entry->rows_at == 0 || (entry->rows_at >= at && entry->rows_at % 8 == 0 &&
		is_inside(entry->rows_at, (uint64_t)entry->count * 4, end))) &&
	       entry->numbers_at >= at && entry->ends_at >= at && entry->text_at >= at &&
	       (entry->codes_at | entry->numbers_at | entry->ends_at) % 8 == 0 &&
	       is_inside(entry->numbers_at, (uint64_t)entry->numbers * 8, end) &&
	       is_inside(entry->ends_at, ends * 4, end) &&
	       is_inside(entry->text_at, entry->text_bytes, end);
}

static int open_column(struct opened *opened, uint32_t i, struct err *err)
{
	const struct column_entry *entry = &opened->entries[i];
	struct column *column = &opened->columns[i];
	const char *bytes = opened->bytes;
	uint32_t ends = entry->texts + entry->lists;

	if (!is_entry_good(opened, entry))
		return damaged(err, opened, "sizes of a column");
	if (XXH3_64bits(bytes + entry->at, entry->bytes) != entry->sum)
		return err_set(err, -EBADMSG, "%s: damaged (column '%.*s')" MEND, opened->name,
			       entry->name_len > 60 ? 60 : (int)entry->name_len,
			       bytes + entry->at);
	*column = (struct column){
		.name = { bytes + entry->at, entry->name_len },
		.width = (uint8_t)entry->width,
		.is_sparse = entry->rows_at != 0,
		.count = entry->count,
		.set = entry->set,
		.codes = bytes + entry->codes_at,
		.rows = entry->rows_at ? (const void *)(bytes + entry->rows_at) : NULL,
		.values = entry->values,
		.has_false = entry->flags & 1,
		.has_true = entry->flags >> 1 & 1,
		.numbers = (const void *)(bytes + entry->numbers_at),
		.text_ends = (const void *)(bytes + entry->ends_at),
		.text_bytes = bytes + entry->text_at,
	};
	column->numbers_from = 1u + column->has_false + column->has_true;
	column->texts_from = column->numbers_from + entry->numbers;
	column->lists_from = column->texts_from + entry->texts;
	if (ends && column->text_ends[ends - 1] > entry->text_bytes)
		return damaged(err, opened, "texts of a column");
	return 0;
}

static int64_t quarter_of(int64_t time_us)
{
	return time_us / COLUMN_QUARTER_US - (time_us % COLUMN_QUARTER_US < 0);
}

#define FAR_US (INT64_C(1) << 60)

/* The width of the codes is a constant in each copy of this. */
static inline __attribute__((always_inline)) int
count_quarters_of(struct opened *opened, uint8_t width)
{
	const struct column_file *file = &opened->file;
	const void *codes = file->event->codes;
	uint64_t stride = file->event->values + UINT64_C(1);
	uint64_t begin = (uint64_t)(file->quarter_first * COLUMN_QUARTER_US);

	for (uint32_t row = 0; row < file->rows; row++) {
		uint64_t quarter = ((uint64_t)file->time[row] - begin) / COLUMN_QUARTER_US;
		uint32_t code = column_load(codes, width, row);

		if (quarter >= file->quarter_count || code >= stride)
			return -EBADMSG;
		opened->quarters[quarter * stride + code]++;
	}
	return 0;
}

/* About 3 ns a row, next to the checksums' 30. */
static int count_quarters(struct opened *opened)
{
	struct column_file *file = &opened->file;
	uint64_t cells;

	if (file->rows == 0 || file->time_min < -FAR_US || file->time_max > FAR_US)
		return 0;
	file->quarter_first = quarter_of(file->time_min);
	cells = (uint64_t)(quarter_of(file->time_max) - file->quarter_first) + 1;
	if (cells > UINT32_MAX)
		return 0;
	file->quarter_count = (uint32_t)cells;
	cells *= file->event->values + UINT64_C(1);
	if (cells > file->rows / 2 + UINT64_C(4096))
		return 0;
	opened->quarters = calloc(cells, sizeof(*opened->quarters));
	if (!opened->quarters)
		return -ENOMEM;
	file->quarters = opened->quarters;
	switch (file->event->width) {
	case 1:
		return count_quarters_of(opened, 1);
	case 2:
		return count_quarters_of(opened, 2);
	default:
		return count_quarters_of(opened, 4);
	}
}

static int open_bytes(struct opened *opened, struct err *err)
{
	const struct column_foot *foot = &opened->foot;
	struct column_file *file = &opened->file;
	int rc = check_foot(opened, err);

	if (rc < 0)
		return rc;
	opened->columns = calloc((size_t)foot->columns + 1, sizeof(*opened->columns));
	if (!opened->columns)
		return err_set(err, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < foot->columns; i++) {
		rc = open_column(opened, i, err);
		if (rc < 0)
			return rc;
	}
	*file = (struct column_file){
		.rows = foot->rows, .actors = foot->actors,
		.actor = (const void *)(opened->bytes + foot->at[COLUMN_ACTOR]),
		.start = (const void *)(opened->bytes + foot->at[COLUMN_START]),
		.time = (const void *)(opened->bytes + foot->at[COLUMN_TIME]),
		.message = (const void *)(opened->bytes + foot->at[COLUMN_MESSAGE]),
		.time_min = foot->time_min, .time_max = foot->time_max,
		.column_count = foot->columns, .columns = opened->columns,
		.bytes = opened->size,
	};
	if (file->start[0] != 0 || file->start[file->actors] != file->rows)
		return damaged(err, opened, "starts");
	file->event = column_find(file, SLICE("$event"));
	if (file->rows && (!file->event || file->event->is_sparse))
		return damaged(err, opened, "no column of event names");
	rc = count_quarters(opened);
	return rc == -EBADMSG ? damaged(err, opened, "times or event codes")
	       : rc < 0	      ? err_set(err, rc, "no memory")
			      : 0;
}

int column_open_image(struct column_file **filep, struct buf *image, struct err *err)
{
	struct opened *opened = calloc(1, sizeof(*opened));
	int rc;

	*filep = NULL;
	if (!opened) {
		buf_close(image);
		return err_set(err, -ENOMEM, "no memory");
	}
	opened->image = *image;
	*image = (struct buf){ 0 };
	opened->bytes = opened->image.ptr;
	opened->size = opened->image.len;
	memcpy(opened->name, "an image in memory", 19);
	rc = open_bytes(opened, err);
	if (rc < 0) {
		column_close(&opened->file);
		return rc;
	}
	*filep = &opened->file;
	return 0;
}

static int map(struct opened *opened, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *bytes;
	int rc = 0;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &stat) < 0)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (stat.st_size < (off_t)sizeof(struct column_foot))
		rc = damaged(err, opened, "cut short");
	if (rc == 0) {
		bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED) {
			rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
		} else {
			opened->bytes = bytes;
			opened->size = (size_t)stat.st_size;
			/* All of it is read now for the checksums, and by most questions. */
			(void)madvise(bytes, opened->size, MADV_WILLNEED);
		}
	}
	close(fd);
	return rc;
}

int column_open(struct column_file **filep, const char *path, struct err *err)
{
	struct opened *opened = calloc(1, sizeof(*opened));
	const char *base = strrchr(path, '/');
	int rc;

	*filep = NULL;
	if (!opened)
		return err_set(err, -ENOMEM, "no memory");
	base = base ? base + 1 : path;
	memcpy(opened->name, base,
	       strlen(base) < sizeof(opened->name) ? strlen(base) : sizeof(opened->name) - 1);
	rc = map(opened, path, err);
	if (rc == 0)
		rc = open_bytes(opened, err);
	if (rc < 0) {
		column_close(&opened->file);
		return rc;
	}
	*filep = &opened->file;
	return 0;
}

void column_close(struct column_file *file)
{
	/* struct opened begins with its file */
	struct opened *opened = (struct opened *)file;

	if (!file)
		return;
	if (opened->image.ptr)
		buf_close(&opened->image);
	else if (opened->bytes)
		munmap((void *)(uintptr_t)opened->bytes, opened->size);
	free(opened->quarters);
	free(opened->columns);
	free(opened);
}

/* Looking up */

static int compare_names(struct slice a, struct slice b)
{
	size_t least = a.len < b.len ? a.len : b.len;
	int order = least ? memcmp(a.ptr, b.ptr, least) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

const struct column *column_find(const struct column_file *file, struct slice name)
{
	uint32_t low = 0, high = file->column_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_names(file->columns[middle].name, name);

		if (order == 0)
			return &file->columns[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct prop column_value(const struct column *column, uint32_t code)
{
	struct prop prop = { PROP_NONE, 0, { NULL, 0 } };
	uint32_t from, text;

	if (code == 0 || code > column->values)
		return prop;
	if (code < column->numbers_from) {
		prop.kind = column->has_false && code == 1 ? PROP_FALSE : PROP_TRUE;
		return prop;
	}
	if (code < column->texts_from) {
		prop.kind = PROP_NUMBER;
		prop.number = column->numbers[code - column->numbers_from];
		return prop;
	}
	text = code - column->texts_from;
	from = text ? column->text_ends[text - 1] : 0;
	prop.kind = code < column->lists_from ? PROP_TEXT : PROP_LIST;
	prop.text = (struct slice){ column->text_bytes + from, column->text_ends[text] - from };
	return prop;
}

uint32_t column_code_of(const struct column *column, const struct prop *value)
{
	uint32_t low = 1, high = column->values + 1;

	if (value->kind == PROP_NONE)
		return 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct prop prop = column_value(column, middle);
		int order = prop_compare(&prop, value);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* The first i in [from, count) with list[i] >= wanted, galloping from `from`. */
static uint32_t seek(const uint32_t *list, uint32_t count, uint32_t from, uint32_t wanted)
{
	uint32_t low, high, step = 1;

	if (from > count || (from && list[from - 1] >= wanted))
		from = 0;
	low = from;
	while (low + step < count && list[low + step - 1] < wanted) {
		low += step;
		step *= 2;
	}
	high = low + step < count ? low + step : count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (list[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* gone[] has few entries as a rule. */
static int64_t gone_until(const struct column_file *file, uint32_t actor)
{
	uint32_t low = 0, high = file->gone_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (file->gone[middle].actor < actor)
			low = middle + 1;
		else
			high = middle;
	}
	return low < file->gone_count && file->gone[low].actor == actor ? file->gone[low].until_us
									: INT64_MIN;
}

uint32_t column_first_left(const struct column_file *file, uint32_t place)
{
	uint32_t row = file->start[place], end = file->start[place + 1];
	int64_t until_us = gone_until(file, file->actor[place]);

	while (row < end && file->time[row] <= until_us)
		row++;
	return row;
}

bool column_gone_run(const struct column_file *file, uint32_t g, uint32_t *from, uint32_t *row,
		     uint32_t *count)
{
	uint32_t at = seek(file->actor, file->actors, *from, file->gone[g].actor);

	*from = at;
	if (at >= file->actors || file->actor[at] != file->gone[g].actor)
		return false;
	*row = file->start[at];
	*count = column_first(file, at) - *row;
	return *count != 0;
}

bool column_run(const struct column_file *file, uint32_t actor, uint32_t *from, uint32_t *row,
		uint32_t *count)
{
	uint32_t at = seek(file->actor, file->actors, *from, actor);

	*from = at;
	if (at >= file->actors || file->actor[at] != actor)
		return false;
	*row = column_first(file, at);
	*count = file->start[at + 1] - *row;
	return *count != 0;
}

uint32_t column_code_sparse(const struct column *column, uint32_t row, uint32_t *at)
{
	*at = seek(column->rows, column->count, *at, row);
	if (*at >= column->count || column->rows[*at] != row)
		return 0;
	return column_load(column->codes, column->width, *at);
}

const uint64_t *column_bloom_block(const struct column_file *file, uint64_t hash)
{
	const struct opened *opened = (const struct opened *)file;

	return (const void *)(opened->bytes + opened->foot.at[COLUMN_BLOOM] +
			      (hash & (opened->foot.bloom_blocks - 1)) * COLUMN_BLOOM_BLOCK);
}

bool column_bloom_has(const uint64_t *block, uint64_t hash)
{
	for (int i = 0; i < COLUMN_BLOOM_BITS; i++) {
		unsigned bit = hash >> (19 + 9 * i) & 511;

		if (!(block[bit >> 6] >> (bit & 63) & 1))
			return false;
	}
	return true;
}

bool column_may_have(const struct column_file *file, const struct message_key *key)
{
	uint64_t hash = column_key_hash(key);

	return column_bloom_has(column_bloom_block(file, hash), hash);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_uuid(struct slice id, struct message_key *key)
{
	size_t at = 0;

	if (id.len != 36)
		return false;
	for (size_t i = 0; i < 16; i++) {
		int high, low;

		if (at == 8 || at == 13 || at == 18 || at == 23)
			if (id.ptr[at++] != '-')
				return false;
		high = hex_digit(id.ptr[at]);
		low = hex_digit(id.ptr[at + 1]);
		if (high < 0 || low < 0)
			return false;
		key->bytes[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	return true;
}

struct message_key message_key_of(struct slice id)
{
	struct message_key key = { { 0 } };
	uint64_t hash;

	if (parse_uuid(id, &key))
		return key;
	memset(&key, 0, sizeof(key));
	memcpy(key.bytes, id.ptr, id.len < 8 ? id.len : 8);
	hash = XXH3_64bits(id.ptr, id.len);
	memcpy(key.bytes + 8, &hash, sizeof(hash));
	return key;
}

/* Verifying */

static int verify_rows(const struct opened *opened, struct err *err)
{
	const struct column_file *file = &opened->file;

	for (uint32_t i = 0; i < file->actors; i++) {
		if ((i && file->actor[i - 1] >= file->actor[i]) ||
		    file->start[i] >= file->start[i + 1])
			return damaged(err, opened, "actors do not rise");
		for (uint32_t row = file->start[i] + 1; row < file->start[i + 1]; row++)
			if (file->time[row - 1] > file->time[row] ||
			    (file->time[row - 1] == file->time[row] &&
			     memcmp(&file->message[row - 1], &file->message[row], 16) > 0))
				return damaged(err, opened, "times do not rise");
	}
	for (uint32_t row = 0; row < file->rows; row++)
		if (!column_may_have(file, &file->message[row]) ||
		    file->time[row] < file->time_min || file->time[row] > file->time_max)
			return damaged(err, opened, "Bloom filter or bounds of time");
	return 0;
}

static bool is_dictionary_good(const struct column *column)
{
	uint32_t ends = column->values + 1 - column->texts_from;

	for (uint32_t i = 1; i < ends; i++)
		if (column->text_ends[i - 1] > column->text_ends[i])
			return false;
	for (uint32_t code = 1; code <= column->values; code++) {
		struct prop value = column_value(column, code), next;

		if (value.kind == PROP_NUMBER && !isfinite(value.number))
			return false;
		if (code == column->values)
			break;
		next = column_value(column, code + 1);
		if (prop_compare(&value, &next) >= 0)
			return false;
	}
	return true;
}

static int verify_column(const struct opened *opened, const struct column *column,
			 struct err *err)
{
	uint8_t *used = calloc((size_t)column->values + 1, 1);
	const char *wrong = NULL;
	uint32_t set = 0;

	if (!used)
		return err_set(err, -ENOMEM, "no memory");
	if (!is_dictionary_good(column))
		wrong = "dictionary";
	for (uint32_t i = 0; i < column->count && !wrong; i++) {
		uint32_t code = column_load(column->codes, column->width, i);

		if (code > column->values || (column->is_sparse && code == 0))
			wrong = "codes";
		else
			used[code] = 1;
		set += code != 0;
		if (column->is_sparse && (column->rows[i] >= opened->file.rows ||
					  (i && column->rows[i - 1] >= column->rows[i])))
			wrong = "rows";
	}
	for (uint32_t code = 1; code <= column->values && !wrong; code++)
		if (!used[code])
			wrong = "unused values";
	if (set != column->set && !wrong)
		wrong = "count";
	free(used);
	return wrong ? err_set(err, -EBADMSG, "%s: damaged (%s of column '%.*s')" MEND,
			       opened->name, wrong,
			       column->name.len > 60 ? 60 : (int)column->name.len,
			       column->name.ptr)
		     : 0;
}

int column_verify(const struct column_file *file, struct err *err)
{
	const struct opened *opened = (const struct opened *)file;
	int rc = verify_rows(opened, err);

	for (uint32_t i = 0; i < file->column_count && rc == 0; i++) {
		if (i && compare_names(file->columns[i - 1].name, file->columns[i].name) >= 0)
			rc = damaged(err, opened, "names of columns do not rise");
		else
			rc = verify_column(opened, &file->columns[i], err);
	}
	return rc;
}
