/* arena - memory that lives for one batch
 *
 *      chunk 0 [used....|free]  chunk 1 [used......]  ...
 *
 * Allocation moves a pointer; reset makes all chunks free again and keeps them, so that a
 * steady state allocates nothing. Nothing in an arena is freed alone. Everything handed out
 * is valid until the next arena_reset or arena_close. Not for several threads.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_ARENA_H
#define LIB_ARENA_H

#include "lib/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *first;    /* owned list; NULL until the first allocation */
	struct arena_chunk *current;
	size_t bytes_max;             /* what all chunks may come to; 0 = no bound */
	size_t bytes;                 /* what they come to now */
};

/* Memory aligned to 16 bytes, not cleared; NULL over bytes_max or where memory ends. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy in the arena with a NUL after it; {NULL, 0} where memory ends. */
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* All of it free again. Chunks over 1 MiB in all are given back to the system. */
void arena_reset(struct arena *arena);
void arena_close(struct arena *arena);

#endif
