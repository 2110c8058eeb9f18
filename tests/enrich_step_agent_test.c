// SPDX-License-Identifier: Apache-2.0
#include "tests/enrich_case.h"

#define WEBKIT   "AppleWebKit/537.36 (KHTML, like Gecko) "
#define WINDOWS "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/142.0.0.0 Safari/537.36"
#define ANDROID "Mozilla/5.0 (Linux; Android 10; K) " WEBKIT "Chrome/142.0.0.0 Mobile Safari/537.36"
#define IPHONE   "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 " \
		 "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
#define AGENT(ua, more) "{\"event\":\"x\",\"context\":{\"userAgent\":\"" ua "\"" more "}}"
#define HINTS(members) ",\"userAgentData\":{" members "}"
#define GREASE "{\"brand\":\"Not?A_Brand\",\"version\":\"24\"}"
#define BRANDS(brand, version) "\"brands\":[" GREASE ",{\"brand\":\"Chromium\",\"version\":" \
	"\"142\"},{\"brand\":\"" brand "\",\"version\":\"" version "\"}]"

static const struct enrich_case cases[] = {
	{ .said = "nothing",
	  .type = "track",
	  .body = "{\"event\":\"x\"}",
	  .wants = { { ENRICHED_AGENT_BROWSER, NULL },
		     { ENRICHED_AGENT_OS, NULL },
		     { ENRICHED_AGENT_DEVICE, NULL },
		     { ENRICHED_AGENT_BOT, NULL } } },
	{ .said = "Chrome",
	  .type = "track",
	  .body = AGENT(WINDOWS, ""),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Chrome" },
		     { ENRICHED_AGENT_VERSION, "142.0.0" },
		     { ENRICHED_AGENT_OS, "Windows" },
		     { ENRICHED_AGENT_OS_VERSION, "10" },
		     { ENRICHED_AGENT_DEVICE, NULL },
		     { ENRICHED_AGENT_BOT, NULL } } },
	{ .said = "iPhone",
	  .type = "track",
	  .body = AGENT(IPHONE, ""),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Mobile Safari" },
		     { ENRICHED_AGENT_VERSION, "18.6" },
		     { ENRICHED_AGENT_OS, "iOS" },
		     { ENRICHED_AGENT_OS_VERSION, "18.6" },
		     { ENRICHED_AGENT_DEVICE, "iPhone" },
		     { ENRICHED_AGENT_BRAND, "Apple" },
		     { ENRICHED_AGENT_MODEL, "iPhone" } } },
	{ .said = "an agent nobody knows",
	  .type = "track",
	  .body = AGENT("zzz", ""),
	  .wants = { { ENRICHED_AGENT_BROWSER, NULL },
		     { ENRICHED_AGENT_VERSION, NULL },
		     { ENRICHED_AGENT_OS, NULL },
		     { ENRICHED_AGENT_DEVICE, NULL } } },
	{ .said = "Windows 11 by hints",
	  .type = "track",
	  .body = AGENT(WINDOWS,
			HINTS(BRANDS("Google Chrome", "142") ",\"platform\":\"Windows\","
							     "\"platformVersion\":\"15.0.0\"")),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Chrome" },
		     { ENRICHED_AGENT_VERSION, "142.0.0" },
		     { ENRICHED_AGENT_OS_VERSION, "11" } } },
	{ .said = "Windows 10 by hints",
	  .type = "track",
	  .body = AGENT(WINDOWS, HINTS("\"platform\":\"Windows\",\"platformVersion\":\"10.0.0\"")),
	  .wants = { { ENRICHED_AGENT_OS_VERSION, "10" } } },
	{ .said = "the full version",
	  .type = "track",
	  .body = AGENT(WINDOWS, HINTS("\"fullVersionList\":[" GREASE ",{\"brand\":\"Google "
				       "Chrome\",\"version\":\"142.0.7444.60\"}]")),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Chrome" },
		     { ENRICHED_AGENT_VERSION, "142.0.7444" } } },
	{ .said = "Brave calls itself Chrome",
	  .type = "track",
	  .body = AGENT(WINDOWS, HINTS(BRANDS("Brave", "142"))),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Brave" }, { ENRICHED_AGENT_VERSION, "142.0.0" } } },
	{ .said = "the model behind K",
	  .type = "track",
	  .body = AGENT(
		  ANDROID,
		  HINTS(BRANDS("Google Chrome",
			       "142") ",\"platform\":\"Android\","
				      "\"platformVersion\":\"15.0.0\",\"model\":\"Pixel 9\"")),
	  .wants = { { ENRICHED_AGENT_OS, "Android" },
		     { ENRICHED_AGENT_OS_VERSION, "15" },
		     { ENRICHED_AGENT_DEVICE, "Pixel 9" },
		     { ENRICHED_AGENT_MODEL, "Pixel 9" } } },
	{ .said = "hints without an agent",
	  .type = "track",
	  .body = "{\"event\":\"x\",\"context\":{\"userAgentData\":{" BRANDS(
		  "Microsoft Edge",
		  "141") ",\"platform\":\"macOS\",\"platformVersion\":\"14.5.0\"}}}",
	  .wants = { { ENRICHED_AGENT_BROWSER, "Edge" },
		     { ENRICHED_AGENT_VERSION, "141" },
		     { ENRICHED_AGENT_OS, "Mac OS X" },
		     { ENRICHED_AGENT_OS_VERSION, "14.5" } } },
	{ .said = "a phone's SDK",
	  .type = "track",
	  .body = AGENT("Shop/4 CFNetwork/1568 Darwin/24.6.0",
			",\"os\":{\"name\":\"iOS\","
			"\"version\":\"18.6\"},\"device\":{\"manufacturer\":\"Apple\","
			"\"model\":\"iPhone15,3\"}"),
	  .wants = { { ENRICHED_AGENT_OS, "iOS" },
		     { ENRICHED_AGENT_OS_VERSION, "18.6" },
		     { ENRICHED_AGENT_DEVICE, "iPhone15,3" },
		     { ENRICHED_AGENT_BRAND, "Apple" } } },
	{ .said = "hints of wrong kinds",
	  .type = "track",
	  .body = AGENT(
		  WINDOWS,
		  HINTS("\"brands\":{},\"platform\":1,\"model\":[],"
			"\"fullVersionList\":[1,null,{\"brand\":2}]") ",\"os\":7,\"device\":\"x\""),
	  .wants = { { ENRICHED_AGENT_BROWSER, "Chrome" }, { ENRICHED_AGENT_OS, "Windows" } } },
	{ .said = "Googlebot",
	  .type = "track",
	  .body = AGENT("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
			""),
	  .wants = { { ENRICHED_AGENT_BOT, "Googlebot" },
		     { ENRICHED_AGENT_BOT_CATEGORY, "search" },
		     { ENRICHED_AGENT_DEVICE, "Spider" } } },
	{ .said = "an AI's crawler",
	  .type = "track",
	  .body = AGENT(
		  "Mozilla/5.0 " WEBKIT "; compatible; GPTBot/1.2; +https://openai.com/gptbot", ""),
	  .wants = { { ENRICHED_AGENT_BOT, "GPTBot" }, { ENRICHED_AGENT_BOT_CATEGORY, "ai" } } },
	{ .said = "a bot that no list names",
	  .type = "track",
	  .body = AGENT("Mozilla/5.0 (compatible; Zebrabot/1.0)", ""),
	  .wants = { { ENRICHED_AGENT_BOT, "Zebrabot" }, { ENRICHED_AGENT_BOT_CATEGORY, NULL } } },
	{ .said = "a phone called Cubot",
	  .type = "track",
	  .body = AGENT("Mozilla/5.0 (Linux; Android 9; CUBOT X19) " WEBKIT
			"Chrome/90.0.4430.91 Mobile Safari/537.36",
			""),
	  .wants = { { ENRICHED_AGENT_BOT, NULL }, { ENRICHED_AGENT_OS, "Android" } } },
};

int main(void)
{
	return case_main(cases, sizeof(cases) / sizeof(cases[0]));
}
