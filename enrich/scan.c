// SPDX-License-Identifier: Apache-2.0
#include "enrich/scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define OUT_BIT ((uint32_t)1 << 31)

/* The trie while literals are added: children as a list. */
struct node {
	uint32_t child, sibling;        /* 0: none (0 is the root) */
	uint32_t fail;
	uint32_t out;                   /* first of outs; 0: none */
	unsigned char byte;
};

struct out {
	int id;
	uint32_t next;
};

struct scan {
	struct node *nodes;             /* until scan_build */
	uint32_t node_count, node_cap;
	struct out *outs;               /* [0] is unused; until scan_build */
	uint32_t out_count, out_cap;
	uint8_t classes[256];           /* of a byte; 0: in no literal */
	unsigned shift;                 /* a row of the table has 1 << shift entries */
	uint32_t *table;                /* state (already shifted), with OUT_BIT */
	uint32_t *first;                /* of a state: where its ids begin in ids; count + 1 */
	int *ids;
};

int scan_open(struct scan **scanp, struct err *err)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	if (scan) {
		scan->node_cap = 1024;
		scan->out_cap = 1024;
		scan->nodes = calloc(scan->node_cap, sizeof(*scan->nodes));
		scan->outs = calloc(scan->out_cap, sizeof(*scan->outs));
		scan->node_count = scan->out_count = 1;
	}
	if (!scan || !scan->nodes || !scan->outs) {
		scan_close(scan);
		return err_set(err, -ENOMEM, "no memory");
	}
	*scanp = scan;
	return 0;
}

static void close_trie(struct scan *scan)
{
	free(scan->nodes);
	free(scan->outs);
	scan->nodes = NULL;
	scan->outs = NULL;
}

void scan_close(struct scan *scan)
{
	if (!scan)
		return;
	close_trie(scan);
	free(scan->table);
	free(scan->first);
	free(scan->ids);
	free(scan);
}

static uint32_t child_of(const struct scan *scan, uint32_t at, unsigned char byte)
{
	uint32_t child = scan->nodes[at].child;

	while (child && scan->nodes[child].byte != byte)
		child = scan->nodes[child].sibling;
	return child;
}

static int child_add(struct scan *scan, uint32_t at, unsigned char byte, uint32_t *childp)
{
	struct node *node;

	if (scan->node_count == SCAN_STATES_MAX)
		return -ENOSPC;
	if (scan->node_count == scan->node_cap) {
		struct node *nodes = reallocarray(scan->nodes, scan->node_cap * 2, sizeof(*nodes));

		if (!nodes)
			return -ENOMEM;
		scan->nodes = nodes;
		scan->node_cap *= 2;
	}
	*childp = scan->node_count++;
	node = &scan->nodes[*childp];
	*node = (struct node){ .byte = byte, .sibling = scan->nodes[at].child };
	scan->nodes[at].child = *childp;
	return 0;
}

static int out_add(struct scan *scan, uint32_t at, int id)
{
	if (scan->out_count == scan->out_cap) {
		struct out *outs = reallocarray(scan->outs, scan->out_cap * 2, sizeof(*outs));

		if (!outs)
			return -ENOMEM;
		scan->outs = outs;
		scan->out_cap *= 2;
	}
	scan->outs[scan->out_count] = (struct out){ id, scan->nodes[at].out };
	scan->nodes[at].out = scan->out_count++;
	return 0;
}

int scan_add(struct scan *scan, struct slice literal, int id)
{
	uint32_t at = 0;

	assert(scan->nodes && literal.len && id >= 0);
	for (size_t i = 0; i < literal.len; i++) {
		unsigned char byte = (unsigned char)literal.ptr[i];
		uint32_t child = child_of(scan, at, byte);
		int rc = child ? 0 : child_add(scan, at, byte, &child);

		if (rc < 0)
			return rc;
		at = child;
	}
	return out_add(scan, at, id);
}

static void set_classes(struct scan *scan)
{
	unsigned count = 1;

	for (uint32_t i = 1; i < scan->node_count; i++) {
		if (!scan->classes[scan->nodes[i].byte])
			scan->classes[scan->nodes[i].byte] = (uint8_t)(count++ & 0xff);
	}
	/* Capitals share the small letters' classes, so that 231 are the most. */
	for (int c = 'A'; c <= 'Z'; c++)
		scan->classes[c] = scan->classes[c | 0x20];
	for (scan->shift = 4; (1u << scan->shift) < count; scan->shift++)
		;
}

