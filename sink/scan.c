// SPDX-License-Identifier: Apache-2.0
#include "sink/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

#include "lib/block.h"
#include "lib/datum.h"
#include "lib/json.h"

#define INFLATE_STEP ((size_t)256 << 10)
/* A record's JSON at most: 1 MiB of datum, each byte as \u00XX. */
#define LINE_MAX_BYTES ((size_t)8 << 20)

struct scanner {
	struct json_reader *json;
	struct buf lines;               /* inflated, up to the last newline not yet used */
	/* of the file in work */
	struct stamp_seen *seen;
	struct scan *scan;
};

int scanner_open(struct scanner **scannerp, struct err *err)
{
	struct scanner *scanner = calloc(1, sizeof(*scanner));
	int rc;

	*scannerp = NULL;
	if (!scanner)
		return err_set(err, -ENOMEM, "no memory");
	rc = json_open(&scanner->json, err);
	if (rc < 0) {
		free(scanner);
		return rc;
	}
	*scannerp = scanner;
	return 0;
}

void scanner_close(struct scanner *scanner)
{
	if (!scanner)
		return;
	json_close(scanner->json);
	buf_close(&scanner->lines);
	free(scanner);
}

PRINTF_LIKE(2, 3)
static int damaged(struct scan *scan, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(scan->why, sizeof(scan->why), format, args);
	va_end(args);
	return -EBADMSG;
}

static void take_src(struct scanner *scanner, int64_t partition, int64_t offset, int64_t index)
{
	if (partition < 0 || partition >= BUS_PARTITIONS_MAX)
		return;
	if (!stamp_is_new(scanner->seen, (int32_t)partition, offset, index))
		scanner->scan->repeats++;
}

/* JSON lines */

static int take_line(struct scanner *scanner, struct slice text)
{
	struct scan *scan = scanner->scan;
	struct err err = { "" };
	int64_t partition, offset, index;
	yyjson_val *root, *src;

	if (json_parse(scanner->json, text, &root, &err) < 0)
		return damaged(scan, "line %" PRIu64 ": %.100s", scan->records + 1, err.text);
	if (!yyjson_is_obj(root))
		return damaged(scan, "line %" PRIu64 " is no object", scan->records + 1);
	scan->records++;
	src = json_get(root, "src");
	if (src && json_num(json_get(src, "partition"), &partition) == 0 &&
	    json_num(json_get(src, "offset"), &offset) == 0 &&
	    json_num(json_get(src, "index"), &index) == 0)
		take_src(scanner, partition, offset, index);
	return 0;
}

/* Takes whole lines off the front of *bytes; what is left has no newline. */
static int take_lines(struct scanner *scanner, struct slice *bytes)
{
	const char *end;
	int rc = 0;

	while (rc == 0 && bytes->len && (end = memchr(bytes->ptr, '\n', bytes->len))) {
		size_t len = (size_t)(end - bytes->ptr);

		rc = take_line(scanner, (struct slice){ bytes->ptr, len });
		*bytes = slice_skip(*bytes, len + 1);
	}
	return rc;
}

static int scan_jsonl(struct scanner *scanner, struct slice bytes)
{
	int rc = take_lines(scanner, &bytes);

	if (rc == 0 && bytes.len)
		rc = damaged(scanner->scan, "the last line does not end");
	return rc;
}

static int inflate_lines(struct scanner *scanner, z_stream *z)
{
	struct buf *lines = &scanner->lines;
	struct slice rest;
	int rc, z_rc;

	do {
		char *at = buf_reserve(lines, INFLATE_STEP);

		if (!at)
			return -ENOMEM;
		z->next_out = (unsigned char *)at;
		z->avail_out = INFLATE_STEP;
		z_rc = inflate(z, Z_NO_FLUSH);
		if (z_rc == Z_MEM_ERROR)
			return -ENOMEM;
		if (z_rc != Z_OK && z_rc != Z_STREAM_END)
			return damaged(scanner->scan, "gzip: %s at byte %lu",
				       z->msg ? z->msg : "it is cut short", z->total_in);
		lines->len += INFLATE_STEP - z->avail_out;
		rest = buf_slice(lines);
		rc = take_lines(scanner, &rest);
		if (rc == 0 && rest.len > LINE_MAX_BYTES)
			rc = damaged(scanner->scan, "a line is too long");
		if (rc < 0)
			return rc;
		buf_drop(lines, lines->len - rest.len);
	} while (z_rc != Z_STREAM_END);
	if (lines->len)
		return damaged(scanner->scan, "the last line does not end");
	return z->avail_in ? damaged(scanner->scan, "bytes follow the gzip member") : 0;
}

static int scan_gzip(struct scanner *scanner, struct slice bytes)
{
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)bytes.ptr };
	int rc;

	if (bytes.len > UINT32_MAX)
		return damaged(scanner->scan, "over 4 GiB");
	z.avail_in = (unsigned int)bytes.len;
	if (inflateInit2(&z, 31) != Z_OK)
		return -ENOMEM;
	buf_reset(&scanner->lines);
	rc = inflate_lines(scanner, &z);
	inflateEnd(&z);
	return rc;
}

