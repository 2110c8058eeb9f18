// SPDX-License-Identifier: Apache-2.0
#include "sink/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/tap.h"

static const struct {
	const char *address;
	bool refused;
} table[] = {
	{ "127.0.0.1", true },         { "127.255.255.255", true }, { "128.0.0.1", false },
	{ "10.1.2.3", true },          { "11.0.0.1", false },       { "172.15.0.1", false },
	{ "172.16.0.1", true },        { "172.31.255.1", true },    { "172.32.0.1", false },
	{ "192.168.1.1", true },       { "169.254.169.254", true }, { "100.64.0.1", true },
	{ "100.128.0.1", false },      { "0.0.0.0", true },         { "224.0.0.1", true },
	{ "255.255.255.255", true },   { "168.63.129.16", true },   { "8.8.8.8", false },
	{ "198.18.0.1", true },        { "::1", true },             { "::", true },
	{ "::ffff:127.0.0.1", true },  { "::ffff:8.8.8.8", false }, { "fe80::1", true },
	{ "fd00:ec2::254", true },     { "64:ff9b::7f00:1", true }, { "2002:7f00:1::", true },
	{ "2002:808:808::", false },   { "2001::1", true },         { "ff02::1", true },
	{ "2001:4860:4860::8888", false }, { "::127.0.0.1", true }, { "64:ff9b::808:808", false },
};

static const char *check(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return guard_check((const struct sockaddr *)&v4);
	inet_pton(AF_INET6, text, &v6.sin6_addr);
	return guard_check((const struct sockaddr *)&v6);
}

int main(void)
{
	const char *hosts[] = { "hook.internal", "[::1]" };
	struct opt_list list = { hosts, 2 };
	struct guard guard = { &list };
	char words[GUARD_WORDS_MAX], name[300] = "";
	struct tap tap = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		OK(&tap, (check(table[i].address) != NULL) == table[i].refused, "%s is %s",
		   table[i].address, table[i].refused ? "refused" : "public");
	OK(&tap, guard_allows(&guard, "HOOK.internal."), "allowed by name, whatever its case");
	OK(&tap, guard_allows(&guard, "::1"), "brackets make no difference");
	OK(&tap, !guard_allows(&guard, "xhook.internal"), "another name is not");
	OK(&tap, strcmp(guard_words(words, "127.0.0.1", "loopback"),
			"127.0.0.1 is refused, loopback: "
			"to allow it, millrace.yaml wants `sink: {allow_host: [127.0.0.1]}`") == 0,
	   "%s", words);
	OK(&tap, strstr(guard_words(words, "[::1]", "loopback"), "allow_host: [\"::1\"]}`") != NULL,
	   "%s", words);
	memset(name, 'x', sizeof(name) - 1);
	OK(&tap, strstr(guard_words(words, name, name), "allow_host: [..]}`") != NULL, "%s", words);
	return tap_end(&tap);
}
