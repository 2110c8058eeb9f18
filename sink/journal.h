/* journal - lines of JSON that are safe before the caller goes on
 *
 * Appended whole, with fdatasync where asked. A last line without its end (power) is cut off at
 * open: what it said had not been promised yet.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef SINK_JOURNAL_H
#define SINK_JOURNAL_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"

struct journal;

typedef int journal_line_fn(void *ctx, yyjson_val *line);

/* Calls line for each that is there; lines that are no JSON are passed over. */
MUST_CHECK int journal_open(struct journal **journalp, const char *path, journal_line_fn *line,
			    void *ctx, struct err *err);
void journal_close(struct journal *journal);
/* text: a JSON object without newline. */
MUST_CHECK int journal_add(struct journal *journal, struct slice text, bool sync);

#endif
