// SPDX-License-Identifier: Apache-2.0
#include "lib/filter.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/record.h"
#include "lib/stamp.h"
#include "lib/thread.h"
#include "lib/when.h"

/* How long one wait may keep a signal waiting. */
#define WAIT_MS      100
#define STATUS_MS    60000
#define GAUGES_MS    1000
#define FULL_WARN_MS 10000
/* The clock is looked at once in so many records. */
#define CLOCK_EVERY  32
/* Partitions with a lag gauge of their own; METRIC_MAX bounds what a set can hold. */
#define LAG_MAX      48
/* Room in a bad record for all that is not the original's bytes. */
#define BAD_ROOM     ((size_t)16 << 10)
#define BAD_HEADER_MAX 1024      /* bytes of a header value in a bad record */
#define WORDS_MAX    2000

enum count { COUNT_IN, COUNT_OUT, COUNT_BAD, COUNT_DUPLICATE, COUNT_FILTERED, COUNT_PENDING,
	     COUNT_BATCHES, COUNT_BYTES_IN, COUNT_BYTES_OUT, COUNT_LAG, COUNT_MAX };

struct filter {
	const struct filter_conf *conf;
	const struct filter_ops *ops;
	void *ctx;
	struct err *err;                /* filter_run's caller's */
	struct ledger ledger;
	uint64_t batches, bytes_in, bytes_out;
	int64_t next[BUS_PARTITIONS_MAX];       /* input offset after the last read; -1: none */
	int partitions;                 /* 1 + the highest partition read */
	/* signals */
	sigset_t mask_before;
	int signal_fd;
	bool stopping;
	bool has_guard;
	pthread_t guard;                /* waits for a second signal.. */
	int guard_fd;                   /* ..until this eventfd is written */
	bool ending;                    /* the last commit is due */
	bool reload_due;
	/* out */
	uint64_t out_staged, out_released;      /* seq */
	size_t batch_bytes;
	int64_t full_warned_ms;
	/* bad */
	struct bus *bad;
	struct bus_conf bad_conf;
	struct schema *bad_schema;
	int32_t bad_partition;          /* own partition of a log, or -1 */
	bool bad_dirty;                 /* staged since the last flush */
	struct value bad_fields[BAD_COUNT];
	struct buf bad_datum, bad_words;
	struct bad_mark *bad_marks;     /* src of the bad tail at open, sorted; owned */
	size_t bad_mark_count;
	bool bad_tail_is_cut;           /* there was more before the tail */
	int in_received_at, in_source, in_ip, in_user_agent;    /* leaves of in_schema; < 0: none */
	/* metrics */
	struct metric_set *metrics;
	struct metric *counts[COUNT_MAX];
	struct metric *lags[LAG_MAX];
	char names[COUNT_MAX][64], name_lag[64];
	int64_t status_ms, gauges_ms;
};

/* Signals */

static void end_in_order(int signo)
{
	(void)signo;
	_exit(0);
}

void filter_await(void)
{
	signal(SIGTERM, end_in_order);
	signal(SIGINT, end_in_order);
}

static int signals_open(struct filter *f)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &f->mask_before);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	f->guard_fd = eventfd(0, EFD_CLOEXEC);
	f->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (f->signal_fd < 0 || f->guard_fd < 0)
		return err_set(f->err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

/* A signal that came while an error was ending us, or while a step waited for a disk, has been
 * obeyed: unblocked, it would kill before the program has cleaned up. */
static void signals_close(struct filter *f)
{
	const uint64_t one = 1;
	struct signalfd_siginfo info;

	if (f->has_guard) {
		(void)!write(f->guard_fd, &one, sizeof(one));
		pthread_join(f->guard, NULL);
	}
	if (f->guard_fd >= 0)
		close(f->guard_fd);
	if (f->signal_fd >= 0) {
		while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info))
			;
		close(f->signal_fd);
	}
	pthread_sigmask(SIG_SETMASK, &f->mask_before, NULL);
}

