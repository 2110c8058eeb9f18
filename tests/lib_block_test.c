// SPDX-License-Identifier: Apache-2.0
#include "lib/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tap.h"

#define SYNC "0123456789abcdef"

static const enum block_codec codecs[] = {BLOCK_NULL, BLOCK_DEFLATE, BLOCK_ZSTANDARD, BLOCK_SNAPPY};

/* A copy that ends at a page nobody may read. */
static char *at_guard(struct slice bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (bytes.len + page - 1) / page * page;
	char *map =
	    mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map + size, page, PROT_NONE) < 0)
		abort();
	memcpy(map + size - bytes.len, bytes.ptr, bytes.len);
	return map + size - bytes.len;
}

static void at_guard_close(char *at, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (len + page - 1) / page * page;

	munmap(at - (size - len), size + page);
}

static void fill(struct buf *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_append_char(buf, (char)("abcdefgh"[i % 8] + (i * i / 97) % 5));
}

static void test_round(struct tap *tap)
{
	static const size_t sizes[] = { 0, 1, 100, 5000, 300000 };

	for (size_t c = 0; c < sizeof(codecs) / sizeof(codecs[0]); c++) {
		struct block_coder *coder;
		int wrong = 0;

		if (block_coder_open(&coder, codecs[c], 0, NULL) < 0)
			abort();
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			struct buf raw = { 0 }, out = { 0 };
			struct block_frame frame;
			struct slice back;
			int64_t count, size;

			fill(&raw, sizes[s]);
			wrong += block_pack(coder, buf_slice(&raw), 7, SYNC, &out) != 0;
			wrong += block_parse_frame(buf_slice(&out), SYNC, &frame, NULL) != 0 ||
				 frame.count != 7 || frame.size != out.len;
			wrong += block_parse_lead(buf_slice(&out), &count, &size) != 0 ||
				 count != 7 || size != (int64_t)out.len;
			wrong += block_unpack(coder, frame.packed, &back) != 0 ||
				 !slice_eq(back, buf_slice(&raw));
			buf_close(&raw);
			buf_close(&out);
		}
		OK(tap, wrong == 0, "%s: what is packed unpacks", block_codec_name(codecs[c]));
		block_coder_close(coder);
	}
}

/* Cut at every length, at a guard page: more is needed, and never less than all. */
static void test_frame_cuts(struct tap *tap)
{
	struct block_coder *coder;
	struct buf raw = { 0 }, out = { 0 };
	struct block_frame frame;
	int wrong = 0;

	if (block_coder_open(&coder, BLOCK_ZSTANDARD, 0, NULL) < 0)
		abort();
	fill(&raw, 400);
	if (block_pack(coder, buf_slice(&raw), 300, SYNC, &out) < 0)
		abort();
	for (size_t len = 0; len < out.len; len++) {
		char *at = at_guard((struct slice){ out.ptr, len });
		size_t need = 0;

		wrong +=
		    block_parse_frame((struct slice){at, len}, SYNC, &frame, &need) != -EAGAIN ||
		    need <= len || need > out.len;
		at_guard_close(at, len);
	}
	OK(tap, wrong == 0, "a frame that is cut asks for more");
	out.ptr[out.len - 3] ^= 1;
	OK(tap, block_parse_frame(buf_slice(&out), SYNC, &frame, NULL) == -EBADMSG, "a wrong sync");
	buf_close(&raw);
	buf_close(&out);
	block_coder_close(coder);
}

/* With a checksum no flipped bit goes through with other bytes. */
static void test_flips(struct tap *tap)
{
	static const enum block_codec checked[] = { BLOCK_ZSTANDARD, BLOCK_SNAPPY };

	for (size_t c = 0; c < 2; c++) {
		struct block_coder *coder;
		struct buf raw = { 0 }, out = { 0 };
		struct block_frame frame;
		int through = 0, flips = 0;

		if (block_coder_open(&coder, checked[c], 0, NULL) < 0)
			abort();
		fill(&raw, 600);
		if (block_pack(coder, buf_slice(&raw), 3, SYNC, &out) < 0 ||
		    block_parse_frame(buf_slice(&out), SYNC, &frame, NULL) < 0)
			abort();
		for (size_t bit = 0; bit < frame.packed.len * 8; bit++, flips++) {
			char *at = at_guard(frame.packed);
			struct slice back;

			at[bit / 8] ^= (char)(1 << bit % 8);
			through +=
			    block_unpack(coder, (struct slice){at, frame.packed.len}, &back) == 0 &&
			    !slice_eq(back, buf_slice(&raw));
			at_guard_close(at, frame.packed.len);
		}
		OK(tap, through == 0, "%s: %d flips, %d wrong bytes", block_codec_name(checked[c]),
		   flips, through);
		buf_close(&raw);
		buf_close(&out);
		block_coder_close(coder);
	}
}