/* Nodes by depth, so that what a failure leads to is ready before it is used; sets fail. */
static uint32_t *order_nodes(struct scan *scan)
{
	uint32_t *order = malloc(scan->node_count * sizeof(*order));
	uint32_t count = 1;

	if (!order)
		return NULL;
	order[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = order[i];

		for (uint32_t child = scan->nodes[at].child; child;
		     child = scan->nodes[child].sibling) {
			uint32_t fail = scan->nodes[at].fail, to = 0;

			while (at && !(to = child_of(scan, fail, scan->nodes[child].byte)) && fail)
				fail = scan->nodes[fail].fail;
			scan->nodes[child].fail = to;
			order[count++] = child;
		}
	}
	return order;
}

/* The ids of a state: its own, and those of all that it fails to. */
static size_t collect_ids(const struct scan *scan, uint32_t at, int *ids)
{
	size_t n = 0;

	for (;; at = scan->nodes[at].fail) {
		for (uint32_t out = scan->nodes[at].out; out; out = scan->outs[out].next) {
			if (ids)
				ids[n] = scan->outs[out].id;
			n++;
		}
		if (!at)
			return n;
	}
}

static int fill_ids(struct scan *scan)
{
	size_t total = 0;

	scan->first = calloc(scan->node_count + 1, sizeof(*scan->first));
	if (!scan->first)
		return -ENOMEM;
	for (uint32_t i = 0; i < scan->node_count; i++) {
		scan->first[i] = (uint32_t)total;
		total += collect_ids(scan, i, NULL);
		if (total > (1u << 24))
			return -ENOSPC;
	}
	scan->first[scan->node_count] = (uint32_t)total;
	scan->ids = calloc(total + 1, sizeof(*scan->ids));
	if (!scan->ids)
		return -ENOMEM;
	for (uint32_t i = 0; i < scan->node_count; i++)
		collect_ids(scan, i, scan->ids + scan->first[i]);
	return 0;
}

static void fill_table(struct scan *scan, const uint32_t *order)
{
	size_t row_bytes = sizeof(*scan->table) << scan->shift;

	for (uint32_t i = 0; i < scan->node_count; i++) {
		uint32_t at = order[i];
		uint32_t *row = scan->table + ((size_t)at << scan->shift);

		if (at)
			memcpy(row, scan->table + ((size_t)scan->nodes[at].fail << scan->shift),
			       row_bytes);
		for (uint32_t child = scan->nodes[at].child; child;
		     child = scan->nodes[child].sibling) {
			bool ends = scan->first[child + 1] > scan->first[child];

			row[scan->classes[scan->nodes[child].byte]] =
				child << scan->shift | (ends ? OUT_BIT : 0);
		}
	}
}

int scan_build(struct scan *scan)
{
	uint32_t *order;
	int rc;

	assert(scan->nodes);
	set_classes(scan);
	order = order_nodes(scan);
	rc = order ? fill_ids(scan) : -ENOMEM;
	if (rc == 0) {
		scan->table = calloc((size_t)scan->node_count << scan->shift,
				     sizeof(*scan->table));
		rc = scan->table ? 0 : -ENOMEM;
	}
	if (rc == 0)
		fill_table(scan, order);
	free(order);
	if (rc == 0)
		close_trie(scan);
	return rc;
}

int scan_run(const struct scan *scan, struct slice text, uint64_t *seen, int *ids)
{
	const uint32_t *table = scan->table;
	uint32_t state = 0;
	int count = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint32_t next = table[state + scan->classes[(unsigned char)text.ptr[i]]];

		state = next & ~OUT_BIT;
		if (next == state)
			continue;
		for (uint32_t k = scan->first[state >> scan->shift];
		     k < scan->first[(state >> scan->shift) + 1]; k++) {
			int id = scan->ids[k];
			uint64_t bit = (uint64_t)1 << (id & 63);

			if (seen[id >> 6] & bit)
				continue;
			seen[id >> 6] |= bit;
			ids[count++] = id;
		}
	}
	return count;
}