/* After the first signal the next TERM or INT has its default effect, from FILTER_AGAIN_MS on: the
 * process ends at once, which is as safe as kill -9 is. A thread: the loop may wait for a disk. */
static void *guard(void *ctx)
{
	struct filter *f = ctx;
	struct pollfd fds[] = { { .fd = f->guard_fd, .events = POLLIN },
				{ .fd = f->signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	sigset_t set;

	if (poll(fds, 1, FILTER_AGAIN_MS) > 0)
		return NULL;
	while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info))
		;
	while (poll(fds, 2, -1) >= 0 && !fds[0].revents) {
		if (read(f->signal_fd, &info, sizeof(info)) != sizeof(info) ||
		    info.ssi_signo == SIGHUP)
			continue;
		sigemptyset(&set);
		sigaddset(&set, (int)info.ssi_signo);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		raise((int)info.ssi_signo);
	}
	return NULL;
}

static void signals_poll(struct filter *f)
{
	struct signalfd_siginfo info;

	while (!f->has_guard && read(f->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			f->reload_due = true;
			continue;
		}
		log_words(f->conf->log, LOG_LEVEL_INFO, "stop", "signal %u: finishing",
			  info.ssi_signo);
		f->stopping = true;
		f->has_guard = thread_start(&f->guard, guard, f) == 0;
	}
	if (f->conf->stop && *f->conf->stop)
		f->stopping = true;
}

static void reload_if_due(struct filter *f)
{
	struct err err = { "" };

	if (!f->reload_due)
		return;
	f->reload_due = false;
	if (!f->ops->reload)
		log_words(f->conf->log, LOG_LEVEL_INFO, "reload", "nothing to read again");
	else if (f->ops->reload(f->ctx, &err) < 0)
		log_words(f->conf->log, LOG_LEVEL_ERROR, "reload", "kept the old settings: %s",
			  err.text);
	else
		log_words(f->conf->log, LOG_LEVEL_INFO, "reload", "new settings in force");
}

/* Buses */

static int bus_fail(struct filter *f, struct bus *bus, const char *which, int rc)
{
	return err_set(f->err, rc, "%s: %s", which, bus_error_text(bus));
}

/* Waits once for room or durability. A full disk is waited for, as the log tries again by itself;
 * only an ordered stop gives up. Any other error of a bus ends the filter: a restart resumes. */
static int wait_some(struct filter *f, struct bus *bus, const char *which)
{
	int rc = bus_wait(bus, WAIT_MS);
	int64_t now;

	signals_poll(f);
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
		return bus_fail(f, bus, which, rc);
	if (rc == 0)
		rc = bus_error(bus);    /* one that the transport is trying to mend */
	if (rc == 0)
		return 0;
	if (f->stopping)
		return bus_fail(f, bus, which, rc);
	now = when_monotonic_ms();
	if (now - f->full_warned_ms >= FULL_WARN_MS || f->full_warned_ms == 0) {
		f->full_warned_ms = now;
		log_words(f->conf->log, LOG_LEVEL_WARN, "full", "%s: %s: waiting", which,
			  bus_error_text(bus));
	}
	usleep(WAIT_MS * 1000);
	return 0;
}