static void test_frames(struct tap *tap)
{
	const struct {
		struct slice bytes;
		int rc;
		const char *what;
	} cases[] = {
	    {SLICE("\x02\x00" SYNC), 0, "one record of no bytes"},
	    {SLICE("\x01\x00" SYNC), -EBADMSG, "a negative count"},
	    {SLICE("\x02\x01" SYNC), -EBADMSG, "a negative size"},
	    {SLICE("\x02\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), -EBADMSG, "over 64 bits"},
	    {SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EAGAIN, "the lowest count, cut"},
	    {SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00" SYNC), -EBADMSG,
	     "the lowest count"},
	    {SLICE("\x02\x80\x80\x80\x40"), -EBADMSG, "a size over the limit"},
	    {SLICE("\x80\x80\x80\x40\x00"), -EBADMSG, "a count over the limit"},
	    {SLICE("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
	     -EBADMSG, "zeros"},
	};
	struct block_frame frame;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		OK(tap, block_parse_frame(cases[i].bytes, SYNC, &frame, NULL) == cases[i].rc, "%s",
		   cases[i].what);
}

/* 100 MB of zeros in a few bytes. */
static void test_bombs(struct tap *tap)
{
	size_t size = (size_t)100 << 20;
	char *zeros = calloc(1, (size_t)1 << 20);

	for (size_t c = 1; c < 3; c++) {
		struct block_coder *coder;
		struct buf bomb = { 0 }, out = { 0 };
		struct block_frame frame;
		struct slice back;

		if (!zeros || block_coder_open(&coder, codecs[c], 0, NULL) < 0)
			abort();
		for (size_t n = 0; n < size / 4; n += (size_t)1 << 20)
			buf_append(&bomb, zeros, (size_t)1 << 20);
		OK(tap, block_pack(coder, buf_slice(&bomb), 1, SYNC, &out) == 0 &&
		   block_parse_frame(buf_slice(&out), SYNC, &frame, NULL) == 0 &&
		   block_unpack(coder, frame.packed, &back) == 0, "25 MB fit");
		for (size_t n = 0; n < size / 8; n += (size_t)1 << 20)
			buf_append(&bomb, zeros, (size_t)1 << 20);
		OK(tap, block_pack(coder, buf_slice(&bomb), 1, SYNC, &out) == -ENOSPC,
		   "37 MB are no block");
		/* Two frames after one another are more than the limit. */
		buf_reset(&bomb);
		buf_append_slice(&bomb, frame.packed);
		buf_append_slice(&bomb, frame.packed);
		OK(tap, codecs[c] != BLOCK_ZSTANDARD ||
		   block_unpack(coder, buf_slice(&bomb), &back) == -EBADMSG, "nor twice 25 MB");
		buf_close(&bomb);
		buf_close(&out);
		block_coder_close(coder);
	}
	free(zeros);
}

static void test_header(struct tap *tap)
{
	const struct block_meta meta[] = { { "a.b", SLICE("cd") }, { "empty", SLICE("") } };
	struct block_header header;
	struct buf out = { 0 };
	struct err err = { "" };
	int wrong = 0;

	block_print_header(&out, BLOCK_SNAPPY, SLICE("\"int\""), meta, 2, SYNC);
	OK(tap, block_parse_header(buf_slice(&out), &header, &err) == 0 && header.size == out.len &&
	   header.codec == BLOCK_SNAPPY && slice_is(header.schema_text, "\"int\"") &&
	   memcmp(header.sync, SYNC, BLOCK_SYNC) == 0, "a header comes back");
	OK(tap, slice_is(block_header_meta(buf_slice(&out), "a.b"), "cd") &&
	   block_header_meta(buf_slice(&out), "nope").len == 0, "with its metadata");
	for (size_t len = 0; len < out.len; len++) {
		char *at = at_guard((struct slice){ out.ptr, len });

		wrong += block_parse_header((struct slice){ at, len }, &header, &err) != -EAGAIN;
		at_guard_close(at, len);
	}
	OK(tap, wrong == 0, "cut anywhere, it asks for more");
	buf_close(&out);
	OK(tap, block_parse_header(SLICE("PK\3\4"), &header, &err) == -EBADMSG, "%s", err.text);
	err.text[0] = '\0';
	OK(tap,
	   block_parse_header(SLICE("Obj\1\x02\x14"
				    "avro.codec\x06lzo\x00" SYNC),
			      &header, &err) == -EBADMSG,
	   "no schema: %s", err.text);
	err.text[0] = '\0';
	OK(tap,
	   block_parse_header(SLICE("Obj\1\x04\x16"
				    "avro.schema\x02x\x14"
				    "avro.codec\x06lzo\x00" SYNC),
			      &header, &err) == -EBADMSG,
	   "%s", err.text);
	/* Without a codec it is null; a map may come in parts with their sizes. */
	OK(tap,
	   block_parse_header(SLICE("Obj\1\x01\x1c\x16"
				    "avro.schema\x02x\x00" SYNC),
			      &header, NULL) == 0 &&
	       header.codec == BLOCK_NULL,
	   "a map in sized parts");
}

int main(void)
{
	struct tap tap = { 0 };

	test_round(&tap);
	test_frame_cuts(&tap);
	test_flips(&tap);
	test_frames(&tap);
	test_bombs(&tap);
	test_header(&tap);
	return tap_end(&tap);
}
