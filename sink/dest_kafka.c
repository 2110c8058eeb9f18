/* dest_kafka - records of a topic in another Kafka cluster, each event once
 *
 *      begin
 *        produce ..                    key: user id, else anonymous id; header message_id
 *        offsets of a group of its own, in one text: how far each partition here has come
 *      commit
 *
 * A batch is a transaction, and how far we are is in it. A start fences what is left of the last
 * run, reads that text, and leaves out what is there. So kill -9 and lost answers leave nothing
 * twice for readers with isolation.level=read_committed (librdkafka's default; Java's is not).
 * `transactions: no`, and every replay, is at least once.
 *
 * Values are JSON (what `map` makes, or the line of the file sink), or the record in Avro's
 * single-object encoding, as on our own topics (bus_kafka.h). Partitions go by key as Kafka's own
 * clients do it. The topic must be there, or the brokers make it.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/when.h"
#include "sink/guard.h"
#include "sink/kinds.h"

#define STEP_MS        500              /* one call's wait: how soon *stop is seen */
#define PARTITIONS_MAX 256
#define FRAME          10               /* C3 01 and the fingerprint */

struct conf {
	const char *brokers, *topic, *value, *security, *mechanism, *user, *password, *ca_file;
	const char *compression;
	bool transactions;
};

struct dest {
	const struct conf *conf;
	const struct dest_env *env;
	bool is_exact;
	char frame[FRAME];
	char id[200];                   /* transactional id, and the group's */
	rd_kafka_t *rk;                 /* put's from here on */
	rd_kafka_topic_t *rkt;
	rd_kafka_consumer_group_metadata_t *group;
	int64_t last[PARTITIONS_MAX];   /* offsets here that are there; -1: none */
	int64_t deadline_ms;
	enum dest_class class;
	char words[DEST_WORDS_MAX];
	struct dest_result *results;    /* of the batch that is under way: on_report's */
	size_t reports;
	bool is_broken;                 /* rk is of no use any more */
	rd_kafka_resp_err_t said;       /* by on_error */
	atomic_bool is_refused;         /* guard did not let it connect */
	struct buf value;
};

#define AT(field) offsetof(struct conf, field)

