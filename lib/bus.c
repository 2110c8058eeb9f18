// SPDX-License-Identifier: Apache-2.0
#include "lib/bus.h"

#include <errno.h>
#include <string.h>

struct transport {
	const char *prefix;
	int (*check)(const char *rest, struct err *err);
	int (*open)(struct bus **busp, const char *rest, enum bus_mode mode,
		    const struct bus_conf *conf, struct err *err);
};

static int check_pipe(const char *rest, struct err *err)
{
	return *rest ? err_set(err, -EINVAL, "'-%s' is no bus: stdin and stdout are just '-'", rest)
		     : 0;
}

static int open_pipe(struct bus **busp, const char *rest, enum bus_mode mode,
		     const struct bus_conf *conf, struct err *err)
{
	int rc = check_pipe(rest, err);

	return rc < 0 ? rc : bus_pipe_open(busp, mode, conf, err);
}

static const struct transport transports[] = {
	{ "kafka://", bus_kafka_check, bus_kafka_open },
	{ "log:", bus_log_check, bus_log_open },
	{ "-", check_pipe, open_pipe },
};

/* *rest: what follows the prefix. NULL: words say how a bus is written. */
static const struct transport *transport_of(const char *url, const char **rest, struct err *err)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		size_t len = strlen(transports[i].prefix);

		*rest = url + len;
		if (strncmp(url, transports[i].prefix, len) == 0)
			return &transports[i];
	}
	err_set(err, -EINVAL, "'%.100s' is no bus: write kafka://HOST:PORT/TOPIC, "
		"log:DIR/TOPIC, or - for stdin and stdout", url);
	return NULL;
}

int bus_open(struct bus **busp, const char *url, enum bus_mode mode, const struct bus_conf *conf,
	     struct err *err)
{
	const char *rest;
	const struct transport *transport = transport_of(url, &rest, err);

	return transport ? transport->open(busp, rest, mode, conf, err) : -EINVAL;
}

int bus_check(const char *url, struct err *err)
{
	const char *rest;
	const struct transport *transport = transport_of(url, &rest, err);

	return transport ? transport->check(rest, err) : -EINVAL;
}

int bus_partition_count(struct bus *bus)
{
	return bus->ops->partition_count(bus);
}

int bus_range(struct bus *bus, int32_t partition, int64_t *first, int64_t *end)
{
	return bus->ops->range ? bus->ops->range(bus, partition, first, end) : -ENOTSUP;
}

int bus_find_time(struct bus *bus, int32_t partition, int64_t time_us, int64_t *offset)
{
	if (!bus->ops->find_time)
		return -ENOTSUP;
	return bus->ops->find_time(bus, partition, time_us, offset);
}

int bus_next(struct bus *bus, struct bus_record *record, int timeout_ms)
{
	return bus->ops->next(bus, record, timeout_ms);
}

int bus_write(struct bus *bus, int32_t partition, struct slice key, struct slice value,
	      uint64_t *seq)
{
	return bus->ops->write(bus, partition, key, value, seq);
}

int bus_release(struct bus *bus)
{
	return bus->ops->release(bus);
}

uint64_t bus_durable(struct bus *bus)
{
	return bus->ops->durable(bus);
}

int bus_wait(struct bus *bus, int timeout_ms)
{
	return bus->ops->wait(bus, timeout_ms);
}

int bus_flush(struct bus *bus, int timeout_ms)
{
	return bus->ops->flush(bus, timeout_ms);
}

int bus_event_fd(struct bus *bus)
{
	return bus->ops->event_fd ? bus->ops->event_fd(bus) : -1;
}

int bus_error(struct bus *bus)
{
	return bus->ops->error(bus);
}

const char *bus_error_text(struct bus *bus)
{
	return bus->ops->error_text(bus);
}

void bus_commit_offset(struct bus *bus, int32_t partition, int64_t offset)
{
	if (bus->ops->commit_offset)
		bus->ops->commit_offset(bus, partition, offset);
}

void bus_close(struct bus *bus)
{
	if (bus)
		bus->ops->close(bus);
}

/* Kafka's org.apache.kafka.common.utils.Utils.murmur2: MurmurHash2 with its seed. */
static uint32_t murmur2(struct slice key)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28c ^ (uint32_t)key.len;
	const unsigned char *at = (const unsigned char *)key.ptr;
	size_t len = key.len;

	for (; len >= 4; at += 4, len -= 4) {
		uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
			     (uint32_t)at[3] << 24;

		k *= m;
		k ^= k >> 24;
		k *= m;
		h = h * m ^ k;
	}
	for (size_t i = len; i > 0; i--)
		h ^= (uint32_t)at[i - 1] << (8 * (i - 1));
	if (len)
		h *= m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

int32_t bus_partition_of(struct slice key, int32_t partitions)
{
	return (int32_t)(murmur2(key) & 0x7fffffff) % partitions;
}
