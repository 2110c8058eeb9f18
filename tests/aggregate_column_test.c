// SPDX-License-Identifier: Apache-2.0
/* Writers, merges and the reader of column files: the same rows give the same bytes. */
#include <errno.h>
#include <unistd.h>

#include "aggregate/column_write.h"
#include "aggregate/merge.h"
#include "tests/store_world.h"
#include "tests/tap.h"

#define ROWS 3000u

static uint64_t random_below(uint64_t *state, uint64_t below)
{
	*state = world_mix(*state + 0x9e3779b97f4a7c15);
	return *state % below;
}

static struct buf image_of(struct world *world, const uint64_t *events, size_t count)
{
	struct column_write *write;
	struct buf image = { 0 };
	uint64_t left_out = 0;

	if (column_write_open(&write, 100) < 0)
		abort();
	for (size_t i = 0; i < count; i++)
		if (!column_write_has(write, world_row(world, events[i])) &&
		    column_write_add(write, &world->row, &left_out) < 0)
			abort();
	if (column_write_image(write, &image) < 0)
		abort();
	column_write_close(write);
	return image;
}

static struct buf copy_of(const struct buf *image)
{
	struct buf copy = { 0 };

	buf_append(&copy, image->ptr, image->len);
	return copy;
}

static struct column_file *open_image(struct buf image)
{
	struct column_file *file;
	struct err err = { "" };

	if (column_open_image(&file, &image, &err) < 0) {
		printf("# %s\n", err.text);
		return NULL;
	}
	return file;
}

static struct prop value_of(const struct column_file *file, const char *name, uint32_t row)
{
	const struct column *column = column_find(file, slice_from(name));
	uint32_t at = 0;

	return column ? column_value(column, column_code(column, row, &at))
		      : (struct prop){ .kind = PROP_NONE };
}

/* Each event is found, with all its values and no others. */
static void test_rows(struct tap *tap, struct world *world, const struct column_file *file)
{
	uint32_t wrong = 0, hint = 0;

	for (uint64_t i = 0; i < ROWS; i++) {
		const struct store_row *row = world_row(world, i);
		uint32_t begin = 0, count = 0, at = 0, set = 0;

		if (!column_run(file, row->actor, &hint, &begin, &count)) {
			wrong++;
			continue;
		}
		for (at = begin; at < begin + count; at++)
			if (memcmp(&file->message[at], &row->message, 16) == 0)
				break;
		wrong += at == begin + count || file->time[at] != row->time_us ||
			 !column_may_have(file, &row->message);
		for (size_t p = 0; p < row->count && at < begin + count; p++) {
			struct prop value = value_of(file, row->props[p].name.ptr, at);

			wrong += prop_compare(&value, &row->props[p].value) != 0;
		}
		for (uint32_t c = 0; c < file->column_count && at < begin + count; c++) {
			uint32_t from = 0;

			set += column_code(&file->columns[c], at, &from) != 0;
		}
		wrong += set != row->count;
	}
	OK(tap, wrong == 0, "%u of %u rows are wrong", wrong, ROWS);
	wrong = 0;
	for (uint32_t c = 0; c < file->column_count; c++)
		for (uint32_t code = 1; code <= file->columns[c].values; code++) {
			struct prop value = column_value(&file->columns[c], code);

			wrong += column_code_of(&file->columns[c], &value) != code;
		}
	OK(tap, wrong == 0, "each value has its code");
	OK(tap, column_find(file, SLICE("nothing")) == NULL &&
	   !column_run(file, WORLD_ACTORS + 5, &hint, &hint, &hint), "what is not there");
}

/* Rows dealt to files at random, some to two of them, merged in any grouping. */
static void test_merges(struct tap *tap, struct world *world, const struct buf *wanted)
{
	uint64_t state = world->seed, events[ROWS * 2];
	int same = 0, rounds = 12;

	for (int round = 0; round < rounds; round++) {
		struct column_file *files[24];
		size_t count = 1 + random_below(&state, 20), n;

		for (size_t f = 0; f < count; f++) {
			n = 0;
			for (uint64_t i = 0; i < ROWS; i++)
				if (world_mix(i * 31 + (uint64_t)round) % count == f ||
				    world_mix(i * 37 + (uint64_t)round + f) % 11 == 0)
					events[n++] = i;
			for (size_t i = n; i > 1; i--) {
				size_t k = random_below(&state, i);
				uint64_t swap = events[i - 1];

				events[i - 1] = events[k];
				events[k] = swap;
			}
			files[f] = open_image(image_of(world, events, n));
		}
		while (count > 1 || round == 0) {
			size_t take = count == 1 ? 1 : 2 + random_below(&state, count - 1);
			struct merge_input inputs[24];
			struct merge_conf conf = { inputs, take, INT64_MIN, NULL };
			struct buf image = { 0 };
			uint32_t rows;

			for (size_t i = 0; i < take; i++)
				inputs[i] = (struct merge_input){ files[i], NULL, 0 };
			if (merge_files(&conf, &image, -1, &rows) < 0)
				abort();
			for (size_t i = 0; i < take; i++)
				column_close(files[i]);
			memmove(files, files + take, (count - take) * sizeof(files[0]));
			count -= take;
			files[count++] = open_image(image);
			if (round == 0 && count == 1)
				break;
		}
		n = files[0] ? files[0]->bytes : 0;
		/* the image's bytes begin with its magic, before its sections */
		same += n == wanted->len && memcmp((const char *)files[0]->actor - 8, wanted->ptr,
						   n) == 0;
		column_close(files[0]);
	}
	OK(tap, same == rounds, "seed %llu: %d of %d merges give the same bytes",
	   (unsigned long long)world->seed, same, rounds);
}

