// SPDX-License-Identifier: Apache-2.0
#include "millrace/shop_data.h"

#include <stddef.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct shop_product products[] = {
	{ "P-1001", "Espresso cup", "Kitchen", 1250 },
	{ "P-1002", "Moka pot", "Kitchen", 3490 },
	{ "P-1003", "Hand grinder", "Kitchen", 8900 },
	{ "P-1004", "Chef's knife", "Kitchen", 6450 },
	{ "P-1005", "Cast iron pan", "Kitchen", 4995 },
	{ "P-2001", "Merino jumper", "Clothes", 7900 },
	{ "P-2002", "Rain jacket", "Clothes", 12900 },
	{ "P-2003", "Wool socks", "Clothes", 1490 },
	{ "P-2004", "Canvas bag", "Clothes", 2450 },
	{ "P-3001", "Desk lamp", "Home", 5490 },
	{ "P-3002", "Linen sheets", "Home", 9990 },
	{ "P-3003", "Plant pot", "Home", 1890 },
	{ "P-3004", "Wall clock", "Home", 3900 },
	{ "P-4001", "Notebook A5", "Paper", 990 },
	{ "P-4002", "Fountain pen", "Paper", 4200 },
	{ "P-4003", "Café poster", "Paper", 1900 },
	{ "P-5001", "City bicycle", "Outdoors", 54900 },
	{ "P-5002", "Tent for two", "Outdoors", 21900 },
	{ "P-5003", "Head torch", "Outdoors", 2990 },
	{ "P-5004", "Water bottle", "Outdoors", 1790 },
};

#define WINDOWS "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
#define MAC     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
#define ANDROID "Mozilla/5.0 (Linux; Android 10; K) "
#define WEBKIT  "AppleWebKit/537.36 (KHTML, like Gecko) "

/* Repeated rows are more common ones. */
static const struct shop_agent agents[] = {
	{ WINDOWS WEBKIT "Chrome/142.0.0.0 Safari/537.36", 1920, 1080, false },
	{ WINDOWS WEBKIT "Chrome/142.0.0.0 Safari/537.36", 1536, 864, false },
	{ WINDOWS WEBKIT "Chrome/141.0.0.0 Safari/537.36", 1366, 768, false },
	{ MAC WEBKIT "Chrome/142.0.0.0 Safari/537.36", 1728, 1117, false },
	{ MAC "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15", 1470, 956,
	  false },
	{ WINDOWS WEBKIT "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", 1920, 1080, false },
	{ "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", 1920,
	  1200, false },
	{ "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 2560, 1440,
	  false },
	{ "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 "
	  "(KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1", 393, 852, true },
	{ "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
	  "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", 390, 844, true },
	{ ANDROID WEBKIT "Chrome/142.0.0.0 Mobile Safari/537.36", 412, 915, true },
	{ ANDROID WEBKIT "Chrome/142.0.0.0 Mobile Safari/537.36", 360, 800, true },
	{ ANDROID WEBKIT "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", 384, 832,
	  true },
	{ "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
	  "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", 820, 1180, false },
};

static const struct shop_app apps[] = {
	{ "Shop/4.2.1 (iPhone15,3; iOS 18.6) CFNetwork/1568 Darwin/24.6.0", "iOS", "18.6",
	  "Apple", "iPhone15,3", "ios" },
	{ "Shop/4.2.0 (iPhone14,5; iOS 18.5) CFNetwork/1568 Darwin/24.5.0", "iOS", "18.5",
	  "Apple", "iPhone14,5", "ios" },
	{ "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 8 Build/AP4A)", "Android", "15", "Google",
	  "Pixel 8", "android" },
	{ "Dalvik/2.1.0 (Linux; U; Android 14; SM-S911B Build/UP1A)", "Android", "14", "samsung",
	  "SM-S911B", "android" },
};

static const struct shop_country countries[] = {
	{ "en-US", "America/Chicago", 73, 0, 255, 26 },
	{ "en-US", "America/New_York", 98, 0, 255, 12 },
	{ "de-DE", "Europe/Berlin", 91, 0, 64, 11 },
	{ "de-DE", "Europe/Berlin", 0, 0, 0, 3 },
	{ "en-GB", "Europe/London", 86, 128, 64, 9 },
	{ "fr-FR", "Europe/Paris", 90, 0, 128, 7 },
	{ "nl-NL", "Europe/Amsterdam", 84, 80, 28, 4 },
	{ "es-ES", "Europe/Madrid", 88, 0, 32, 4 },
	{ "it-IT", "Europe/Rome", 79, 0, 64, 4 },
	{ "pl-PL", "Europe/Warsaw", 83, 0, 32, 3 },
	{ "sv-SE", "Europe/Stockholm", 81, 224, 16, 2 },
	{ "tr-TR", "Europe/Istanbul", 78, 160, 32, 2 },
	{ "ja-JP", "Asia/Tokyo", 126, 0, 255, 5 },
	{ "ko-KR", "Asia/Seoul", 121, 128, 64, 3 },
	{ "hi-IN", "Asia/Kolkata", 49, 32, 32, 5 },
	{ "en-AU", "Australia/Sydney", 1, 120, 8, 3 },
	{ "en-CA", "America/Toronto", 24, 64, 24, 3 },
	{ "pt-BR", "America/Sao_Paulo", 177, 32, 4, 4 },
	{ "es-MX", "America/Mexico_City", 187, 128, 64, 3 },
	{ "es-AR", "America/Argentina/Buenos_Aires", 181, 0, 32, 2 },
	{ "en-NG", "Africa/Lagos", 105, 112, 16, 2 },
};

