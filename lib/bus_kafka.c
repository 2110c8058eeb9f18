// SPDX-License-Identifier: Apache-2.0
#include "lib/bus_kafka.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECRET_MAX   65536      /* bytes of a file that a property's value comes from */
#define TOPIC_MAX    249        /* Kafka's own limit */
#define COMPLAIN_MS  10000      /* between two lines about a broker that is away */
#define CREATE_MS    5000

struct property {
	const char *name;
	const char *value;
};

/* docs/kafka.md has the reason for each. */
static const struct property common_properties[] = {
	{ "log.connection.close", "false" },
	{ "reconnect.backoff.ms", "100" },
	{ "reconnect.backoff.max.ms", "2000" },
	{ "socket.keepalive.enable", "true" },
	{ "socket.nagle.disable", "true" },
	{ NULL, NULL },
};

static const struct property read_properties[] = {
	{ "allow.auto.create.topics", "false" },
	{ "auto.offset.reset", "error" },
	{ "check.crcs", "true" },
	{ "enable.auto.commit", "false" },
	{ "enable.auto.offset.store", "false" },
	{ "enable.partition.eof", "true" },
	{ "fetch.error.backoff.ms", "100" },
	{ "fetch.max.bytes", "16777216" },
	{ "fetch.message.max.bytes", "524288" },
	{ "partition.assignment.strategy", "range" },
	{ "queued.max.messages.kbytes", "32768" },
	{ "queued.min.messages", "100000" },
	{ NULL, NULL },
};

static const struct property write_properties[] = {
	{ "acks", "all" },
	{ "compression.codec", "lz4" },
	{ "enable.gapless.guarantee", "true" },
	{ "enable.idempotence", "true" },
	{ "message.timeout.ms", "0" },
	{ "partitioner", "murmur2_random" },
	{ "queue.buffering.max.messages", "10000000" },
	{ NULL, NULL },
};

/* Names that --kafka may not set, and what to do instead. */
static const struct property refused_properties[] = {
	{ "plugin.library.paths", "it would load foreign code" },
	{ "metadata.broker.list", "the URL names the brokers" },
	{ "bootstrap.servers", "the URL names the brokers" },
	{ "group.id", "use --group" },
	{ "auto.offset.reset", "a gap would be skipped in silence" },
	{ "topic.auto.offset.reset", "a gap would be skipped in silence" },
	{ "partition.assignment.strategy", "only range is known to keep the order here" },
	{ "enable.auto.commit", "positions come from the output, not from the group" },
	{ "auto.commit.enable", "positions come from the output, not from the group" },
	{ "enable.auto.offset.store", "positions come from the output, not from the group" },
	{ "enable.partition.eof", "--until-end needs it" },
	{ "transactional.id", "transactions are not supported" },
	{ NULL, NULL },
};

int64_t kafka_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int kafka_fail(struct kafka *k, int code, const char *format, ...)
{
	va_list args;

	if (atomic_flag_test_and_set(&k->error_taken))
		return code;
	va_start(args, format);
	vsnprintf(k->error_words.text, sizeof(k->error_words.text), format, args);
	va_end(args);
	atomic_store(&k->error, code);
	log_words(k->conf->log, LOG_LEVEL_ERROR, "kafka", "%s", k->error_words.text);
	return code;
}

int kafka_refuse(struct kafka *k, const char *format, ...)
{
	char words[200];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	kafka_fail(k, -EMSGSIZE, "%s", words);
	atomic_store(&k->error, -EMSGSIZE);
	return -EMSGSIZE;
}

int kafka_fail_fatal(struct kafka *k)
{
	char words[200];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(k->rk, words, sizeof(words));

	return kafka_fail(k, -EIO, "%s: %s: %s", k->topic, rd_kafka_err2name(code), words);
}

