// SPDX-License-Identifier: Apache-2.0
#include "lib/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define ARENA_CHUNK ((size_t)64 << 10)
#define ARENA_KEEP  ((size_t)1 << 20)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	size_t size;
	size_t unused;          /* keeps bytes at a multiple of 16 */
	char bytes[];
};

static struct arena_chunk *chunk_open(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk;

	if (size < ARENA_CHUNK)
		size = ARENA_CHUNK;
	if (arena->bytes_max && (size > arena->bytes_max || arena->bytes > arena->bytes_max - size))
		return NULL;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	*chunk = (struct arena_chunk){ .size = size };
	arena->bytes += size;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->current;
	void *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	while (chunk && chunk->size - chunk->used < size && chunk->next) {
		chunk = chunk->next;
		arena->current = chunk;
	}
	if (!chunk || chunk->size - chunk->used < size) {
		struct arena_chunk *fresh = chunk_open(arena, size);

		if (!fresh)
			return NULL;
		if (chunk)
			chunk->next = fresh;
		else
			arena->first = fresh;
		arena->current = chunk = fresh;
	}
	at = chunk->bytes + chunk->used;
	chunk->used += size;
	return at;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	char *copy = arena_alloc(arena, bytes.len + 1);

	if (!copy)
		return (struct slice){ NULL, 0 };
	if (bytes.len)
		memcpy(copy, bytes.ptr, bytes.len);
	copy[bytes.len] = '\0';
	return (struct slice){ copy, bytes.len };
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *chunk, **link = &arena->first;
	size_t kept = 0;

	while ((chunk = *link)) {
		if (kept + chunk->size > ARENA_KEEP) {
			*link = chunk->next;
			arena->bytes -= chunk->size;
			free(chunk);
			continue;
		}
		kept += chunk->size;
		chunk->used = 0;
		link = &chunk->next;
	}
	arena->current = arena->first;
}

void arena_close(struct arena *arena)
{
	struct arena_chunk *chunk, *next;

	for (chunk = arena->first; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	*arena = (struct arena){ .bytes_max = arena->bytes_max };
}
