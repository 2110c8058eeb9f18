// SPDX-License-Identifier: Apache-2.0
#include "enrich/hints.h"

#define BRANDS_MAX 16

struct brand {
	struct slice name, version;
};

static struct value cut_text(struct slice text)
{
	return value_text(text_cut(text, TEXT_ID_MAX));
}

/* "Not?A_Brand" and its many spellings are there to be passed over. */
static bool is_grease(struct slice name)
{
	return memmem(name.ptr, name.len, "Not", 3) && memmem(name.ptr, name.len, "rand", 4);
}

/* The brand that is no grease, and Chromium only where there is no other. */
static struct brand brand_of(yyjson_val *list)
{
	struct brand best = { { NULL, 0 }, { NULL, 0 } };
	yyjson_arr_iter iter;
	yyjson_val *item;
	int seen = 0;

	if (!yyjson_is_arr(list) || !yyjson_arr_iter_init(list, &iter))
		return best;
	while ((item = yyjson_arr_iter_next(&iter)) && seen++ < BRANDS_MAX) {
		struct brand brand = { json_text(item, "brand"), json_text(item, "version") };

		if (brand.name.len == 0 || is_grease(brand.name))
			continue;
		if (!best.name.ptr || slice_eq(best.name, SLICE("Chromium")))
			best = brand;
	}
	return best;
}

static struct slice browser_name(struct slice brand)
{
	static const struct slice names[][2] = {
		{ SLICE_INIT("Google Chrome"), SLICE_INIT("Chrome") },
		{ SLICE_INIT("Microsoft Edge"), SLICE_INIT("Edge") },
		{ SLICE_INIT("Android WebView"), SLICE_INIT("Chrome Mobile WebView") },
		{ SLICE_INIT("YaBrowser"), SLICE_INIT("Yandex Browser") },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_eq(brand, names[i][0]))
			return names[i][1];
	}
	return brand;
}

/* major.minor.patch, as uap-core's are. */
static struct slice three_parts(struct slice version)
{
	int dots = 0;

	for (size_t i = 0; i < version.len; i++) {
		if (version.ptr[i] == '.' && ++dots == 3)
			return (struct slice){ version.ptr, i };
	}
	return version;
}

static bool is_version(struct slice text)
{
	return text.len && text.len <= 64 && text.ptr[0] >= '0' && text.ptr[0] <= '9';
}

static void apply_brand(struct step_event *event, yyjson_val *data)
{
	struct value *browser = &event->out[ENRICHED_AGENT_BROWSER];
	struct brand brand = brand_of(json_get(data, "brands"));
	struct brand full = brand_of(json_get(data, "fullVersionList"));
	struct slice version = full.version;
	bool is_chrome = browser->is_set && slice_starts(browser->text, SLICE("Chrome"));

	if (full.name.ptr)
		brand = full;
	else
		version = json_text(data, "uaFullVersion");
	if (!brand.name.ptr)
		return;
	if (!is_version(version) && !browser->is_set)
		version = brand.version;
	/* Brave and others are Chrome in the user agent. */
	if (!browser->is_set || (is_chrome && !slice_eq(brand.name, SLICE("Chromium")) &&
				 !slice_eq(brand.name, SLICE("Google Chrome")) &&
				 !slice_eq(brand.name, SLICE("Android WebView"))))
		*browser = cut_text(browser_name(brand.name));
	if (is_version(version))
		event->out[ENRICHED_AGENT_VERSION] = cut_text(three_parts(version));
}

static struct slice system_name(struct slice name)
{
	if (slice_eq(name, SLICE("macOS")) || slice_eq(name, SLICE("Mac OS X")))
		return SLICE("Mac OS X");
	if (slice_eq(name, SLICE("Chromium OS")))
		return SLICE("Chrome OS");
	return name;
}

/* "14.0.0" is 14. */
static struct slice without_zeros(struct slice version)
{
	while (version.len > 2 && version.ptr[version.len - 1] == '0' &&
	       version.ptr[version.len - 2] == '.')
		version.len -= 2;
	return version;
}

/* Windows tells the version of a component: 13 and up are Windows 11. */
static struct slice windows_version(struct slice version)
{
	int major = 0;

	for (size_t i = 0; i < version.len && i < 3 && version.ptr[i] != '.'; i++)
		major = major * 10 + (version.ptr[i] - '0');
	return major >= 13 ? SLICE("11") : major >= 1 ? SLICE("10") : (struct slice){ NULL, 0 };
}

static void apply_platform(struct step_event *event, yyjson_val *data)
{
	struct value *os = &event->out[ENRICHED_AGENT_OS];
	struct slice name = system_name(json_text(data, "platform"));
	struct slice version = json_text(data, "platformVersion");

	if (name.len == 0 || slice_eq(name, SLICE("Unknown")))
		return;
	if (!os->is_set)
		*os = cut_text(name);
	if (!slice_eq(os->text, name) || !is_version(version))
		return;
	version = slice_eq(name, SLICE("Windows")) ? windows_version(version)
						   : without_zeros(version);
	if (version.ptr)
		event->out[ENRICHED_AGENT_OS_VERSION] = cut_text(version);
}

/* Nothing that a person would call a device. */
static bool is_vague(const struct value *device)
{
	return !device->is_set || slice_eq(device->text, SLICE("K")) ||
	       slice_starts(device->text, SLICE("Generic"));
}

static void apply_model(struct step_event *event, yyjson_val *data)
{
	struct slice model = json_text(data, "model");

	if (model.len == 0 || !is_vague(&event->out[ENRICHED_AGENT_DEVICE]))
		return;
	event->out[ENRICHED_AGENT_DEVICE] = event->out[ENRICHED_AGENT_MODEL] = cut_text(model);
	event->out[ENRICHED_AGENT_BRAND].is_set = false;
}

static void apply_os(struct step_event *event, yyjson_val *os)
{
	struct slice name = system_name(json_text(os, "name"));
	struct slice version = json_text(os, "version");

	if (name.len == 0)
		return;
	event->out[ENRICHED_AGENT_OS] = cut_text(name);
	event->out[ENRICHED_AGENT_OS_VERSION].is_set = false;
	if (version.len)
		event->out[ENRICHED_AGENT_OS_VERSION] = cut_text(version);
}

static void apply_device(struct step_event *event, yyjson_val *device)
{
	struct slice model = json_text(device, "model");
	struct slice maker = json_text(device, "manufacturer");

	if (model.len == 0)
		return;
	event->out[ENRICHED_AGENT_DEVICE] = event->out[ENRICHED_AGENT_MODEL] = cut_text(model);
	event->out[ENRICHED_AGENT_BRAND].is_set = false;
	if (maker.len)
		event->out[ENRICHED_AGENT_BRAND] = cut_text(maker);
}

void hints_apply(struct step_event *event)
{
	yyjson_val *data = event->context[STEP_CONTEXT_USER_AGENT_DATA];

	if (yyjson_is_obj(data)) {
		apply_brand(event, data);
		apply_platform(event, data);
		apply_model(event, data);
	}
	if (event->context[STEP_CONTEXT_OS])
		apply_os(event, event->context[STEP_CONTEXT_OS]);
	if (event->context[STEP_CONTEXT_DEVICE])
		apply_device(event, event->context[STEP_CONTEXT_DEVICE]);
}