/* Avro */

struct avro_scan {
	struct schema *schema;
	struct datum_reader *reader;
	struct block_coder *coder;
	struct value *fields;
	int partition, offset, index;   /* leaves; < 0: none */
	size_t block;
};

static int take_datums(struct scanner *scanner, struct avro_scan *avro, struct slice datums,
		       int64_t count)
{
	for (int64_t i = 0; i < count; i++) {
		ssize_t n = datum_decode(avro->reader, datums, avro->fields);

		if (n < 0)
			return damaged(scanner->scan, "block %zu: record %" PRId64
				       " cannot be decoded", avro->block, i);
		datums = slice_skip(datums, (size_t)n);
		scanner->scan->records++;
		if (avro->partition >= 0 && avro->offset >= 0 && avro->index >= 0)
			take_src(scanner, avro->fields[avro->partition].num,
				 avro->fields[avro->offset].num, avro->fields[avro->index].num);
	}
	if (datums.len)
		return damaged(scanner->scan, "block %zu: %zu bytes after its last record",
			       avro->block, datums.len);
	return 0;
}

static int scan_blocks(struct scanner *scanner, struct avro_scan *avro, struct slice bytes,
		       const char sync[BLOCK_SYNC])
{
	struct block_frame frame;
	struct slice datums;
	int rc = 0;

	while (rc == 0 && bytes.len) {
		rc = block_parse_frame(bytes, sync, &frame, NULL);
		if (rc == -EAGAIN)
			return damaged(scanner->scan, "block %zu is cut short", avro->block);
		if (rc < 0)
			return damaged(scanner->scan, "block %zu has no frame", avro->block);
		if (block_unpack(avro->coder, frame.packed, &datums) < 0)
			return damaged(scanner->scan, "block %zu cannot be unpacked", avro->block);
		rc = take_datums(scanner, avro, datums, frame.count);
		bytes = slice_skip(bytes, frame.size);
		avro->block++;
	}
	return rc;
}

static int scan_avro(struct scanner *scanner, struct slice bytes)
{
	struct avro_scan avro = { 0 };
	struct block_header header;
	struct err err = { "" };
	int rc = block_parse_header(bytes, &header, &err);

	if (rc == 0)
		rc = schema_parse(&avro.schema, header.schema_text, &err);
	if (rc == 0)
		rc = datum_reader_open(&avro.reader, avro.schema, avro.schema, &err);
	if (rc < 0)
		damaged(scanner->scan, "header: %.120s",
			rc == -EAGAIN ? "it is cut short" : err.text);
	if (rc == 0) {
		rc = block_coder_open(&avro.coder, header.codec, 0, &err);
		avro.fields = calloc((size_t)schema_field_count(avro.schema) + 1,
				     sizeof(*avro.fields));
		if (!avro.fields)
			rc = -ENOMEM;
	} else {
		rc = -EBADMSG;
	}
	if (rc == 0) {
		avro.partition = schema_find(avro.schema, "src.partition");
		avro.offset = schema_find(avro.schema, "src.offset");
		avro.index = schema_find(avro.schema, "src.index");
		rc = scan_blocks(scanner, &avro, slice_skip(bytes, header.size), header.sync);
	}
	free(avro.fields);
	block_coder_close(avro.coder);
	datum_reader_close(avro.reader);
	schema_close(avro.schema);
	return rc;
}

/* All formats */

static int scan_bytes(struct scanner *scanner, enum file_format format, struct slice bytes)
{
	switch (format) {
	case FILE_FORMAT_JSONL:
		return scan_jsonl(scanner, bytes);
	case FILE_FORMAT_JSONL_GZ:
		return scan_gzip(scanner, bytes);
	default:
		return scan_avro(scanner, bytes);
	}
}

int scan_file(struct scanner *scanner, int dir_fd, const struct file_name *name,
	      struct stamp_seen *seen, struct scan *scan)
{
	char text[FILE_NAME_TEXT_MAX];
	XXH128_canonical_t hash;
	struct slice bytes = { "", 0 };
	struct stat st;
	void *map = NULL;
	int fd, rc = 0;

	*scan = (struct scan){ 0 };
	scanner->seen = seen;
	scanner->scan = scan;
	file_name_print(name, text);
	fd = openat(dir_fd, text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = damaged(scan, "it is no regular file");
	else if (st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		rc = -errno;
		map = NULL;
	}
	if (map)
		bytes = (struct slice){ map, (size_t)st.st_size };
	if (fd >= 0)
		close(fd);
	if (rc == 0) {
		XXH128_canonicalFromHash(&hash, XXH3_128bits(bytes.ptr, bytes.len));
		memcpy(scan->hash, &hash, sizeof(hash));
		scan->bytes = bytes.len;
		rc = scan_bytes(scanner, name->format, bytes);
	}
	if (map)
		munmap(map, bytes.len);
	if (rc < 0 && rc != -EBADMSG && !scan->why[0])
		damaged(scan, "%s", strerror(-rc));
	return rc;
}
