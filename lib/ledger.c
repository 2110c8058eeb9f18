// SPDX-License-Identifier: Apache-2.0
#include "lib/ledger.h"

void ledger_log(const struct ledger *ledger, struct log_line *line)
{
	log_num(line, "in", (int64_t)ledger->in);
	log_num(line, "out", (int64_t)ledger->out);
	log_num(line, "bad", (int64_t)ledger->bad);
	log_num(line, "duplicate", (int64_t)ledger->duplicate);
	log_num(line, "filtered", (int64_t)ledger->filtered);
	log_num(line, "pending", (int64_t)ledger->pending);
}