/* What is left out goes with its values. */
static void test_less(struct tap *tap, struct world *world, const struct buf *whole)
{
	struct column_file *file = open_image(copy_of(whole)), *less;
	static const struct column_gone gone[] = {
		{ 1, INT64_MAX }, { 3, INT64_MAX }, { 7, INT64_MAX }, { WORLD_ACTORS + 9, 1 }
	};
	uint32_t rows, kept = 0;
	int64_t keep_us = WORLD_BASE_US + 500 * INT64_C(1000000);
	struct merge_input input = { file, gone, 4 };
	struct merge_conf conf = { &input, 1, keep_us, NULL };
	struct buf image = { 0 }, wanted;
	uint64_t events[ROWS];
	size_t n = 0;

	for (uint64_t i = 0; i < ROWS; i++) {
		const struct store_row *row = world_row(world, i);

		if (row->actor != 1 && row->actor != 3 && row->actor != 7 &&
		    row->time_us >= keep_us)
			events[n++] = i;
	}
	wanted = image_of(world, events, n);
	OK(tap, merge_files(&conf, &image, -1, &rows) == 0 && rows == n, "%u rows are left", rows);
	OK(tap, image.len == wanted.len && memcmp(image.ptr, wanted.ptr, image.len) == 0,
	   "as if the others had never been");
	less = open_image(image);
	file->gone = gone;
	file->gone_count = 4;
	for (uint32_t actor = 1; actor <= WORLD_ACTORS; actor++) {
		uint32_t hint = 0, row, count;

		kept += column_run(file, actor, &hint, &row, &count);
	}
	OK(tap, kept == file->actors - 3, "gone actors have no run");
	image = (struct buf){ 0 };
	conf.keep_from_us = INT64_MAX;
	OK(tap, merge_files(&conf, &image, -1, &rows) == 0 && rows == 0, "nothing left");
	buf_close(&image);
	buf_close(&wanted);
	column_close(less);
	column_close(file);
}

static int open_bytes(const char *bytes, size_t len, struct err *err)
{
	struct buf copy = { 0 };
	struct column_file *file;
	int rc;

	buf_append(&copy, bytes, len);
	rc = column_open_image(&file, &copy, err);
	if (rc == 0)
		column_close(file);
	return rc;
}

static void test_damage(struct tap *tap, struct world *world)
{
	uint64_t events[200], state = 7;
	struct err err = { "" };
	struct buf image;
	int missed = 0, tries = 0;

	for (uint64_t i = 0; i < 200; i++)
		events[i] = i;
	image = image_of(world, events, 200);
	OK(tap, open_bytes(image.ptr, image.len, &err) == 0, "a small one opens");
	/* zeros between sections are not looked at, nor do they matter */
	for (size_t at = 0; at < image.len; at += 1 + random_below(&state, 5)) {
		char was = image.ptr[at];

		image.ptr[at] = (char)(was ^ 1 << random_below(&state, 8));
		if (open_bytes(image.ptr, image.len, &err) != -EBADMSG)
			missed += was != 0;
		image.ptr[at] = was;
		tries++;
	}
	OK(tap, missed == 0, "%d of %d flipped bits are missed", missed, tries);
	missed = 0;
	for (size_t len = 0; len < image.len; len += 1 + random_below(&state, 30))
		missed += open_bytes(image.ptr, len, &err) != -EBADMSG;
	OK(tap, missed == 0, "every cut is seen");
	OK(tap, strstr(err.text, "--rebuild") != NULL, "and told: %s", err.text);
	buf_close(&image);
}

static void test_limits(struct tap *tap)
{
	struct column_write *write;
	struct store_prop props[8];
	struct store_row row = { .props = props, .count = 8 };
	struct buf image = { 0 };
	struct column_file *file;
	struct prop value;
	uint64_t left_out = 0;
	char names[8][8];

	if (column_write_open(&write, 5) < 0)
		abort();
	for (int i = 0; i < 8; i++) {
		snprintf(names[i], sizeof(names[i]),
			 i == 0 ? "$event" : i == 1 ? "twice" : "p%d", i);
		props[i] = (struct store_prop){ slice_from(names[i]),
						{ .kind = PROP_NUMBER, .number = i } };
	}
	props[0].value = (struct prop){ .kind = PROP_TEXT, .text = SLICE("E") };
	props[2].name = SLICE("twice");
	OK(tap, column_write_add(write, &row, &left_out) == 0 && left_out == 3,
	   "names over the limit are left out and counted: %d", (int)left_out);
	if (column_write_image(write, &image) < 0)
		abort();
	file = open_image(image);
	value = value_of(file, "twice", 0);
	OK(tap, value.kind == PROP_NUMBER && value.number == 2, "the last of two of a name counts");
	OK(tap, column_verify(file, NULL) == 0, "and the file is good");
	column_close(file);
	column_write_close(write);
}

int main(void)
{
	struct tap tap = { 0 };

	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct world world = { .seed = seed };
		uint64_t events[ROWS];
		struct err err = { "" };
		struct column_file *file;
		struct buf whole;

		for (uint64_t i = 0; i < ROWS; i++)
			events[i] = i;
		whole = image_of(&world, events, ROWS);
		file = open_image(copy_of(&whole));
		OK(&tap, file && column_verify(file, &err) == 0, "seed %d: verifies %s", (int)seed,
		   err.text);
		test_rows(&tap, &world, file);
		column_close(file);
		test_merges(&tap, &world, &whole);
		test_less(&tap, &world, &whole);
		if (seed == 1)
			test_damage(&tap, &world);
		buf_close(&whole);
		buf_close(&world.list);
	}
	test_limits(&tap);
	return tap_end(&tap);
}
