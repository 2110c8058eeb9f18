// SPDX-License-Identifier: Apache-2.0
#include "aggregate/column_out.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITE_BYTES ((size_t)1 << 20)
#define PREFETCH 16

int column_out_open(struct column_out *out, struct buf *image, int fd)
{
	*out = (struct column_out){ .image = image, .fd = fd };
	out->sum = XXH3_createState();
	if (!out->sum)
		return -ENOMEM;
	XXH3_64bits_reset(out->sum);
	column_out_put(out, COLUMN_MAGIC, 8);
	return 0;
}

void column_out_close(struct column_out *out)
{
	XXH3_freeState(out->sum);
	buf_close(&out->buf);
	buf_close(&out->directory);
	*out = (struct column_out){ .fd = -1 };
}

static void write_all(struct column_out *out, const char *bytes, size_t len)
{
	while (len && out->error == 0) {
		ssize_t n = write(out->fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			out->error = n < 0 ? -errno : -EIO;
			return;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

void column_out_put(struct column_out *out, const void *bytes, size_t len)
{
	struct buf *buf = out->image ? out->image : &out->buf;

	if (out->error || len == 0)
		return;
	XXH3_64bits_update(out->sum, bytes, len);
	out->at += len;
	if (!out->image && len >= WRITE_BYTES) {
		write_all(out, buf->ptr, buf->len);
		buf->len = 0;
		write_all(out, bytes, len);
		return;
	}
	buf_append(buf, bytes, len);
	if (buf->failed)
		out->error = -ENOMEM;
	if (!out->image && buf->len >= WRITE_BYTES) {
		write_all(out, buf->ptr, buf->len);
		buf->len = 0;
	}
}

static uint64_t align(struct column_out *out)
{
	static const char zeros[8];

	column_out_put(out, zeros, (8 - out->at % 8) % 8);
	return out->at;
}

void column_out_begin(struct column_out *out, enum column_section section)
{
	out->foot.at[section] = align(out);
	XXH3_64bits_reset(out->sum);
}

void column_out_end(struct column_out *out, enum column_section section)
{
	out->foot.sum[section] = XXH3_64bits_digest(out->sum);
	if (section == COLUMN_BLOOM)
		out->foot.bloom_blocks =
			(uint32_t)((out->at - out->foot.at[section]) / COLUMN_BLOOM_BLOCK);
}

bool column_out_is_sparse(struct slice name, uint32_t rows, uint32_t count, uint32_t values)
{
	uint64_t width = column_out_width(values);

	return count * (4 + width) < rows * width && !slice_eq(name, SLICE("$event"));
}

uint8_t column_out_width(uint32_t values)
{
	return values <= UINT8_MAX ? 1 : values <= UINT16_MAX ? 2 : 4;
}

void column_out_column(struct column_out *out, struct slice name, uint32_t count, uint32_t set,
		       uint8_t width)
{
	struct column_entry *entry = &out->entry;

	*entry = (struct column_entry){ .at = align(out), .name_len = (uint32_t)name.len,
					.count = count, .set = set, .width = width };
	XXH3_64bits_reset(out->sum);
	column_out_put(out, name.ptr, name.len);
	entry->codes_at = align(out);
}

void column_out_rows(struct column_out *out)
{
	out->entry.rows_at = align(out);
}

static void put_ends(struct column_out *out, uint32_t first, uint32_t count,
		     column_value_fn *value, void *ctx)
{
	uint64_t end = 0;

	out->entry.ends_at = align(out);
	for (uint32_t i = first; i < count; i++) {
		uint32_t end32;

		end += value(ctx, i).text.len;
		if (end > UINT32_MAX && out->error == 0)
			out->error = -EFBIG;
		end32 = (uint32_t)end;
		column_out_put(out, &end32, sizeof(end32));
	}
	out->entry.text_bytes = end;
	out->entry.text_at = align(out);
	for (uint32_t i = first; i < count; i++) {
		struct prop prop = value(ctx, i);

		column_out_put(out, prop.text.ptr, prop.text.len);
	}
}

void column_out_values(struct column_out *out, uint32_t count, column_value_fn *value, void *ctx)
{
	struct column_entry *entry = &out->entry;
	uint32_t i = 0;

	entry->values = count;
	entry->numbers_at = align(out);
	for (; i < count; i++) {
		struct prop prop = value(ctx, i);

		if (prop.kind == PROP_FALSE)
			entry->flags |= 1;
		else if (prop.kind == PROP_TRUE)
			entry->flags |= 2;
		else if (prop.kind == PROP_NUMBER)
			entry->numbers++;
		else
			break;
		if (prop.kind == PROP_NUMBER)
			column_out_put(out, &prop.number, sizeof(prop.number));
	}
	put_ends(out, i, count, value, ctx);
	for (; i < count && value(ctx, i).kind == PROP_TEXT; i++)
		entry->texts++;
	entry->lists = count - i;
	entry->bytes = align(out) - entry->at;
	entry->sum = XXH3_64bits_digest(out->sum);
	buf_append(&out->directory, entry, sizeof(*entry));
	if (out->directory.failed)
		out->error = -ENOMEM;
}

int column_out_finish(struct column_out *out, uint32_t rows, uint32_t actors, int64_t time_min,
		      int64_t time_max)
{
	struct column_foot *foot = &out->foot;

	foot->directory_at = align(out);
	foot->columns = (uint32_t)(out->directory.len / sizeof(struct column_entry));
	foot->directory_sum = XXH3_64bits(out->directory.ptr, out->directory.len);
	column_out_put(out, out->directory.ptr, out->directory.len);
	foot->rows = rows;
	foot->actors = actors;
	foot->time_min = time_min;
	foot->time_max = time_max;
	foot->version = COLUMN_VERSION;
	foot->bytes = out->at + sizeof(*foot);
	memcpy(foot->magic, COLUMN_MAGIC, 8);
	foot->foot_sum = XXH3_64bits(foot, offsetof(struct column_foot, foot_sum));
	column_out_put(out, foot, sizeof(*foot));
	if (!out->image)
		write_all(out, out->buf.ptr, out->buf.len);
	return out->error;
}

uint64_t *column_bloom_open(uint32_t rows, uint32_t *blocks)
{
	*blocks = 1;
	while (*blocks < rows / 32 && *blocks < UINT32_C(1) << 26)
		*blocks *= 2;
	return calloc(*blocks, COLUMN_BLOOM_BLOCK);
}

void column_bloom_add(uint64_t *bloom, uint32_t blocks, const struct message_key *keys,
		      size_t count)
{
	uint64_t ahead[PREFETCH];

	/* The blocks of a large filter are in no cache: 16 are on their way at a time. */
	for (size_t i = 0; i < count + PREFETCH; i++) {
		if (i >= PREFETCH) {
			uint64_t hash = ahead[i % PREFETCH];

			column_bloom_bits(hash, bloom + (hash & (blocks - 1)) * 8);
		}
		if (i < count) {
			ahead[i % PREFETCH] = column_key_hash(&keys[i]);
			__builtin_prefetch(bloom + (ahead[i % PREFETCH] & (blocks - 1)) * 8, 1);
		}
	}
}