static int wait_durable(struct filter *f, struct bus *bus, const char *which, uint64_t seq)
{
	while (bus_durable(bus) < seq) {
		int rc = wait_some(f, bus, which);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int bad_flush(struct filter *f)
{
	int rc;

	if (!f->bad_dirty)
		return 0;
	while ((rc = bus_flush(f->bad, WAIT_MS)) < 0) {
		if (rc != -ETIMEDOUT && rc != -ENOSPC && rc != -EDQUOT)
			return bus_fail(f, f->bad, "bad", rc);
		rc = wait_some(f, f->bad, "bad");
		if (rc < 0)
			return rc;
	}
	f->bad_dirty = false;
	return 0;
}

/* Bad records first, and these only after the outputs of the batches before: see filter.h. */
static int release(struct filter *f)
{
	struct bus *out = f->conf->out;
	int rc;

	if (f->bad_dirty && out) {
		rc = wait_durable(f, out, "out", f->out_released);
		if (rc < 0)
			return rc;
	}
	rc = bad_flush(f);
	if (rc < 0 || !out || f->out_staged == f->out_released)
		return rc;
	rc = bus_release(out);
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
		return bus_fail(f, out, "out", rc);
	f->out_released = f->out_staged;
	return 0;
}

int filter_emit(struct filter *f, int32_t partition, struct slice key, struct slice datum)
{
	struct bus *out = f->conf->out;
	uint64_t seq = 0;
	int rc;

	assert(out && datum.len <= BUS_RECORD_MAX);
	while ((rc = bus_write(out, partition, key, datum, &seq)) < 0) {
		if (rc != -EAGAIN && rc != -ENOSPC && rc != -EDQUOT)
			return bus_fail(f, out, "out", rc);
		/* What is not released can never become durable and make room. */
		if (bus_durable(out) >= f->out_released) {
			rc = release(f);
			if (rc < 0)
				return rc;
		}
		rc = wait_some(f, out, "out");
		if (rc < 0)
			return rc;
	}
	f->out_staged = seq;
	f->batch_bytes += datum.len;
	f->bytes_out += datum.len;
	return 0;
}

/* Bad records */

/* N of `log:DIR/TOPIC?partition=N`, or of `..=N+`: the first from N on that no other writer has;
 * -1 where the URL is another. */
static int32_t own_partition(const char *url, struct slice *topic, bool *or_later)
{
	const char *query = strchr(url, '?');
	const char *at = query ? strstr(query, "partition=") : NULL;
	char *end;
	long n;

	*topic = (struct slice){ url, query ? (size_t)(query - url) : strlen(url) };
	if (!at || !slice_starts(slice_from(url), SLICE("log:")))
		return -1;
	n = strtol(at + strlen("partition="), &end, 10);
	*or_later = *end == '+';
	end += *or_later;
	return n >= 0 && n < BUS_PARTITIONS_MAX && (*end == '\0' || *end == '&') ? (int32_t)n : -1;
}

struct bad_tail {
	int64_t start;
};

/* A bad record that an earlier run wrote. */
struct bad_mark {
	int64_t partition, offset;      /* its src */
	int64_t failed_at;
};

static int64_t bad_tail_start(void *ctx, int32_t partition, struct err *err)
{
	const struct bad_tail *tail = ctx;

	(void)partition;
	(void)err;
	return tail->start;
}

static void bad_tail_take(struct filter *f, const struct value *fields)
{
	if (!slice_is(value_slice(&fields[BAD_STAGE]), f->conf->program) ||
	    f->bad_mark_count == STAMP_TAIL)
		return;
	f->bad_marks[f->bad_mark_count++] = (struct bad_mark){
		fields[BAD_SRC_PARTITION].num, fields[BAD_SRC_OFFSET].num, fields[BAD_FAILED_AT].num
	};
}

static bool is_same_src(const struct bad_mark *a, const struct bad_mark *b)
{
	return a->partition == b->partition && a->offset == b->offset;
}

static int compare_marks(const void *a, const void *b)
{
	const struct bad_mark *x = a, *y = b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->failed_at > y->failed_at) - (x->failed_at < y->failed_at);
}

/* The src of bad records that an earlier run made durable: its outputs may have been lost, and
 * with them the resume point would let us write the same bad records again. */
static int bad_resume(struct filter *f, struct slice topic)
{
	struct bad_tail tail = { 0 };
	char url[4096], assign[16];
	struct bus *probe = NULL, *reader = NULL;
	struct bus_conf conf = { .schema = f->bad_schema, .log = f->conf->log, .assign = assign,
				 .start = bad_tail_start, .start_ctx = &tail, .until_end = true };
	struct bus_record record;
	int64_t first, end;
	int rc;

	snprintf(assign, sizeof(assign), "%d", f->bad_partition);
	snprintf(url, sizeof(url), "%.*s", (int)topic.len, topic.ptr);
	rc = bus_open(&probe, url, BUS_READ, &conf, f->err);
	if (rc < 0)
		return rc;
	rc = bus_range(probe, f->bad_partition, &first, &end);
	bus_close(probe);
	if (rc < 0 || first == end)
		return 0;
	f->bad_marks = malloc(STAMP_TAIL * sizeof(*f->bad_marks));
	if (!f->bad_marks)
		return -ENOMEM;
	f->bad_tail_is_cut = end - first > STAMP_TAIL;
	tail.start = f->bad_tail_is_cut ? end - STAMP_TAIL : first;
	rc = bus_open(&reader, url, BUS_READ, &conf, f->err);
	while (rc >= 0 && (rc = bus_next(reader, &record, WAIT_MS)) >= 0) {
		if (rc == 1 && record.fields)
			bad_tail_take(f, record.fields);
	}
	if (rc != -ENODATA && reader)
		bus_fail(f, reader, "bad", rc);
	bus_close(reader);
	qsort(f->bad_marks, f->bad_mark_count, sizeof(*f->bad_marks), compare_marks);
	return rc == -ENODATA ? 0 : rc;
}

/* The own partition, or the first after it that is free. */
static int bad_open_free(struct filter *f, struct slice topic)
{
	struct err words;
	char url[4096];
	int rc = -EBUSY;

	for (; f->bad_partition < BUS_PARTITIONS_MAX && rc == -EBUSY; f->bad_partition++) {
		words = (struct err){ "" };
		snprintf(url, sizeof(url), "%.*s?partition=%d", (int)topic.len, topic.ptr,
			 f->bad_partition);
		rc = bus_open(&f->bad, url, BUS_WRITE, &f->bad_conf, &words);
	}
	f->bad_partition--;
	return rc < 0 ? err_set(f->err, rc, "%s", words.text) : 0;
}

static int bad_open(struct filter *f)
{
	const char *url = f->conf->bad_url;
	bool or_later = false;
	struct slice topic;
	int rc;

	if (f->bad)
		return 0;
	if (!url)
		return err_set(f->err, -EBADMSG, "a bad record, and no --bad to write it to");
	if (f->conf->bad_conf)
		f->bad_conf = *f->conf->bad_conf;
	f->bad_conf.schema = f->bad_schema;
	f->bad_partition = own_partition(url, &topic, &or_later);
	if (or_later)
		rc = bad_open_free(f, topic);
	else
		rc = bus_open(&f->bad, url, BUS_WRITE, &f->bad_conf, f->err);
	if (rc < 0 || f->bad_partition < 0)
		return rc;
	return bad_resume(f, topic);
}

/* Whether bad can be opened, as far as its URL tells. It is opened for the first record, which
 * may be in a month. */
static int bad_check(struct filter *f)
{
	const char *url = f->conf->bad_url;
	bool or_later = false;
	struct slice topic;

	if (!url)
		return 0;
	own_partition(url, &topic, &or_later);
	return or_later ? 0 : bus_check(url, f->err);
}

static struct value in_field(const struct bus_record *record, int leaf)
{
	if (leaf < 0 || !record->fields)
		return (struct value){ .is_set = false };
	return record->fields[leaf];
}

/* Was it written by an earlier run? Only what stands in the tail itself counts (other settings make
 * other records bad), and where the tail was cut, what is older than it. A received_at after the
 * failed_at remembered tells that the input is a new topic whose offsets began again. */
static bool bad_is_repeat(const struct filter *f, const struct bus_record *record)
{
	struct value received = in_field(record, f->in_received_at);
	size_t low = 0, high = f->bad_mark_count;
	const struct bad_mark *mark;

	while (low < high) {            /* the first mark at or above the record */
		size_t middle = low + (high - low) / 2;

		mark = &f->bad_marks[middle];
		if (mark->partition < record->partition ||
		    (mark->partition == record->partition && mark->offset < record->offset))
			low = middle + 1;
		else
			high = middle;
	}
	mark = low < f->bad_mark_count ? &f->bad_marks[low] : NULL;
	if (!mark || mark->partition != record->partition)
		return false;
	if (mark->offset != record->offset &&
	    (!f->bad_tail_is_cut || (low > 0 && mark[-1].partition == record->partition)))
		return false;
	while (low + 1 < f->bad_mark_count && is_same_src(mark, mark + 1)) {
		mark++;
		low++;
	}
	return !received.is_set || received.num <= mark->failed_at;
}

/* Headers from outside: a bad record has room for the original, not for any length of these. */
static struct value cut_field(struct value value)
{
	if (!value.is_set || value.text.len <= BAD_HEADER_MAX)
		return value;
	value.text.len = BAD_HEADER_MAX;
	while (value.text.len > 0 && (value.text.ptr[value.text.len] & 0xc0) == 0x80)
		value.text.len--;       /* not within a character */
	return value;
}

static int bad_encode(struct filter *f, const struct bus_record *record, const char *reason,
		      const char *words, const char *at)
{
	struct value *fields = f->bad_fields;
	struct slice raw = record->raw;
	size_t words_len = strnlen(words, WORDS_MAX);

	buf_reset(&f->bad_datum);
	buf_reset(&f->bad_words);
	json_clean_utf8((struct slice){ words, words_len }, &f->bad_words);
	if (raw.len > BUS_RECORD_MAX - BAD_ROOM) {
		buf_printf(&f->bad_words, " (original cut from %zu bytes)", raw.len);
		raw.len = BUS_RECORD_MAX - BAD_ROOM;
	}
	fields[BAD_STAGE] = value_text(slice_from(f->conf->program));
	fields[BAD_REASON] = value_text(slice_from(reason));
	fields[BAD_WORDS] = value_text(buf_slice(&f->bad_words));
	fields[BAD_AT] = value_text((struct slice){ at, strnlen(at, 512) });
	fields[BAD_FAILED_AT] = value_num(when_now_us());
	fields[BAD_RECEIVED_AT] = in_field(record, f->in_received_at);
	fields[BAD_SOURCE] = cut_field(in_field(record, f->in_source));
	fields[BAD_IP] = cut_field(in_field(record, f->in_ip));
	fields[BAD_USER_AGENT] = cut_field(in_field(record, f->in_user_agent));
	fields[BAD_ORIGINAL] = value_text(raw);
	fields[BAD_FORMAT] = value_text(slice_from(f->conf->input_format));
	fields[BAD_SRC_PARTITION] = value_num(record->partition);
	fields[BAD_SRC_OFFSET] = value_num(record->offset);
	fields[BAD_SRC_COUNT] = value_num(record->count);
	return datum_encode(f->bad_schema, fields, &f->bad_datum);
}

static int put_bad(struct filter *f, const struct bus_record *record, const char *reason,
		   const char *words, const char *at, const struct filter_dead *dead)
{
	int rc = bad_open(f);

	if (rc < 0)
		return rc;
	if (bad_is_repeat(f, record))
		return FILTER_BAD;
	f->bad_fields[BAD_DESTINATION] = f->bad_fields[BAD_ATTEMPTS] =
		f->bad_fields[BAD_FIRST_AT] = (struct value){ .is_set = false };
	if (dead) {
		f->bad_fields[BAD_DESTINATION] = value_text(slice_from(dead->destination));
		f->bad_fields[BAD_ATTEMPTS] = value_num(dead->attempts);
		if (dead->first_us)
			f->bad_fields[BAD_FIRST_AT] = value_num(dead->first_us);
	}
	rc = bad_encode(f, record, reason, words, at);
	if (rc < 0)
		return err_set(f->err, rc, "bad: a record of offset %lld does not fit",
			       (long long)record->offset);
	while ((rc = bus_write(f->bad, f->bad_partition, (struct slice){ "", 0 },
			       buf_slice(&f->bad_datum), NULL)) < 0) {
		if (rc != -EAGAIN && rc != -ENOSPC && rc != -EDQUOT)
			return bus_fail(f, f->bad, "bad", rc);
		rc = bus_release(f->bad);
		if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT)
			return bus_fail(f, f->bad, "bad", rc);
		rc = wait_some(f, f->bad, "bad");
		if (rc < 0)
			return rc;
	}
	f->bad_dirty = true;
	return FILTER_BAD;
}

