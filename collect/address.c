// SPDX-License-Identifier: Apache-2.0
#include "collect/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

struct network {
	struct address address;
	int bits;               /* of 128 */
};

struct address_list {
	size_t count;
	struct network networks[];
};

int address_parse(struct slice text, struct address *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char copy[INET6_ADDRSTRLEN];

	if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		text = (struct slice){ text.ptr + 1, text.len - 2 };
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
		return -EBADMSG;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, address->bytes + 12) == 1) {
		memcpy(address->bytes, mapped, sizeof(mapped));
		address->bits = 32;
		return 0;
	}
	if (inet_pton(AF_INET6, copy, address->bytes) != 1)
		return -EBADMSG;
	address->bits = memcmp(address->bytes, mapped, sizeof(mapped)) == 0 ? 32 : 128;
	return 0;
}

static int parse_network(const char *text, struct network *network)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char *end;
	long bits;

	if (address_parse((struct slice){ text, len }, &network->address))
		return -EINVAL;
	network->bits = 128;
	if (!slash)
		return 0;
	bits = strtol(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end || bits > network->address.bits)
		return -EINVAL;
	network->bits = (int)bits + 128 - network->address.bits;
	return 0;
}

int address_list_open(struct address_list **listp, const struct opt_list *texts, struct err *err)
{
	struct address_list *list;

	list = calloc(1, sizeof(*list) + texts->count * sizeof(list->networks[0]));
	if (!list)
		return err_set(err, -ENOMEM, "no memory");
	for (; list->count < texts->count; list->count++) {
		if (parse_network(texts->items[list->count], &list->networks[list->count])) {
			err_set(err, -EINVAL, "--trusted-proxies: '%.60s' is no network such as "
				"10.0.0.0/8 or ::1", texts->items[list->count]);
			free(list);
			return -EINVAL;
		}
	}
	*listp = list;
	return 0;
}

void address_list_close(struct address_list *list)
{
	free(list);
}

static bool is_inside(const struct network *network, const struct address *address)
{
	int whole = network->bits / 8, rest = network->bits % 8;

	if (memcmp(network->address.bytes, address->bytes, (size_t)whole) != 0)
		return false;
	return rest == 0 ||
	       (network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool address_list_has(const struct address_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_inside(&list->networks[i], address))
			return true;
	return false;
}

/* The last item of a list with commas; *rest gets what stands before it. */
static struct slice last_item(struct slice text, struct slice *rest)
{
	size_t comma = text.len;

	while (comma && text.ptr[comma - 1] != ',')
		comma--;
	*rest = (struct slice){ text.ptr, comma ? comma - 1 : 0 };
	text = slice_skip(text, comma);
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = slice_skip(text, 1);
	while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

struct slice address_client(const struct address_list *list, struct slice peer,
			    struct slice forwarded, bool *is_trusted)
{
	struct address address;

	*is_trusted = list->count && address_parse(peer, &address) == 0 &&
		      address_list_has(list, &address);
	if (!*is_trusted)
		return peer;
	while (forwarded.len) {
		struct slice item = last_item(forwarded, &forwarded);

		/* Whatever stands before something that is no address, nobody vouches for. */
		if (address_parse(item, &address))
			return peer;
		peer = item;
		if (!address_list_has(list, &address))
			break;
	}
	return peer;
}