static const struct dest_field fields[] = {
	{ "brokers", DEST_FIELD_TEXT, AT(brokers), NULL, true, 0, 0, NULL,
	  "HOST:PORT, several with commas" },
	{ "topic", DEST_FIELD_TEXT, AT(topic), NULL, true, 0, 0, NULL, "of that cluster" },
	{ "value", DEST_FIELD_CHOICE, AT(value), "json", false, 0, 0, "json|avro",
	  "form of a record's value" },
	{ "security", DEST_FIELD_CHOICE, AT(security), "tls", false, 0, 0, "tls|plaintext",
	  "plaintext: nobody on the way is kept from reading" },
	{ "mechanism", DEST_FIELD_CHOICE, AT(mechanism), "none", false, 0, 0,
	  "none|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "how to log in (SASL)" },
	{ "user", DEST_FIELD_TEXT, AT(user), NULL, false, 0, 0, NULL, "of mechanism" },
	{ "password", DEST_FIELD_SECRET, AT(password), NULL, false, 0, 0, NULL, "of mechanism" },
	{ "ca_file", DEST_FIELD_TEXT, AT(ca_file), NULL, false, 0, 0, NULL,
	  "certificates to trust; the system's where not given" },
	{ "compression", DEST_FIELD_CHOICE, AT(compression), "lz4", false, 0, 0,
	  "none|gzip|snappy|lz4|zstd", "of batches" },
	{ "transactions", DEST_FIELD_FLAG, AT(transactions), "yes", false, 0, 0, NULL,
	  "no: at least once, for brokers that allow none" },
	{ .name = NULL },
};

static int kafka_check(const void *ptr, struct err *err)
{
	const struct conf *conf = ptr;
	size_t len = strlen(conf->topic);

	if (len == 0 || len > 249 || strspn(conf->topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
					    "NOPQRSTUVWXYZ0123456789._-") != len)
		return err_set(err, -EBADMSG, "topic: '%.60s' is no topic's name", conf->topic);
	if (strcmp(conf->mechanism, "none") != 0 && (!conf->user || !conf->password))
		return err_set(err, -EBADMSG, "mechanism: it needs user and password");
	return 0;
}

static int kafka_open(struct dest **destp, const struct dest_env *env, struct err *err)
{
	struct dest *dest = calloc(1, sizeof(*dest));
	uint64_t fingerprint = schema_fingerprint(env->schema);

	*destp = NULL;
	if (!dest)
		return err_set(err, -ENOMEM, "no memory");
	dest->conf = env->conf;
	dest->env = env;
	dest->is_exact = dest->conf->transactions && !env->is_replay && !env->is_test;
	dest->frame[0] = (char)0xc3;
	dest->frame[1] = 1;
	for (int i = 0; i < 8; i++)
		dest->frame[2 + i] = (char)(fingerprint >> (8 * i));
	snprintf(dest->id, sizeof(dest->id), "millrace-sink-%.60s-%.100s", env->name, env->topic);
	for (int i = 0; i < PARTITIONS_MAX; i++)
		dest->last[i] = -1;
	*destp = dest;
	return 0;
}

static void hang_up(struct dest *dest)
{
	if (dest->group)
		rd_kafka_consumer_group_metadata_destroy(dest->group);
	if (dest->rkt)
		rd_kafka_topic_destroy(dest->rkt);
	if (dest->rk) {
		(void)rd_kafka_purge(dest->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_destroy(dest->rk);
	}
	dest->group = NULL;
	dest->rkt = NULL;
	dest->rk = NULL;
	dest->is_broken = false;
}

static void kafka_close(struct dest *dest)
{
	if (!dest)
		return;
	hang_up(dest);
	buf_close(&dest->value);
	free(dest);
}

/* "LEN:KEY" and the value: a part has no key of its own. */
static int kafka_map(struct dest *dest, const struct event *event, struct dest_out *out)
{
	struct slice key = event_person(event);

	if (event->mapped.ptr && strcmp(dest->conf->value, "avro") == 0) {
		snprintf(out->words, sizeof(out->words), "`map` makes JSON: value: avro has none");
		return -EBADMSG;
	}
	buf_printf(out->buf, "%zu:", key.len);
	buf_append_slice(out->buf, key);
	if (strcmp(dest->conf->value, "avro") == 0) {
		buf_append(out->buf, dest->frame, FRAME);
		if (datum_encode(event->schema, event->fields, out->buf) < 0)
			return -ENOMEM;
	} else {
		buf_append_slice(out->buf, event->mapped.ptr ? event->mapped : event_line(event));
	}
	return dest_out_end(out, 0);
}

static struct slice take_key(struct slice *payload)
{
	const char *colon = memchr(payload->ptr, ':', payload->len);
	size_t len = (size_t)strtoull(payload->ptr, NULL, 10);
	struct slice key = { colon + 1, len };

	*payload = slice_skip(*payload, (size_t)(colon + 1 - payload->ptr) + len);
	return key;
}

/* Failures */

static int fail(struct dest *dest, rd_kafka_resp_err_t code, const char *words)
{
	static const rd_kafka_resp_err_t setup[] = {
		RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR__SSL,
		RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
		RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, RD_KAFKA_RESP_ERR__FENCED,
		RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
		RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
	};

	dest->class = DEST_TRANSIENT;
	for (size_t i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
		if (code == setup[i] || (dest->said == setup[i] &&
					 code == RD_KAFKA_RESP_ERR__TIMED_OUT))
			dest->class = DEST_SETUP;
	if (atomic_load(&dest->is_refused)) {
		dest->class = DEST_SETUP;
		words = "a broker's address is private: to allow it, millrace.yaml wants "
			"its host in `sink: {allow_host: [..]}`";
	} else if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && dest->said) {
		words = rd_kafka_err2str(dest->said);
	}
	snprintf(dest->words, sizeof(dest->words), "Kafka: %s: %.150s", rd_kafka_err2name(code),
		 words);
	return -1;
}

/* What no waiting mends. */
static bool is_hopeless(struct dest *dest)
{
	return atomic_load(&dest->is_refused) ||
	       dest->said == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
	       dest->said == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
	       dest->said == RD_KAFKA_RESP_ERR__SSL;
}

/* Takes error. 0: the call is to be made again; -1: words are set. */
static int take_error(struct dest *dest, rd_kafka_error_t *error)
{
	bool again = rd_kafka_error_is_retriable(error) && !is_hopeless(dest) &&
		     when_monotonic_ms() < dest->deadline_ms && !atomic_load(dest->env->stop);

	rd_kafka_poll(dest->rk, 0);             /* on_error */
	again = again && !is_hopeless(dest);
	if (!again) {
		fail(dest, rd_kafka_error_code(error), rd_kafka_error_string(error));
		/* Whether it was committed is not known: the next start asks. */
		dest->is_broken = !rd_kafka_error_txn_requires_abort(error);
	}
	rd_kafka_error_destroy(error);
	return again ? 0 : -1;
}

static void on_error(rd_kafka_t *rk, int code, const char *words, void *opaque)
{
	struct dest *dest = opaque;

	(void)rk;
	(void)words;
	dest->said = (rd_kafka_resp_err_t)code;
}

static void on_log(const rd_kafka_t *rk, int level, const char *where, const char *words)
{
	(void)rk;
	(void)level;
	(void)where;
	(void)words;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct dest *dest = opaque;
	size_t index = (size_t)(uintptr_t)message->_private;

	(void)rk;
	dest->reports++;
	if (!message->err || !dest->results)
		return;
	if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	    message->err == RD_KAFKA_RESP_ERR_INVALID_RECORD)
		dest_result_set(&dest->results[index], DEST_INVALID,
				slice_from(rd_kafka_err2str(message->err)));
	else
		fail(dest, message->err, rd_kafka_err2str(message->err));
}

/* Called on librdkafka's threads. id: "[sasl_ssl://]HOST:PORT/NUMBER". */
static int on_connect(int fd, const struct sockaddr *address, int len, const char *id,
		      void *opaque)
{
	struct dest *dest = opaque;
	const char *from = strstr(id, "://"), *to;
	struct err err = { "" };
	char host[256];

	from = from ? from + 3 : id;
	to = strrchr(from, ':');
	snprintf(host, sizeof(host), "%.*s", to ? (int)(to - from) : (int)strlen(from), from);
	if (guard_connect(dest->env->guard, host, address, &err) < 0) {
		atomic_store(&dest->is_refused, true);
		return EACCES;
	}
	return connect(fd, address, (socklen_t)len) == 0 || errno == EINPROGRESS ? 0 : errno;
}

/* Starting */

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *words,
		size_t size)
{
	return !value || rd_kafka_conf_set(conf, name, value, words, size) == RD_KAFKA_CONF_OK;
}