int filter_bad(struct filter *f, const struct bus_record *record, const char *reason,
	       const char *words, const char *at)
{
	return put_bad(f, record, reason, words, at, NULL);
}

int filter_bad_dead(struct filter *f, const struct bus_record *record, const char *reason,
		    const char *words, const struct filter_dead *dead)
{
	return put_bad(f, record, reason, words, "", dead);
}

int filter_flush(struct filter *f)
{
	return release(f);
}

/* Counting */

static void settle(struct ledger *ledger, enum filter_fate fate, uint64_t n)
{
	switch (fate) {
	case FILTER_OUT:
		ledger->out += n;
		break;
	case FILTER_BAD:
		ledger->bad += n;
		break;
	case FILTER_DUPLICATE:
		ledger->duplicate += n;
		break;
	case FILTER_FILTERED:
		ledger->filtered += n;
		break;
	case FILTER_PENDING:
		ledger->pending += n;
		break;
	}
}

void filter_settle(struct filter *f, enum filter_fate fate, uint64_t n)
{
	assert(fate != FILTER_PENDING && f->ledger.pending >= n);
	f->ledger.pending -= n;
	settle(&f->ledger, fate, n);
}

const struct ledger *filter_ledger(const struct filter *f)
{
	return &f->ledger;
}

struct metric_set *filter_metrics(struct filter *f)
{
	return f->metrics;
}

