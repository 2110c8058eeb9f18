// SPDX-License-Identifier: Apache-2.0
#include "lib/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/log_record.h"
#include "tests/tap.h"

static void test_names(struct tap *tap)
{
	static const struct {
		const char *name;
		int64_t base;           /* -1: no segment */
	} cases[] = {
		{ "00000000000000000000.avro", 0 },
		{ "00000000000000001234.avro", 1234 },
		{ "09223372036854775807.avro", INT64_MAX },
		{ "09223372036854775808.avro", -1 },
		{ "99999999999999999999.avro", -1 },
		{ "0000000000000001234.avro", -1 },
		{ "00000000000000001234.avr", -1 },
		{ "00000000000000001234.avro.part", -1 },
		{ "0000000000000000-234.avro", -1 },
		{ ".lock", -1 },
		{ "", -1 },
	};
	char name[SEGMENT_NAME_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t base = -1;
		bool found = segment_parse_name(cases[i].name, &base);

		OK(tap, found == (cases[i].base >= 0) && base == cases[i].base, "'%s'",
		   cases[i].name);
	}
	segment_print_name(1234, name);
	OK(tap, strcmp(name, "00000000000000001234.avro") == 0, "printed");
}

/* Runs as "g3 b2 b? g4": good or bad, and how many records (? unknown). */
static void build(struct segment_map *map, const char *text)
{
	int64_t pos = 100;

	segment_map_reset(map);
	map->runs = calloc(16, sizeof(*map->runs));
	map->cap = 16;
	for (; map->runs && *text; text += strcspn(text, " ") + (strchr(text, ' ') != NULL)) {
		struct segment_run *run = &map->runs[map->count++];

		run->pos = pos;
		run->end = pos += 10;
		run->count = text[1] == '?' ? -1 : strtol(text + 1, NULL, 10);
		run->why = text[0] == 'b' ? "bad" : NULL;
	}
}

static void test_settle(struct tap *tap)
{
	static const struct {
		const char *runs;
		int64_t end;            /* from 1000 */
		const char *wanted;     /* offset+count of each run, bad ones with ! */
		const char *what;
	} cases[] = {
		{ "g5", 1005, "1000+5", "all is good" },
		{ "g5", 1009, "1000+5 !1005+4", "the end is missing" },
		{ "", 1009, "!1000+9", "nothing is there" },
		{ "g3 b2 g4", 1009, "1000+3 !1003+2 1005+4", "a count that adds up" },
		{ "g3 b7 g4", 1009, "1000+3 !1003+2 1005+4",
		  "one that does not: the rest decides" },
		{ "g3 b? g4", 1009, "1000+3 !1003+2 1005+4", "one unknown" },
		{ "g3 b? g4", 1007, "1000+3 !1003+0 1003+4", "damage without loss" },
		{ "b? g4", 1009, "!1000+5 1005+4", "at the start" },
		{ "g3 b?", 1009, "1000+3 !1003+6", "at the end" },
		{ "g3 b2 g1 b? g4", 1012, "1000+3 !1003+2 1005+1 !1006+2 1008+4",
		  "one unknown of two" },
		{ "g3 b? g1 b? g4", 1012, "1000+3 !1003+5 1008+4", "two unknown are one" },
		{ "g3 b9 g1 b9 g4", 1012, "1000+3 !1003+5 1008+4", "two that lie are one" },
		{ "g3 b2 g1 b2 g4", 1012, "1000+3 !1003+2 1005+1 !1006+2 1008+4", "two that fit" },
		{ "g9", 1005, "1000+5", "a tail that could not be cut off" },
		{ "g9 b2", 1005, "1000+5", "one with damage behind it" },
		{ "g9 b?", 1005, "1000+5", "of unknown size" },
		{ "g9 b2 g1 b?", 1005, "1000+5", "and with more" },
		{ "g5 b2", 1005, "1000+5 !1005+0", "damage behind all there should be" },
		{ "g3 b2 g9", 1008, NULL, "damage, and more than can be" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct segment_map map = { 0 };
		char got[200] = "";
		size_t len = 0;
		int rc;

		build(&map, cases[i].runs);
		rc = segment_settle(&map, 1000, cases[i].end);
		for (size_t j = 0; j < map.count && rc == 0; j++)
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%s%lld+%lld",
						j ? " " : "", map.runs[j].why ? "!" : "",
						(long long)map.runs[j].offset,
						(long long)map.runs[j].count);
		if (!OK(tap, cases[i].wanted ? rc == 0 && strcmp(got, cases[i].wanted) == 0 :
					       rc == -EBADMSG, "%s", cases[i].what))
			printf("# got %d %s, wanted %s\n", rc, got, cases[i].wanted);
		segment_map_reset(&map);
	}
}

struct rig {
	char dir[64];
	int dirfd;
	struct schema *schema;
	struct segment_conf conf;
	struct segment_checker *checker;
};

/* A segment of base 50 with 6 blocks of 4 records, and its size after each. */
static void make_file(struct rig *rig, struct segment *segment, int64_t ends[7])
{
	struct buf raw = { 0 }, one = { 0 }, out = { 0 };
	struct block_coder *coder;

	unlinkat(rig->dirfd, "00000000000000000050.avro", 0);
	if (segment_create(segment, rig->dirfd, 50, &rig->conf) < 0 ||
	    block_coder_open(&coder, rig->conf.codec, 0, NULL) < 0)
		abort();
	ends[0] = segment->header_size;
	for (int b = 0; b < 6; b++) {
		buf_reset(&raw);
		buf_reset(&out);
		for (int i = 0; i < 4; i++)
			buf_append_slice(&raw, log_record(rig->schema, 50 + b * 4 + i, &one));
		if (block_pack(coder, buf_slice(&raw), 4, segment->sync, &out) < 0 ||
		    pwrite(segment->fd, out.ptr, out.len, ends[b]) != (ssize_t)out.len)
			abort();
		ends[b + 1] = ends[b] + (int64_t)out.len;
	}
	buf_close(&raw);
	buf_close(&one);
	buf_close(&out);
	block_coder_close(coder);
}

