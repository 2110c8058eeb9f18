/* part - where map's parts lie in its buffer; between dest.c and the courier
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_PART_H
#define SINK_PART_H

#include <stddef.h>

struct dest_part {
	size_t begin, len;      /* in dest_out.buf */
	int route;
};

#endif