bool filter_is_ending(const struct filter *f)
{
	return f->ending;
}

bool filter_is_stopping(struct filter *f)
{
	signals_poll(f);
	return f->stopping;
}

static void metrics_register(struct filter *f)
{
	static const struct {
		const char *noun, *help;
		enum metric_kind kind;
	} table[COUNT_MAX] = {
		{ "records_in_total", "Input records read.", METRIC_COUNTER },
		{ "records_out_total", "Input records passed on.", METRIC_COUNTER },
		{ "records_bad_total", "Input records sent to bad.", METRIC_COUNTER },
		{ "records_duplicate_total", "Input records seen before.", METRIC_COUNTER },
		{ "records_filtered_total", "Input records dropped by settings.", METRIC_COUNTER },
		{ "records_pending", "Input records not settled yet.", METRIC_GAUGE },
		{ "batches_total", "Batches committed.", METRIC_COUNTER },
		{ "bytes_in_total", "Bytes of input records.", METRIC_COUNTER },
		{ "bytes_out_total", "Bytes of output records.", METRIC_COUNTER },
		{ "lag_sum_records", "Input records not read yet, all partitions.", METRIC_GAUGE },
	};
	char labels[32];
	int count;

	for (int i = 0; i < COUNT_MAX; i++) {
		snprintf(f->names[i], sizeof(f->names[i]), "millrace_%s_%s", f->conf->program,
			 table[i].noun);
		f->counts[i] = metric_add(f->metrics, table[i].kind, f->names[i], "",
					  table[i].help);
	}
	count = bus_partition_count(f->conf->in);
	snprintf(f->name_lag, sizeof(f->name_lag), "millrace_%s_lag_records", f->conf->program);
	for (int p = 0; p < count && p < LAG_MAX; p++) {
		snprintf(labels, sizeof(labels), "partition=\"%d\"", p);
		f->lags[p] = metric_add(f->metrics, METRIC_GAUGE, f->name_lag, labels,
					"Input records not read yet.");
	}
}