/* What producer and consumer share. NULL: words are set. */
static rd_kafka_conf_t *make_conf(struct dest *dest)
{
	const struct conf *c = dest->conf;
	bool sasl = strcmp(c->mechanism, "none") != 0, tls = strcmp(c->security, "tls") == 0;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char words[120] = "";

	rd_kafka_conf_set_opaque(conf, dest);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_connect_cb(conf, on_connect);
	if (set(conf, "bootstrap.servers", c->brokers, words, sizeof(words)) &&
	    set(conf, "client.id", "millrace", words, sizeof(words)) &&
	    set(conf, "security.protocol", sasl ? tls ? "sasl_ssl" : "sasl_plaintext"
						: tls ? "ssl" : "plaintext", words,
		sizeof(words)) &&
	    set(conf, "sasl.mechanism", sasl ? c->mechanism : NULL, words, sizeof(words)) &&
	    set(conf, "sasl.username", sasl ? c->user : NULL, words, sizeof(words)) &&
	    set(conf, "sasl.password", sasl ? c->password : NULL, words, sizeof(words)) &&
	    set(conf, "ssl.ca.location", !tls ? NULL : c->ca_file ? c->ca_file
							 : dest->env->ca_file, words,
		sizeof(words)) &&
	    set(conf, "reconnect.backoff.max.ms", "1000", words, sizeof(words)))
		return conf;
	rd_kafka_conf_destroy(conf);
	dest->class = DEST_SETUP;
	snprintf(dest->words, sizeof(dest->words), "Kafka: %.150s", words);
	return NULL;
}

