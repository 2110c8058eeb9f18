/* limit - token buckets: how many events per second
 *
 *      tokens  ----rate per second---->  [ at most BURST seconds' worth ]  --take n-->
 *
 * A bucket allows whatever comes while it is not in debt, and a large batch may put it in debt: so
 * a batch that is larger than the bucket is late, never refused for ever. limit_table is one bucket
 * per client network (/24 of IPv4, /56 of IPv6) in a table of fixed size: an old network makes
 * room for a new one, so that a flood of addresses costs no memory.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef COLLECT_LIMIT_H
#define COLLECT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/slice.h"

#define LIMIT_BURST_S 2

struct limit {
	int64_t rate;           /* per second; 0: any number */
	int64_t tokens;         /* thousandths; < 0 is debt */
	int64_t at_ms;          /* when tokens was right; 0: never */
};

void limit_init(struct limit *limit, int64_t rate);
/* 0: may go on. Else in how many whole seconds it may be tried again (>= 1). Takes nothing. */
int limit_check(struct limit *limit, int64_t now_ms);
void limit_take(struct limit *limit, int64_t n);

struct limit_table;

MUST_CHECK int limit_table_open(struct limit_table **tablep, int64_t rate, struct err *err);
void limit_table_close(struct limit_table *table);
/* The bucket of an address in text, checked and taken from by the two functions above. Valid
 * until the next call. */
struct limit *limit_table_find(struct limit_table *table, struct slice address, int64_t now_ms);

#endif