static int metrics_open(struct filter *f)
{
	int rc = metric_open(&f->metrics, f->err);

	if (rc < 0)
		return rc;
	metrics_register(f);
	if (f->ops->begin)
		rc = f->ops->begin(f->ctx, f, f->err);
	if (rc == 0 && f->conf->metrics && f->conf->metrics[0])
		rc = metric_serve(f->metrics, f->conf->metrics, f->conf->log, f->err);
	return rc;
}

static void metrics_counts(struct filter *f)
{
	const struct ledger *ledger = &f->ledger;
	const uint64_t values[] = { ledger->in, ledger->out, ledger->bad, ledger->duplicate,
				    ledger->filtered, ledger->pending, f->batches, f->bytes_in,
				    f->bytes_out };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		metric_set_value(f->counts[i], (int64_t)values[i]);
}

/* Returns the records not read yet, and refreshes the gauges. */
static int64_t metrics_lag(struct filter *f)
{
	int64_t total = 0;

	for (int p = 0; p < f->partitions; p++) {
		int64_t first, end, lag;

		if (f->next[p] < 0 || bus_range(f->conf->in, p, &first, &end) < 0)
			continue;
		lag = end > f->next[p] ? end - f->next[p] : 0;
		total += lag;
		if (p < LAG_MAX && f->lags[p])
			metric_set_value(f->lags[p], lag);
	}
	metric_set_value(f->counts[COUNT_LAG], total);
	return total;
}