/* librdkafka's own lines. Called on its threads. */
static void on_log(const rd_kafka_t *rk, int severity, const char *facility, const char *text)
{
	const struct kafka *k = rd_kafka_opaque(rk);
	enum log_level level = severity <= 3 ? LOG_LEVEL_ERROR : severity == 4 ? LOG_LEVEL_WARN :
			       severity <= 6 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	struct log_line line;

	/* on_error says the first again; the second warns of properties that are meant so. */
	if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "CONFWARN") == 0)
		level = LOG_LEVEL_DEBUG;
	log_begin(&line, k->conf->log, level, "librdkafka");
	log_str(&line, "facility", facility);
	log_str(&line, "words", text);
	log_end(&line);
}

/* On the thread that polls rk. Only a fatal error ends anything. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka *k = opaque;
	struct log_line line;

	(void)rk;
	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		kafka_fail_fatal(k);
		return;
	}
	/* This one says less than those that came before it. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !k->broker_words.text[0])
		snprintf(k->broker_words.text, sizeof(k->broker_words.text), "%s", reason);
	log_begin(&line, k->conf->log, LOG_LEVEL_WARN, "broker");
	log_str(&line, "code", rd_kafka_err2name((rd_kafka_resp_err_t)code));
	log_str(&line, "words", reason);
	log_end(&line);
}

static bool is_secret(const char *name)
{
	return strstr(name, "password") || strstr(name, "secret") || strstr(name, "ssl.key") ||
	       strstr(name, ".pem") || strstr(name, "oauthbearer.config");
}

int kafka_set(rd_kafka_conf_t *rkconf, const char *name, const char *value, struct err *err)
{
	char words[160];

	switch (rd_kafka_conf_set(rkconf, name, value, words, sizeof(words))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return err_set(err, -EINVAL, "kafka property %s: librdkafka %s has it not", name,
			       rd_kafka_version_str());
	default:
		return err_set(err, -EINVAL, "kafka property %s: %s", name,
			       is_secret(name) ? "the value (not shown) is refused" : words);
	}
}

static int set_all(rd_kafka_conf_t *rkconf, const struct property *list, struct err *err)
{
	int rc = 0;

	for (; list->name && rc == 0; list++)
		rc = kafka_set(rkconf, list->name, list->value, err);
	return rc;
}

/* The content of a file without its last newline, NUL-terminated; the caller frees it. */
static int read_secret(const char *name, const char *path, char **textp, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(SECRET_MAX + 1);
	ssize_t len = text ? read(fd, text, SECRET_MAX) : -1;
	int code = errno;

	if (fd >= 0)
		close(fd);
	if (len < 0 || len == SECRET_MAX) {
		free(text);
		return err_set(err, -EINVAL, "kafka property %s: %s: %s", name, path,
			       len < 0 ? strerror(code) : "over 64 KiB");
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	*textp = text;
	return 0;
}

/* One name=value of --kafka. */
static int set_passed(const struct kafka *k, rd_kafka_conf_t *rkconf, const char *item,
		      struct err *err)
{
	const char *eq = strchr(item, '=');
	char *content = NULL;
	char name[80];
	struct log_line line;
	int rc;

	if (!eq || eq == item || (size_t)(eq - item) >= sizeof(name))
		return err_set(err, -EINVAL, "--kafka=%.40s: write NAME=VALUE", item);
	memcpy(name, item, (size_t)(eq - item));
	name[eq - item] = '\0';
	for (const struct property *p = refused_properties; p->name; p++) {
		if (strcmp(p->name, name) == 0)
			return err_set(err, -EINVAL, "--kafka=%s is refused: %s", name, p->value);
	}
	if (strncmp(eq + 1, "file:", 5) == 0) {
		rc = read_secret(name, eq + 6, &content, err);
		if (rc)
			return rc;
	}
	rc = kafka_set(rkconf, name, content ? content : eq + 1, err);
	log_begin(&line, k->conf->log, LOG_LEVEL_INFO, "kafka_property");
	log_str(&line, "name", name);
	log_str(&line, "value", content || is_secret(name) ? "(hidden)" : eq + 1);
	log_end(&line);
	free(content);
	return rc;
}

static int set_properties(struct kafka *k, enum bus_mode mode, rd_kafka_conf_t *rkconf,
			  struct err *err)
{
	const struct opt_list *passed = k->conf->kafka;
	const char *client = k->conf->log ? k->conf->log->program : "millrace";
	int linger_ms = k->conf->commit_ms > 0 ? k->conf->commit_ms : 5;
	char linger[16];
	int rc;

	rd_kafka_conf_set_opaque(rkconf, k);
	rd_kafka_conf_set_log_cb(rkconf, on_log);
	rd_kafka_conf_set_error_cb(rkconf, on_error);
	rc = kafka_set(rkconf, "metadata.broker.list", k->brokers, err);
	if (rc == 0)
		rc = kafka_set(rkconf, "client.id", client, err);
	if (rc == 0)
		rc = set_all(rkconf, common_properties, err);
	if (rc == 0)
		rc = set_all(rkconf, mode == BUS_READ ? read_properties : write_properties, err);
	if (rc == 0 && mode == BUS_WRITE) {
		snprintf(linger, sizeof(linger), "%d", linger_ms);
		rc = kafka_set(rkconf, "linger.ms", linger, err);
	}
	for (size_t i = 0; passed && i < passed->count && rc == 0; i++)
		rc = set_passed(k, rkconf, passed->items[i], err);
	return rc;
}

static bool is_topic(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	}
	return len > 0 && len <= TOPIC_MAX && strcmp(name, ".") && strcmp(name, "..");
}

