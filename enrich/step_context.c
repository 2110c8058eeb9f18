// SPDX-License-Identifier: Apache-2.0
/*
 * With what and from where: library, locale, timezone, screen, address, user agent.
 *
 * The address is context.ip where that is one (server SDKs pass on the person's), else the
 * request's. The user agent is context.userAgent; the request's header only counts where a browser
 * sent the request itself: a server SDK's header names the SDK, never a person's browser.
 */
#include "enrich/step.h"

#include <arpa/inet.h>
#include <errno.h>

static bool is_browser_library(struct slice name)
{
	static const struct slice names[] = {
		SLICE_INIT("analytics.js"),
		SLICE_INIT("RudderLabs JavaScript SDK"),
		SLICE_INIT("web"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_eq(name, names[i]))
			return true;
	}
	return false;
}

static bool is_address(struct slice text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(memchr(copy, ':', text.len) ? AF_INET6 : AF_INET, copy, &address) == 1;
}

static struct value address_of(const struct step_event *event)
{
	struct slice own = json_string(event->context[STEP_CONTEXT_IP]);

	return is_address(own) ? value_text(own) : event->in[COLLECTED_IP];
}

static struct value agent_of(struct step_event *event)
{
	struct value own = step_text(event->context[STEP_CONTEXT_USER_AGENT], TEXT_LONG_MAX);
	struct slice sent = value_slice(&event->in[COLLECTED_USER_AGENT]);
	struct value library = event->out[ENRICHED_LIBRARY_NAME];
	bool is_own;

	if (own.is_set || sent.len == 0)
		return own;
	is_own = library.is_set ? is_browser_library(library.text)
				: slice_starts(sent, SLICE("Mozilla/"));
	if (!is_own)
		return own;
	return value_text(text_utf8(event->arena, text_cut(sent, TEXT_LONG_MAX)));
}

/* WIDTHxHEIGHT, where both are whole numbers that a screen can have. */
static int set_screen(struct step_event *event)
{
	yyjson_val *screen = event->context[STEP_CONTEXT_SCREEN];
	struct slice width, height;
	char *text;

	if (!screen)
		return 0;
	width = json_digits(json_get(screen, "width"));
	height = json_digits(json_get(screen, "height"));
	if (width.len == 0 || height.len == 0 || width.len > 9 || height.len > 9)
		return 0;
	for (size_t i = 0; i < width.len + height.len; i++) {
		char c = i < width.len ? width.ptr[i] : height.ptr[i - width.len];

		if (c < '0' || c > '9')
			return 0;
	}
	text = arena_alloc(event->arena, width.len + 1 + height.len);
	if (!text)
		return -ENOMEM;
	memcpy(text, width.ptr, width.len);
	text[width.len] = 'x';
	memcpy(text + width.len + 1, height.ptr, height.len);
	event->out[ENRICHED_SCREEN] =
		value_text((struct slice){ text, width.len + 1 + height.len });
	return 0;
}

static int apply(void *state, struct step_event *event)
{
	static const struct slice keys[] = { SLICE_INIT("name"), SLICE_INIT("version") };
	struct value *out = event->out;
	yyjson_val *library[2];

	(void)state;
	step_pick(event->context[STEP_CONTEXT_LIBRARY], keys, 2, library);
	out[ENRICHED_LIBRARY_NAME] = step_text(library[0], TEXT_ID_MAX);
	out[ENRICHED_LIBRARY_VERSION] = step_text(library[1], TEXT_ID_MAX);
	out[ENRICHED_LOCALE] = step_text(event->context[STEP_CONTEXT_LOCALE], TEXT_ID_MAX);
	out[ENRICHED_TIMEZONE] = step_text(event->context[STEP_CONTEXT_TIMEZONE], TEXT_ID_MAX);
	out[ENRICHED_IP] = address_of(event);
	out[ENRICHED_USER_AGENT] = agent_of(event);
	if (out[ENRICHED_USER_AGENT].is_set && !out[ENRICHED_USER_AGENT].text.ptr)
		return -ENOMEM;
	return set_screen(event);
}

const struct step_kind step_context = {
	.name = "context",
	.version = 1,
	.apply = apply,
};