static void log_ledger(struct filter *f, const char *event)
{
	struct log_line line;

	log_begin(&line, f->conf->log, LOG_LEVEL_INFO, event);
	ledger_log(&f->ledger, &line);
	log_num(&line, "lag", metrics_lag(f));
	log_end(&line);
}

/* The loop */

static void tick(struct filter *f)
{
	int64_t now = when_monotonic_ms();

	metrics_counts(f);
	if (now - f->gauges_ms >= GAUGES_MS) {
		f->gauges_ms = now;
		metrics_lag(f);
		for (int p = 0; p < f->partitions; p++) {
			if (f->next[p] >= 0)
				bus_commit_offset(f->conf->in, p, f->next[p]);
		}
	}
	if (now - f->status_ms >= STATUS_MS) {
		f->status_ms = now;
		log_ledger(f, "status");
	}
}

static int take(struct filter *f, const struct bus_record *record)
{
	int32_t p = record->partition;
	int fate;

	assert(p >= 0 && p < BUS_PARTITIONS_MAX && record->count >= 1);
	f->bytes_in += record->raw.len;
	if (record->fields)
		fate = f->ops->step(f->ctx, f, record, f->err);
	else
		fate = filter_bad(f, record, "undecodable", record->why ? record->why : "", "");
	if (!record->fields && fate >= 0 && f->ops->undecodable)
		f->ops->undecodable(f->ctx, record);
	if (fate < 0)
		return fate;
	f->ledger.in += (uint64_t)record->count;
	settle(&f->ledger, (enum filter_fate)fate, (uint64_t)record->count);
	f->next[p] = record->offset + record->count;
	if (p >= f->partitions)
		f->partitions = p + 1;
	return 0;
}

/* Reads and steps until the batch is full. 0: more may come at once; 1: the input had nothing
 * more; -ENODATA: it ended. */