/* HOST[:PORT][,..]; a host is a name, an address, or [an IPv6 address]. */
static bool is_brokers(const char *list)
{
	while (true) {
		size_t len = strcspn(list, ",");
		const char *colon = memrchr(list, ':', len);
		const char *bracket = memrchr(list, ']', len);
		size_t host = colon && colon > bracket ? (size_t)(colon - list) : len;

		if (host == 0 || strcspn(list, "/?&= \t") < len)
			return false;
		if (host < len) {
			char *end;
			long port = strtol(list + host + 1, &end, 10);

			if (end != list + len || port < 1 || port > 65535)
				return false;
		}
		if (!list[len])
			return true;
		list += len + 1;
	}
}

/* HOST:PORT[,..]/TOPIC[?schemas=DIR] */
static int parse_url(struct kafka *k, const char *rest, struct err *err)
{
	const char *slash, *query;

	if (strncmp(rest, "//", 2) == 0)
		rest += 2;
	slash = strchr(rest, '/');
	if (!slash)
		return err_set(err, -EINVAL, "kafka://%s: write kafka://HOST:PORT/TOPIC", rest);
	query = strchrnul(slash, '?');
	k->brokers = strndup(rest, (size_t)(slash - rest));
	k->topic = strndup(slash + 1, (size_t)(query - slash - 1));
	if (!k->brokers || !k->topic)
		return -ENOMEM;
	if (!is_brokers(k->brokers))
		return err_set(err, -EINVAL, "kafka://%s: '%s' is not HOST:PORT[,HOST:PORT..]",
			       rest, k->brokers);
	if (!is_topic(k->topic))
		return err_set(err, -EINVAL,
			       "kafka://%s: a topic's name is 1 to 249 of a-z A-Z 0-9 . _ -", rest);
	if (!*query)
		return 0;
	if (strncmp(query, "?schemas=", 9) || !query[9])
		return err_set(err, -EINVAL, "kafka://%s: after ? only schemas=DIR is known", rest);
	k->schemas = strdup(query + 9);
	return k->schemas ? 0 : -ENOMEM;
}

int kafka_init(struct kafka *k, const char *rest, enum bus_mode mode, const struct bus_conf *conf,
	       rd_kafka_conf_t **confp, struct err *err)
{
	rd_kafka_conf_t *rkconf;
	int rc;

	k->conf = conf;
	atomic_flag_clear(&k->error_taken);
	rc = parse_url(k, rest, err);
	if (rc)
		return rc;
	rkconf = rd_kafka_conf_new();
	rc = set_properties(k, mode, rkconf, err);
	if (rc) {
		rd_kafka_conf_destroy(rkconf);
		return rc;
	}
	*confp = rkconf;
	return 0;
}

