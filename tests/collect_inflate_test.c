// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "collect/inflate.h"
#include "lib/buf.h"
#include "tests/tap.h"

#define MAX ((size_t)8 << 20)

static void pack_at(struct buf *out, const char *bytes, size_t len, int bits, int level)
{
	z_stream stream = { 0 };

	if (deflateInit2(&stream, level, Z_DEFLATED, bits, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	stream.next_in = (unsigned char *)(uintptr_t)bytes;
	stream.avail_in = (unsigned int)len;
	stream.next_out = (unsigned char *)buf_reserve(out, deflateBound(&stream, len));
	stream.avail_out = (unsigned int)deflateBound(&stream, len);
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		abort();
	out->len += stream.total_out;
	deflateEnd(&stream);
}

static void pack(struct buf *out, const char *bytes, size_t len, int bits)
{
	pack_at(out, bytes, len, bits, 9);
}

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void test_forms(struct tap *tap, struct inflate *gz)
{
	struct buf in = { 0 };
	struct err err = { "" };
	struct slice out;
	size_t first;
	int wrong = 0;

	pack(&in, "hello ", 6, 31);
	first = in.len;
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == 0 && slice_is(out, "hello "),
	   "gzip");
	pack(&in, "world", 5, 31);
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == 0 &&
	   slice_is(out, "hello world"), "two members");
	for (size_t len = 0; len < in.len; len++)
		if (len != first && inflate_body(gz, (struct slice){ in.ptr, len }, false, &out,
						 &err) != -EBADMSG)
			wrong++;
	OK(tap, wrong == 0, "cut at every length: %s", err.text);
	err.text[0] = '\0';
	buf_append_text(&in, "x");
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -EBADMSG, "behind it: %s",
	   err.text);
	in.len--;
	in.ptr[in.len - 6] ^= 1;
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -EBADMSG,
	   "a wrong checksum");
	buf_reset(&in);
	pack(&in, "zlib", 4, 15);
	OK(tap, inflate_body(gz, buf_slice(&in), true, &out, &err) == 0 && slice_is(out, "zlib"),
	   "deflate");
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -EBADMSG, "is no gzip");
	pack(&in, "zlib", 4, 15);
	OK(tap, inflate_body(gz, buf_slice(&in), true, &out, &err) == -EBADMSG,
	   "deflate has one member");
	buf_close(&in);
}

static void test_bounds(struct tap *tap, struct inflate *gz)
{
	struct buf in = { 0 }, plain = { 0 };
	struct err err = { "" };
	struct slice out;
	double start;

	for (size_t i = 0; i <= MAX / 8; i++)
		buf_append(&plain, &(uint64_t){ i * 0x9e3779b97f4a7c15 >> 40 }, 8);
	pack_at(&in, plain.ptr, MAX, 31, 1);
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == 0 && out.len == MAX &&
	   memcmp(out.ptr, plain.ptr, MAX) == 0, "just the bound: %s", err.text);
	buf_reset(&in);
	pack_at(&in, plain.ptr, MAX + 1, 31, 1);
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -ENOSPC, "one more: %s",
	   err.text);
	buf_reset(&plain);
	memset(buf_reserve(&plain, 64 << 20), 0, 64 << 20);
	buf_reset(&in);
	pack(&in, plain.ptr, 64 << 20, 31);
	start = cpu_ms();
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -ENOSPC,
	   "%zu bytes for 64 MiB", in.len);
	OK(tap, cpu_ms() - start < 200, "stopped after %.1f ms of CPU", cpu_ms() - start);
	buf_reset(&in);
	pack(&in, plain.ptr, 3 << 20, 31);
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == -ENOSPC,
	   "the ratio: %zu bytes "
	   "for 3 MiB",
	   in.len);
	buf_reset(&in);
	pack(&in, plain.ptr, 1000000, 31);
	OK(tap, inflate_body(gz, buf_slice(&in), false, &out, &err) == 0 && out.len == 1000000,
	   "counts from 1 MiB on only: %zu bytes for 1 MB", in.len);
	buf_close(&in);
	buf_close(&plain);
}

int main(void)
{
	struct tap tap = { 0 };
	struct err err = { "" };
	struct inflate *gz;

	if (inflate_open(&gz, MAX, 500, &err))
		abort();
	test_forms(&tap, gz);
	test_bounds(&tap, gz);
	inflate_close(gz);
	return tap_end(&tap);
}