static int make_producer(struct dest *dest)
{
	rd_kafka_conf_t *conf = make_conf(dest);
	char words[120] = "";

	if (!conf)
		return -1;
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	if (set(conf, "enable.idempotence", "true", words, sizeof(words)) &&
	    set(conf, "partitioner", "murmur2_random", words, sizeof(words)) &&
	    set(conf, "linger.ms", "5", words, sizeof(words)) &&
	    set(conf, "message.timeout.ms", "30000", words, sizeof(words)) &&
	    set(conf, "compression.codec", dest->conf->compression, words, sizeof(words)) &&
	    set(conf, "transactional.id", dest->is_exact ? dest->id : NULL, words,
		sizeof(words)))
		dest->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof(words));
	if (!dest->rk) {
		rd_kafka_conf_destroy(conf);
		dest->class = DEST_SETUP;
		snprintf(dest->words, sizeof(dest->words), "Kafka: %.150s", words);
		return -1;
	}
	dest->rkt = rd_kafka_topic_new(dest->rk, dest->conf->topic, NULL);
	return dest->rkt ? 0 : fail(dest, rd_kafka_last_error(), "no topic");
}

/* "0:1f 1:2a": partitions and offsets here, in hex. */
static void read_offsets(struct dest *dest, const char *text, size_t len)
{
	char copy[4200];
	char *at = copy, *end;

	snprintf(copy, sizeof(copy), "%.*s", (int)(len < sizeof(copy) ? len : sizeof(copy) - 1),
		 text);
	while (*at) {
		unsigned long partition = strtoul(at, &end, 16);
		long long offset;

		if (end == at || *end != ':' || partition >= PARTITIONS_MAX)
			return;
		offset = strtoll(end + 1, &at, 16);
		dest->last[partition] = offset;
		at += *at == ' ';
	}
}

static void print_offsets(const struct dest *dest, struct buf *out)
{
	for (int i = 0; i < PARTITIONS_MAX; i++)
		if (dest->last[i] >= 0)
			buf_printf(out, "%s%x:%llx", out->len ? " " : "", (unsigned)i,
				   (unsigned long long)dest->last[i]);
}

/* What the last transaction left with the group. */
static int ask_offsets(struct dest *dest)
{
	rd_kafka_conf_t *conf = make_conf(dest);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;
	char words[120] = "";
	rd_kafka_t *reader;
	int rc = 0;

	if (!conf)
		return -1;
	reader = set(conf, "group.id", dest->id, words, sizeof(words))
		 ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof(words)) : NULL;
	if (!reader) {
		rd_kafka_conf_destroy(conf);
		return fail(dest, RD_KAFKA_RESP_ERR__FAIL, words);
	}
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, dest->conf->topic, 0);
	do {
		code = rd_kafka_committed(reader, list, STEP_MS);
	} while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !is_hopeless(dest) &&
		 !atomic_load(dest->env->stop) && when_monotonic_ms() < dest->deadline_ms);
	if (code || (list->elems[0].err && list->elems[0].err != RD_KAFKA_RESP_ERR__NO_OFFSET &&
		     list->elems[0].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART))
		rc = fail(dest, code ? code : list->elems[0].err, "committed offsets");
	else if (list->elems[0].metadata)
		read_offsets(dest, list->elems[0].metadata, list->elems[0].metadata_size);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(reader);
	return rc;
}