int kafka_start(struct kafka *k, rd_kafka_type_t type, rd_kafka_conf_t *rkconf, struct err *err)
{
	char words[200];

	k->rk = rd_kafka_new(type, rkconf, words, sizeof(words));
	if (!k->rk) {
		rd_kafka_conf_destroy(rkconf);
		return err_set(err, -EINVAL, "kafka: %s", words);
	}
	return 0;
}

void kafka_end(struct kafka *k, int destroy_flags)
{
	if (k->rkt)
		rd_kafka_topic_destroy(k->rkt);
	if (k->rk)
		rd_kafka_destroy_flags(k->rk, destroy_flags);
	free(k->schemas);
	free(k->topic);
	free(k->brokers);
}

static int told_of_topic(struct kafka *k, const rd_kafka_metadata_topic_t *topic, struct err *err)
{
	switch (topic->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		break;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		return 0;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return err_set(err, -EACCES, "topic %s: the broker does not allow it to this user",
			       k->topic);
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		return err_set(err, -EINVAL, "topic %s: %s", k->topic,
			       rd_kafka_err2str(topic->err));
	default:
		return -EAGAIN;
	}
	if (topic->partition_cnt > BUS_PARTITIONS_MAX)
		return err_set(err, -EINVAL, "topic %s has %d partitions; %d are the most",
			       k->topic, topic->partition_cnt, BUS_PARTITIONS_MAX);
	if (topic->partition_cnt < 1)
		return -EAGAIN;
	atomic_store(&k->partitions, topic->partition_cnt);
	return 1;
}

int kafka_ask_topic(struct kafka *k, struct err *err)
{
	const struct rd_kafka_metadata *told;
	rd_kafka_resp_err_t code;
	int rc = -EAGAIN;

	if (!k->rkt)
		k->rkt = rd_kafka_topic_new(k->rk, k->topic, NULL);
	if (!k->rkt)
		return err_set(err, -EINVAL, "topic %s: %s", k->topic,
			       rd_kafka_err2str(rd_kafka_last_error()));
	code = rd_kafka_metadata(k->rk, 0, k->rkt, &told, KAFKA_STEP_MS);
	if (code)
		return -EAGAIN;
	for (int i = 0; i < told->topic_cnt; i++) {
		if (strcmp(told->topics[i].topic, k->topic) == 0)
			rc = told_of_topic(k, &told->topics[i], err);
	}
	rd_kafka_metadata_destroy(told);
	return rc;
}

/* What the broker said to CreateTopics. */
static int told_of_creation(struct kafka *k, rd_kafka_event_t *event, struct err *err)
{
	const rd_kafka_topic_result_t *const *results;
	rd_kafka_resp_err_t code;
	size_t count = 0;

	if (rd_kafka_event_error(event))
		return -EAGAIN;
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
						      &count);
	if (count != 1)
		return -EAGAIN;
	code = rd_kafka_topic_result_error(results[0]);
	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		log_words(k->conf->log, LOG_LEVEL_INFO, "topic", "made topic %s", k->topic);
		return 1;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return 1;
	/* Who may not create may still write to what is there; the question that follows tells. */
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		k->creation_refused = true;
		return 1;
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		return err_set(err, -EINVAL, "topic %s cannot be made: %s", k->topic,
			       rd_kafka_err2str(code));
	default:
		snprintf(k->broker_words.text, sizeof(k->broker_words.text), "topic %s: %s",
			 k->topic, rd_kafka_err2str(code));
		return -EAGAIN;
	}
}