static const struct shop_channel channels[] = {
	{ "", NULL, NULL, NULL, NULL, 30, 110 },
	{ "https://www.google.com/", NULL, NULL, NULL, NULL, 22, 100 },
	{ "https://duckduckgo.com/", NULL, NULL, NULL, NULL, 4, 105 },
	{ "https://www.bing.com/", NULL, NULL, NULL, NULL, 4, 100 },
	{ "https://www.google.com/", "google", "cpc", "autumn_sale", "gclid", 14, 95 },
	{ "", "newsletter", "email", "weekly_news", NULL, 8, 150 },
	{ "https://l.facebook.com/", "facebook", "paid_social", "autumn_sale", "fbclid", 8, 55 },
	{ "https://l.instagram.com/", "instagram", "social", "spring_looks", NULL, 4, 60 },
	{ "https://t.co/", NULL, NULL, NULL, NULL, 3, 50 },
	{ "https://chatgpt.com/", NULL, NULL, NULL, NULL, 3, 120 },
	{ "https://www.perplexity.ai/", NULL, NULL, NULL, NULL, 1, 120 },
	{ "https://mail.google.com/", NULL, NULL, NULL, NULL, 2, 130 },
	{ "https://www.ecosia.org/search?q=hand+grinder", NULL, NULL, NULL, NULL, 1, 110 },
	{ "https://www.googleadservices.com/pagead/aclk", "google", "cpc", "shopping", "gclid", 3,
	  100 },
	{ "https://news.ycombinator.com/", NULL, NULL, NULL, NULL, 2, 30 },
	{ "https://coffee-blog.example/best-grinders", "coffee-blog", "affiliate", "grinders", NULL,
	  1, 180 },
};

/* Women's names first. */
static const char *const first_names[] = {
	"Anna", "Zoë", "Mia", "Sofia", "Aiko", "Priya", "Chloé", "Emma", "Lucía", "Ada", "Ngozi",
	"Maja", "Elif", "Grace", "Ben", "Noah", "Kenji", "Arjun", "Luca", "Jörg", "Mateo",
	"Oliver", "Piotr", "Emre", "Tunde", "Louis", "Erik", "Min-jun",
};
#define FIRST_NAMES_WOMEN 14

static const char *const last_names[] = {
	"Smith", "Müller", "García", "Rossi", "Dubois", "Tanaka", "Kim", "Sharma", "Jansen",
	"Novak", "Svensson", "Kowalski", "Yılmaz", "Silva", "Okafor", "Brown", "Schäfer", "Martin",
	"Lee", "Fernández", "O'Brien", "Ito", "Costa", "Wilson", "Weber",
};

static const char *const companies[] = {
	"Northwind Cafés", "Blue Door Hotels", "Atelier Lune", "Harbour & Sons", "Studio Kaze",
	"Hof Gärtner", "Third Place Books", "Oficina Norte", "Green Yard", "Pine Street School",
};

static const char *const queries[] = {
	"coffee", "grinder", "rain jacket", "lamp", "pen", "tent", "gift", "socks", "pan", "poster",
	"bicycle", "knife", "plant", "sheets", "blue", "sale",
};

const struct shop_product *shop_product(uint64_t hash)
{
	/* The square makes the first ones of the list the best sellers. */
	uint64_t a = hash % COUNT(products), b = (hash >> 20) % COUNT(products);

	return &products[a < b ? a : b];
}

const struct shop_agent *shop_agent(uint64_t hash)
{
	return &agents[hash % COUNT(agents)];
}

const struct shop_app *shop_app(uint64_t hash)
{
	return &apps[hash % COUNT(apps)];
}

const struct shop_country *shop_country(uint64_t hash)
{
	int sum = 0, at;

	for (size_t i = 0; i < COUNT(countries); i++)
		sum += countries[i].weight;
	at = (int)(hash % (uint64_t)sum);
	for (size_t i = 0; i < COUNT(countries); i++) {
		at -= countries[i].weight;
		if (at < 0)
			return &countries[i];
	}
	return &countries[0];
}

const struct shop_channel *shop_channel(uint64_t hash)
{
	int sum = 0, at;

	for (size_t i = 0; i < COUNT(channels); i++)
		sum += channels[i].weight;
	at = (int)(hash % (uint64_t)sum);
	for (size_t i = 0; i < COUNT(channels); i++) {
		at -= channels[i].weight;
		if (at < 0)
			return &channels[i];
	}
	return &channels[0];
}

const char *shop_first_name(uint64_t hash, bool *is_woman)
{
	size_t i = hash % COUNT(first_names);

	*is_woman = i < FIRST_NAMES_WOMEN;
	return first_names[i];
}

const char *shop_last_name(uint64_t hash)
{
	return last_names[hash % COUNT(last_names)];
}

const char *shop_company(uint64_t hash)
{
	return companies[hash % COUNT(companies)];
}

const char *shop_query(uint64_t hash)
{
	return queries[hash % COUNT(queries)];
}
