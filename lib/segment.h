/* segment - one file of a log partition
 *
 *      DIR/TOPIC/PARTITION/00000000000000001234.avro       name = offset of its first record
 *
 *      header  Avro container header (block.h) with avro.codec = zstandard and
 *              millrace.topic, millrace.partition, millrace.base_offset   as decimal text
 *              millrace.check   XXH3-64, 16 hex digits, of schema, codec, base_offset, sync
 *      block*  as block.h; a record's offset = base + the records before it in the file
 *
 * A standard Avro file to everybody else; the check is ours, because one flipped bit in a field's
 * name would otherwise turn into default values without an error. Docs: docs/log.md.
 *
 * Reading goes through a window (a piece of the file in memory) instead of mmap: a disk that fails
 * gives -EIO there, and SIGBUS here.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_SEGMENT_H
#define LIB_SEGMENT_H

#include <stdint.h>

#include "lib/block.h"
#include "lib/buf.h"
#include "lib/datum.h"
#include "lib/err.h"
#include "lib/schema.h"

#define SEGMENT_NAME_MAX 32

void segment_print_name(int64_t base, char name[SEGMENT_NAME_MAX]);
/* false: not the name of a segment. */
bool segment_parse_name(const char *name, int64_t *base);

/* The segments of a partition around an offset, by their names; -1: there is none. */
struct segment_near {
	int64_t first;
	int64_t at;             /* the greatest base <= offset */
	int64_t next;           /* the smallest base > offset */
	int64_t last;
	int count;
};
MUST_CHECK int segment_find(int dirfd, int64_t offset, struct segment_near *near);

/* What all of them take on disk. */
int64_t segment_bytes(int dirfd);

/* A piece of one file. It has to be reset before that file is closed. */
struct segment_window {
	struct buf bytes;
	int fd;
	int64_t pos;            /* of bytes in the file */
};
void segment_window_reset(struct segment_window *window);
void segment_window_close(struct segment_window *window);

/* An open file. */
struct segment {
	int fd;                 /* -1: none */
	int64_t base;
	enum block_codec codec;
	char sync[BLOCK_SYNC];
	int64_t header_size;
	struct buf header;      /* its bytes */
	struct slice schema_text;       /* into header */
};

struct segment_conf {
	const char *topic;
	int32_t partition;
	struct slice schema_text;
	enum block_codec codec;
};

/* Creates a file that must not exist and writes its header. Nothing is synced. */
MUST_CHECK int segment_create(struct segment *segment, int dirfd, int64_t base,
			      const struct segment_conf *conf);
/* -EBADMSG: the header is damaged, *is_torn tells one that was never written whole. */
MUST_CHECK int segment_open(struct segment *segment, int dirfd, int64_t base, int flags,
			    bool *is_torn, struct err *err);
void segment_close(struct segment *segment);
/* -errno. */
int64_t segment_size(const struct segment *segment);

/* The frame of the block at pos; frame->packed lives until the window is used again. -EBADMSG: no
 * valid frame lies between pos and limit. -EIO, .. */
MUST_CHECK int segment_frame(const struct segment *segment, struct segment_window *window,
			     int64_t pos, int64_t limit, struct block_frame *frame);

/* What checking needs: a coder of any codec's kind is made inside, as files differ. */
struct segment_checker {
	struct block_coder *coder;
	enum block_codec codec;
	struct datum_reader *datum;     /* by the file's own schema on both sides */
	struct schema *schema;
	struct slice schema_text;       /* owned */
	struct segment_window window;
	struct value fields[SCHEMA_FIELDS_MAX];
};
/* Made ready for a file; may be used for many. Start from { 0 }. */
MUST_CHECK int segment_checker_set(struct segment_checker *checker, const struct segment *segment,
				   struct err *err);
void segment_checker_close(struct segment_checker *checker);

/* How far the blocks from pos on are right, up to limit. */
struct segment_tail {
	int64_t pos;            /* behind the last good block */
	int64_t offset;         /* of the next record there */
	const char *why;        /* what is wrong at pos; NULL: nothing, pos is limit */
};
MUST_CHECK int segment_verify(const struct segment *segment, struct segment_checker *checker,
			      int64_t pos, int64_t offset, int64_t limit,
			      struct segment_tail *tail);

/* A damaged file, cut into runs: blocks that are right, and places that are not. */
struct segment_run {
	int64_t pos, end;       /* bytes */
	int64_t offset;         /* of its first record */
	int64_t count;          /* records; -1: not known */
	const char *why;        /* NULL: good blocks */
};
struct segment_map {
	struct segment_run *runs;
	size_t count;
	size_t cap;
};
/* Cuts [pos, limit) into runs. Behind damage the next block is found by the sync bytes. */
MUST_CHECK int segment_scan(const struct segment *segment, struct segment_checker *checker,
			    int64_t pos, int64_t limit, struct segment_map *map);
/* Gives the runs their offsets: the first begins at `offset`, the last ends at `end`. What is lost
 * is end - offset - what is good. Where several damaged places share a loss that cannot be told
 * apart, they and all between become one run. Good records beyond `end` are left out, where nothing
 * before them is damaged: the segment could not be cut. -EBADMSG: damage, and yet more records
 * than offsets. */
MUST_CHECK int segment_settle(struct segment_map *map, int64_t offset, int64_t end);
void segment_map_reset(struct segment_map *map);

/* The position of the block that holds `offset`, by the counts in the frames; *offset becomes that
 * of the block's first record. The counts up to limit must come to `end`, else -EBADMSG. */
MUST_CHECK int segment_hop(const struct segment *segment, struct segment_window *window,
			   int64_t limit, int64_t end, int64_t *offset, int64_t *pos);

#endif