/* Fences a run before this one: its transaction is committed or gone. */
static int begin_run(struct dest *dest)
{
	rd_kafka_error_t *error;

	dest->said = 0;
	if (make_producer(dest) < 0)
		return -1;
	if (!dest->is_exact)
		return 0;
	while ((error = rd_kafka_init_transactions(dest->rk, STEP_MS)))
		if (take_error(dest, error) < 0)
			return -1;
	dest->group = rd_kafka_consumer_group_metadata_new(dest->id);
	return dest->group ? ask_offsets(dest)
			   : fail(dest, RD_KAFKA_RESP_ERR__FAIL, "no memory");
}

/* Putting */

static int produce(struct dest *dest, const struct dest_batch *batch, size_t i)
{
	struct slice value = batch->items[i]->payload, key = take_key(&value);
	struct slice id = batch->items[i]->message_id;
	const rd_kafka_vu_t parts[] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = dest->rkt },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = RD_KAFKA_PARTITION_UA },
		{ .vtype = RD_KAFKA_VTYPE_KEY,
		  .u.mem = { (void *)(uintptr_t)(key.len ? key.ptr : NULL), key.len } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE,
		  .u.mem = { (void *)(uintptr_t)value.ptr, value.len } },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_HEADER,
		  .u.header = { "message_id", id.ptr, (ssize_t)id.len } },
		{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)i },
	};
	rd_kafka_resp_err_t code;

	do {
		rd_kafka_error_t *error = rd_kafka_produceva(dest->rk, parts,
							     sizeof(parts) / sizeof(parts[0]));

		code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
		if (error)
			rd_kafka_error_destroy(error);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			rd_kafka_poll(dest->rk, 100);
	} while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !atomic_load(dest->env->stop) &&
		 when_monotonic_ms() < dest->deadline_ms);
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		dest_result_set(&dest->results[i], DEST_INVALID,
				slice_from(rd_kafka_err2str(code)));
		return 0;
	}
	return code ? fail(dest, code, rd_kafka_err2str(code)) : 1;
}

static bool is_there(const struct dest *dest, const struct dest_item *item)
{
	return dest->is_exact && item->partition >= 0 && item->partition < PARTITIONS_MAX &&
	       item->offset <= dest->last[item->partition];
}

/* All of the batch is on its way, and acknowledged. */
static int send_all(struct dest *dest, const struct dest_batch *batch)
{
	size_t sent = 0;
	int rc = 0;

	dest->reports = 0;
	dest->words[0] = '\0';
	for (size_t i = 0; i < batch->count && rc >= 0; i++)
		if (!is_there(dest, batch->items[i]) && (rc = produce(dest, batch, i)) > 0)
			sent++;
	while (rc >= 0 && dest->reports < sent && !is_hopeless(dest) &&
	       !atomic_load(dest->env->stop) && when_monotonic_ms() < dest->deadline_ms)
		(void)rd_kafka_flush(dest->rk, STEP_MS);
	if (rc >= 0 && dest->words[0])          /* by on_report */
		return -1;
	if (rc >= 0 && dest->reports < sent)
		return fail(dest, RD_KAFKA_RESP_ERR__TIMED_OUT, "records are not acknowledged");
	return rc < 0 ? -1 : 0;
}

