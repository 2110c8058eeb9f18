/* tool_kafka - does to a Kafka topic what millrace never does, for tests
 *
 *      tool_kafka trim BROKERS TOPIC OFFSET      deletes what is before OFFSET in partition 0
 *      tool_kafka txn BROKERS TOPIC N [abort]    N records in one transaction
 */
// SPDX-License-Identifier: Apache-2.0
/* librdkafka's macros for rd_kafka_producev are statement expressions in clang. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MS 20000

static rd_kafka_t *open_producer(const char *brokers, const char *transaction)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char words[200];

	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, words, sizeof(words));
	if (transaction)
		rd_kafka_conf_set(conf, "transactional.id", transaction, words, sizeof(words));
	return rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof(words));
}

static int trim(const char *brokers, const char *topic, int64_t offset)
{
	rd_kafka_t *rk = open_producer(brokers, NULL);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteRecords_t *request;
	rd_kafka_event_t *event;
	int status = 1;

	rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
	request = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, LIMIT_MS);
	if (event) {
		status = rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR;
		rd_kafka_event_destroy(event);
	}
	rd_kafka_DeleteRecords_destroy(request);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
	return status;
}

static int fail(rd_kafka_error_t *error)
{
	if (!error)
		return 0;
	fprintf(stderr, "%s\n", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return 1;
}

static int transaction(const char *brokers, const char *topic, int count, int is_abort)
{
	rd_kafka_t *rk = open_producer(brokers, "tool_kafka");
	char value[] = "x";
	int status = fail(rd_kafka_init_transactions(rk, LIMIT_MS)) ||
		     fail(rd_kafka_begin_transaction(rk));

	for (int i = 0; i < count && !status; i++)
		status = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
					   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					   RD_KAFKA_V_VALUE(value, 1), RD_KAFKA_V_END) != 0;
	if (!status)
		status = rd_kafka_flush(rk, LIMIT_MS) != 0;
	if (!status)
		status = fail(is_abort ? rd_kafka_abort_transaction(rk, LIMIT_MS) :
			      rd_kafka_commit_transaction(rk, LIMIT_MS));
	rd_kafka_destroy(rk);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "trim") == 0)
		return trim(argv[2], argv[3], strtoll(argv[4], NULL, 10));
	if (argc >= 5 && strcmp(argv[1], "txn") == 0)
		return transaction(argv[2], argv[3], (int)strtol(argv[4], NULL, 10), argc > 5);
	fprintf(stderr, "tool_kafka trim BROKERS TOPIC OFFSET | txn BROKERS TOPIC N [abort]\n");
	return 64;
}