static int batch_read(struct filter *f)
{
	int64_t deadline = 0;
	struct bus_record record;
	int rc;

	f->batch_bytes = 0;
	for (int n = 0; n < FILTER_BATCH_MAX && f->batch_bytes < FILTER_BATCH_BYTES; n++) {
		rc = bus_next(f->conf->in, &record, n ? 0 : WAIT_MS);
		if (rc == 0)
			return 1;
		if (rc == -ENODATA)
			return rc;
		if (rc < 0)
			return bus_fail(f, f->conf->in, "in", rc);
		rc = take(f, &record);
		if (rc < 0)
			return rc == -ENODATA ? -EIO : rc;
		if (n == 0)
			deadline = when_monotonic_ms() + FILTER_BATCH_MS;
		else if (n % CLOCK_EVERY == 0 && when_monotonic_ms() >= deadline)
			return 0;
	}
	return 0;
}

static int batch_commit(struct filter *f, bool idle)
{
	int rc = release(f);

	if (rc == 0 && f->ops->commit) {
		rc = f->ops->commit(f->ctx, f, idle, f->err);
		if (rc == 0)
			rc = release(f);
	}
	if (rc < 0)
		return rc;
	assert(ledger_holds(&f->ledger));
	f->batches++;
	tick(f);
	return 0;
}

static int loop(struct filter *f)
{
	int rc = 0;

	f->status_ms = when_monotonic_ms();
	for (;;) {
		signals_poll(f);
		if (f->stopping)
			break;
		reload_if_due(f);
		rc = batch_read(f);
		if (rc < 0)
			break;
		rc = batch_commit(f, rc == 1);
		if (rc < 0)
			return rc;
	}
	if (rc < 0 && rc != -ENODATA)
		return rc;
	f->ending = true;
	rc = batch_commit(f, true);
	if (rc == 0 && f->conf->out)
		rc = wait_durable(f, f->conf->out, "out", f->out_released);
	if (rc == 0)
		metrics_counts(f);
	return rc;
}

static int leaf_of(const struct schema *schema, const char *name)
{
	return schema ? schema_find(schema, name) : -ENOENT;
}

static void filter_close(struct filter *f)
{
	metric_close(f->metrics);
	bus_close(f->bad);
	schema_close(f->bad_schema);
	buf_close(&f->bad_datum);
	buf_close(&f->bad_words);
	free(f->bad_marks);
	signals_close(f);
	free(f);
}

int filter_run(const struct filter_conf *conf, const struct filter_ops *ops, void *ctx,
	       struct err *err)
{
	struct filter *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_set(err, -ENOMEM, "no memory");
	*f = (struct filter){ .conf = conf, .ops = ops, .ctx = ctx, .err = err, .signal_fd = -1,
			      .guard_fd = -1, .bad_partition = -1 };
	for (int p = 0; p < BUS_PARTITIONS_MAX; p++)
		f->next[p] = -1;
	f->bad_schema = record_schema("bad");
	f->in_received_at = leaf_of(conf->in_schema, "received_at");
	f->in_source = leaf_of(conf->in_schema, "source");
	f->in_ip = leaf_of(conf->in_schema, "ip");
	f->in_user_agent = leaf_of(conf->in_schema, "user_agent");
	/* A reader of our pipe that went away is an error of write(2), not our end. */
	signal(SIGPIPE, SIG_IGN);
	rc = bad_check(f);
	if (rc == 0)
		rc = signals_open(f);
	if (rc == 0)
		rc = metrics_open(f);
	if (rc == 0)
		rc = loop(f);
	if (f->metrics)
		log_ledger(f, "end");
	filter_close(f);
	return rc;
}

int filter_exit(const struct log *log, int rc, const struct err *err)
{
	int status = err_exit_status(rc);
	struct log_line line;

	log_begin(&line, log, rc < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "exit");
	log_num(&line, "status", status);
	if (rc < 0)
		log_str(&line, "why", err->text[0] ? err->text : strerror(-rc));
	log_end(&line);
	return status;
}