static int create_topic(struct kafka *k, struct err *err)
{
	int partitions = k->conf->partitions > 0 ? k->conf->partitions : 1;
	char words[160];
	rd_kafka_queue_t *queue;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_NewTopic_t *topic;
	rd_kafka_event_t *event;
	int rc = -EAGAIN;

	topic = rd_kafka_NewTopic_new(k->topic, partitions, -1, words, sizeof(words));
	if (!topic)
		return err_set(err, -EINVAL, "topic %s: %s", k->topic, words);
	options = rd_kafka_AdminOptions_new(k->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, NULL, 0);
	queue = rd_kafka_queue_new(k->rk);
	rd_kafka_CreateTopics(k->rk, &topic, 1, options, queue);
	event = rd_kafka_queue_poll(queue, CREATE_MS + KAFKA_STEP_MS);
	if (event) {
		rc = told_of_creation(k, event, err);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(topic);
	return rc;
}

/* Creation is asked for before the first question about the topic: a broker with
 * auto.create.topics.enable would answer a producer's question by making the topic with its own
 * number of partitions. */
int kafka_make_topic(struct kafka *k, struct err *err)
{
	const struct rd_kafka_metadata *told;
	int rc;

	if (!k->rkt) {
		if (rd_kafka_metadata(k->rk, 0, NULL, &told, KAFKA_STEP_MS))
			return -EAGAIN;
		rd_kafka_metadata_destroy(told);
		rc = create_topic(k, err);
		if (rc < 0)
			return rc;
	}
	rc = kafka_ask_topic(k, err);
	if (rc == 0 && k->creation_refused)
		return err_set(err, -ENOENT,
			       "topic %s is missing and this user may not make it", k->topic);
	/* It was just made: that it is not there is the brokers' delay. */
	return rc ? rc : -EAGAIN;
}

int kafka_await(struct kafka *k, int (*ask)(struct kafka *k, struct err *err), int64_t limit_ms,
		const atomic_bool *stop, struct err *err)
{
	int64_t began = kafka_now_ms(), said = began, now;
	struct timespec pause = { 0, 50 * 1000000 };
	struct log_line line;
	int rc;

	while (true) {
		rc = ask(k, err);
		rd_kafka_poll(k->rk, 0);
		if (atomic_load(&k->error))
			return err_set(err, atomic_load(&k->error), "%s", k->error_words.text);
		if (rc != -EAGAIN || (stop && atomic_load(stop)))
			return rc;
		now = kafka_now_ms();
		if (limit_ms && now - began >= limit_ms)
			return err_set(err, -EHOSTUNREACH, "kafka %.80s: no answer in %lld ms: %s",
				       k->brokers, (long long)(now - began), k->broker_words.text);
		if (now - said >= COMPLAIN_MS) {
			said = now;
			log_begin(&line, k->conf->log, LOG_LEVEL_WARN, "broker_away");
			log_str(&line, "brokers", k->brokers);
			log_num(&line, "waited_ms", now - began);
			log_str(&line, "words", k->broker_words.text);
			log_end(&line);
		}
		nanosleep(&pause, NULL);
	}
}

int kafka_partition_count(struct bus *bus)
{
	struct kafka *k = (struct kafka *)bus;

	return atomic_load(&k->partitions);
}

int kafka_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end)
{
	struct kafka *k = (struct kafka *)bus;
	int64_t limit = kafka_now_ms() + KAFKA_ANSWER_MS;
	struct timespec pause = { 0, 20 * 1000000 };
	rd_kafka_resp_err_t code;

	if (partition < 0 || partition >= atomic_load(&k->partitions))
		return -ENOENT;
	/* A new leader, or none yet, is told as an error although the next question is answered. */
	while (true) {
		code = rd_kafka_query_watermark_offsets(k->rk, k->topic, partition, first, end,
							KAFKA_STEP_MS);
		if (!code)
			return 0;
		if (kafka_now_ms() >= limit)
			return -EHOSTUNREACH;
		nanosleep(&pause, NULL);
	}
}

int kafka_error(struct bus *bus)
{
	struct kafka *k = (struct kafka *)bus;

	return atomic_load_explicit(&k->error, memory_order_acquire);
}

const char *kafka_error_text(struct bus *bus)
{
	struct kafka *k = (struct kafka *)bus;

	return kafka_error(bus) ? k->error_words.text : "";
}

int bus_kafka_check(const char *rest, struct err *err)
{
	struct kafka k = { .rk = NULL };
	int rc = parse_url(&k, rest, err);

	kafka_end(&k, 0);
	return rc;
}

int bus_kafka_open(struct bus **busp, const char *rest, enum bus_mode mode,
		   const struct bus_conf *conf, struct err *err)
{
	return mode == BUS_READ ? kafka_read_open(busp, rest, conf, err) :
				  kafka_write_open(busp, rest, conf, err);
}