static int commit(struct dest *dest, const struct dest_batch *batch)
{
	const struct dest_item *end = batch->items[batch->count - 1];
	rd_kafka_topic_partition_list_t *list;
	int64_t before = dest->last[end->partition];
	rd_kafka_error_t *error = NULL;
	int rc = 0;

	if (end->offset > before)
		dest->last[end->partition] = end->offset;
	buf_reset(&dest->value);
	print_offsets(dest, &dest->value);
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, dest->conf->topic, 0)->offset = end->offset + 1;
	list->elems[0].metadata = malloc(dest->value.len + 1);
	if (list->elems[0].metadata && !dest->value.failed) {
		memcpy(list->elems[0].metadata, dest->value.ptr, dest->value.len);
		((char *)list->elems[0].metadata)[dest->value.len] = '\0';
		list->elems[0].metadata_size = dest->value.len;
		while (rc == 0 && (error = rd_kafka_send_offsets_to_transaction(
					   dest->rk, list, dest->group, STEP_MS)))
			rc = take_error(dest, error);
		while (rc == 0 && (error = rd_kafka_commit_transaction(dest->rk, STEP_MS)))
			rc = take_error(dest, error);
	} else {
		rc = fail(dest, RD_KAFKA_RESP_ERR__FAIL, "no memory");
	}
	if (rc < 0)
		dest->last[end->partition] = before;
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

/* Words and class of what came before stay. */
static void give_up(struct dest *dest)
{
	enum dest_class class = dest->class;
	char words[DEST_WORDS_MAX];
	rd_kafka_error_t *error = NULL;
	int rc = 0;

	snprintf(words, sizeof(words), "%s", dest->words);
	while (!dest->is_broken && dest->rk && dest->is_exact && rc == 0 &&
	       (error = rd_kafka_abort_transaction(dest->rk, STEP_MS)))
		rc = take_error(dest, error);
	if (dest->is_broken || rc < 0 || !dest->is_exact)
		hang_up(dest);
	dest->class = class;
	snprintf(dest->words, sizeof(dest->words), "%s", words);
}

static int put_batch(struct dest *dest, const struct dest_batch *batch)
{
	rd_kafka_error_t *error;
	size_t left = 0;

	if (!dest->rk && begin_run(dest) < 0) {
		hang_up(dest);
		return -1;
	}
	for (size_t i = 0; i < batch->count; i++)
		left += !is_there(dest, batch->items[i]);
	if (left == 0)
		return 0;
	if (!dest->is_exact) {
		if (send_all(dest, batch) == 0)
			return 0;
		hang_up(dest);
		return -1;
	}
	error = rd_kafka_begin_transaction(dest->rk);
	if (error) {
		fail(dest, rd_kafka_error_code(error), rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		hang_up(dest);
		return -1;
	}
	if (send_all(dest, batch) == 0 && commit(dest, batch) == 0)
		return 0;
	give_up(dest);
	return -1;
}

/* A record that the brokers refuse is dead; the transaction goes without it in the next try. */
static void kafka_put(struct dest *dest, const struct dest_batch *batch,
		      struct dest_result *results)
{
	dest->deadline_ms = when_monotonic_ms() + dest->env->timeout_ms;
	dest->results = results;
	atomic_store(&dest->is_refused, false);
	if (batch->items[0]->partition >= PARTITIONS_MAX) {
		dest_result_all(batch, results, DEST_SETUP, SLICE("over 256 partitions"));
		return;
	}
	if (put_batch(dest, batch) < 0)
		for (size_t i = 0; i < batch->count; i++)
			if (results[i].class != DEST_INVALID)
				dest_result_set(&results[i], dest->class,
						slice_from(dest->words));
	dest->results = NULL;
}

const struct dest_kind dest_kafka = {
	.name = "kafka",
	.summary = "a topic of another Kafka cluster, each event once",
	.fields = fields,
	.conf_size = sizeof(struct conf),
	.flags = DEST_ATOMIC | DEST_PARTITION | DEST_ANY_TOPIC | DEST_NO_BATCH_KEY | DEST_RAW_MAP,
	.accepts = DEST_ALL,
	.limits = { .items = 5000, .items_max = 50000, .bytes = 8 << 20, .item_bytes = 960 << 10,
		    .wait_ms = 200, .concurrency = 1, .timeout_ms = 30000 },
	.check = kafka_check,
	.open = kafka_open,
	.map = kafka_map,
	.put = kafka_put,
	.close = kafka_close,
};