static void poke(const struct segment *segment, int64_t pos)
{
	char c;

	if (pread(segment->fd, &c, 1, pos) != 1)
		abort();
	c ^= 0x10;
	if (pwrite(segment->fd, &c, 1, pos) != 1)
		abort();
}

static void test_file(struct tap *tap, struct rig *rig)
{
	struct segment segment, again;
	struct segment_window window = { 0 };
	struct segment_tail tail;
	struct segment_map map = { 0 };
	struct err err = { "" };
	int64_t ends[7], offset, pos;
	int wrong = 0;

	make_file(rig, &segment, ends);
	OK(tap, segment_open(&again, rig->dirfd, 50, O_RDONLY, NULL, &err) == 0 &&
	   again.header_size == ends[0] && slice_eq(again.schema_text, schema_text(rig->schema)),
	   "opens again: %s", err.text);
	OK(tap, segment_checker_set(rig->checker, &segment, &err) == 0 &&
	   segment_verify(&segment, rig->checker, ends[0], 50, ends[6], &tail) == 0 && !tail.why &&
	   tail.offset == 74 && tail.pos == ends[6], "is right");
	for (int64_t i = 50; i < 74; i++) {
		offset = i;
		wrong += segment_hop(&again, &window, ends[6], 74, &offset, &pos) != 0 ||
			 offset != 50 + (i - 50) / 4 * 4 || pos != ends[(i - 50) / 4];
	}
	OK(tap, wrong == 0, "hops to each offset");
	OK(tap, segment_hop(&again, &window, ends[6], 75, &offset, &pos) == -EBADMSG &&
	   segment_hop(&again, &window, ends[6] - 1, 74, &offset, &pos) == -EBADMSG,
	   "counts and bytes have to add up");
	/* Payload of the second block, frame of the fifth. */
	poke(&segment, ends[1] + 20);
	poke(&segment, ends[4] + 1);
	OK(tap,
	   segment_verify(&segment, rig->checker, ends[0], 50, ends[6], &tail) == 0 && tail.why &&
		   tail.offset == 54 && tail.pos == ends[1],
	   "stops at the first: %s", tail.why);
	OK(tap, segment_scan(&segment, rig->checker, ends[0], ends[6], &map) == 0 &&
	   segment_settle(&map, 50, 74) == 0 && map.count == 5 && map.runs[1].offset == 54 &&
	   map.runs[1].count == 4 && map.runs[3].count == 4 && map.runs[4].offset == 70 &&
	   map.runs[4].pos == ends[5], "cut into 5 runs");
	segment_map_reset(&map);
	poke(&segment, 30);
	segment_close(&again);
	OK(tap, segment_open(&again, rig->dirfd, 50, O_RDONLY, NULL, &err) == -EBADMSG,
	   "a header that is damaged: %s", err.text);
	segment_window_close(&window);
	segment_close(&segment);
}

static void test_rename(struct tap *tap, struct rig *rig)
{
	struct segment segment;
	struct segment_near near;
	struct err err = { "" };
	int64_t ends[7];
	bool torn = false;

	make_file(rig, &segment, ends);
	segment_close(&segment);
	if (renameat(rig->dirfd, "00000000000000000050.avro", rig->dirfd,
		     "00000000000000000051.avro") < 0)
		abort();
	OK(tap, segment_open(&segment, rig->dirfd, 51, O_RDONLY, NULL, &err) == -EBADMSG, "%s",
	   err.text);
	if (segment_create(&segment, rig->dirfd, 99, &rig->conf) < 0 ||
	    ftruncate(segment.fd, 100) < 0)
		abort();
	segment_close(&segment);
	OK(tap, segment_create(&segment, rig->dirfd, 99, &rig->conf) == -EEXIST,
	   "never over another");
	OK(tap, segment_open(&segment, rig->dirfd, 99, O_RDONLY, &torn, NULL) == -EBADMSG && torn,
	   "a torn header");
	OK(tap, segment_find(rig->dirfd, 60, &near) == 0 && near.at == 51 && near.next == 99 &&
	   near.first == 51 && near.last == 99 && near.count == 2, "found by names");
	OK(tap, segment_find(rig->dirfd, 3, &near) == 0 && near.at == -1 && near.next == 51,
	   "nothing before the first");
}

int main(void)
{
	const char *temp = getenv("TMPDIR");
	struct tap tap = { 0 };
	struct rig rig = { .schema = log_record_schema() };
	char command[100];

	rig.checker = calloc(1, sizeof(*rig.checker));
	snprintf(rig.dir, sizeof(rig.dir), "%s/millrace-XXXXXX", temp ? temp : "/tmp");
	if (!mkdtemp(rig.dir) || !rig.checker)
		abort();
	rig.dirfd = open(rig.dir, O_RDONLY | O_DIRECTORY);
	rig.conf = (struct segment_conf){ "t", 0, schema_text(rig.schema), BLOCK_ZSTANDARD };
	test_names(&tap);
	test_settle(&tap);
	test_file(&tap, &rig);
	test_rename(&tap, &rig);
	segment_checker_close(rig.checker);
	free(rig.checker);
	schema_close(rig.schema);
	close(rig.dirfd);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig.dir);
	return system(command) == 0 ? tap_end(&tap) : 1;
}
