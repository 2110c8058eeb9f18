// SPDX-License-Identifier: Apache-2.0
#include "millrace/settings.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"

#define NAME_MAX_LEN 64

static PRINTF_LIKE(2, 3) int set(char **field, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(field, format, args);
	va_end(args);
	if (len >= 0)
		return 0;
	*field = NULL;
	return -ENOMEM;
}

/* path as seen from dir. */
static int set_path(char **field, const char *dir, const char *path)
{
	return path[0] == '/' ? set(field, "%s", path) : set(field, "%s/%s", dir, path);
}

static int find_dir(struct settings *settings, const char *config, struct err *err)
{
	char *slash;

	settings->config = realpath(config, NULL);
	if (!settings->config)
		return err_set(err, -errno, "%s: %s", config, strerror(errno));
	settings->dir = strdup(settings->config);
	if (!settings->dir)
		return -ENOMEM;
	slash = strrchr(settings->dir, '/');
	slash[slash == settings->dir ? 1 : 0] = '\0';
	return 0;
}

static const char *text_of(const struct yaml *root, const char *section, const char *key,
			   const char *fallback)
{
	const char *text = yaml_get_text(yaml_get(root, section), key);

	return text && text[0] ? text : fallback;
}

/* --data wins over everything; else `data:`, else the log's directory, else "data". */
static int read_places(struct settings *settings, const struct yaml *root, const char *data,
		       struct err *err)
{
	const char *bus = yaml_get_text(root, "bus");
	const char *own = yaml_get_text(root, "data");
	const char *state = text_of(root, "aggregate", "state", NULL);
	bool is_log = !bus || strncmp(bus, "log:", 4) == 0;
	char cwd[PATH_MAX];
	int rc;

	/* The commands' --data has it from the file, too; then it is the file's. */
	if (data && own && strcmp(data, own) == 0)
		data = NULL;
	if (!is_log && strncmp(bus, "kafka://", 8) != 0)
		return err_set(err, -EINVAL, "%s: bus: '%.80s' is neither log:DIR nor "
			       "kafka://HOST:PORT", settings->config, bus);
	if (is_log && bus && !bus[4])
		return err_set(err, -EINVAL, "%s: bus: log: wants a directory, as in log:data",
			       settings->config);
	if (data) {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_set(err, -errno, "current directory: %s", strerror(errno));
		rc = set_path(&settings->data, cwd, data);
	} else {
		rc = set_path(&settings->data, settings->dir,
			      own ? own : is_log && bus ? bus + 4 : "data");
	}
	if (rc)
		return rc;
	if (!is_log)
		rc = set(&settings->bus, "%s", bus);
	else if (data || !bus)
		rc = set(&settings->bus, "log:%s", settings->data);
	else if ((rc = set_path(&settings->bus, settings->dir, bus + 4)) == 0) {
		char *path = settings->bus;

		rc = set(&settings->bus, "log:%s", path);
		free(path);
	}
	if (rc)
		return rc;
	return state && !data ? set_path(&settings->state, settings->dir, state)
			      : set(&settings->state, "%s/state", settings->data);
}

/* The first write key in the file, for the words at the start. */
static int read_write_key(struct settings *settings, const struct yaml *root)
{
	const struct yaml *sources = yaml_get(root, "sources");

	for (const struct yaml *source = sources ? sources->first : NULL; source;
	     source = source->next) {
		const struct yaml *keys = yaml_get(source, "write_keys");
		const char *key = yaml_get_text(source, "write_key");

		if (!key && keys && keys->first)
			key = keys->first->text;
		if (key)
			return set(&settings->write_key, "%s", key);
	}
	return 0;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_LEN && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_-") == len;
}

static bool is_no(const char *text)
{
	return text && (strcmp(text, "no") == 0 || strcmp(text, "false") == 0 ||
			strcmp(text, "off") == 0 || strcmp(text, "0") == 0);
}

/* One that sink knows how to serve: it reads the file itself, anew when the revision changes. */
static int add_named(struct settings *settings, const char *name, const char *path,
		     const char *from, struct settings_destination *to)
{
	struct stat st;
	int rc;

	if (stat(path, &st) < 0)
		return -errno;
	snprintf(to->revision, sizeof(to->revision), "%llx",
		 (unsigned long long)st.st_ino * 31 + (unsigned long long)st.st_size +
		 (unsigned long long)st.st_mtim.tv_sec * 1000000007 +
		 (unsigned long long)st.st_mtim.tv_nsec * 131);
	if ((rc = set(&to->to, "%s", name)) == 0 &&
	    (rc = set(&to->from, "%s", from ? from : "enriched")) == 0 &&
	    (rc = set(&to->name, "%s", name)) == 0)
		settings->destination_count++;
	return rc;
}

/* Fills one destination from its file's tree. 1: it is switched off. */
static int read_destination(struct settings *settings, const char *name, const char *path,
			    const struct yaml *root, struct err *err)
{
	struct settings_destination *to = &settings->destinations[settings->destination_count];
	const char *type = yaml_get_text(root, "type");
	const char *where = yaml_get_text(root, "path");
	const char *format = yaml_get_text(root, "format");
	const char *from = yaml_get_text(root, "from");
	char *full = NULL;
	int rc;

	if (!type)
		return err_set(err, -EINVAL, "%s: a destination needs `type: file`", path);
	if (is_no(yaml_get_text(root, "enabled")))
		return 1;
	if (from && !is_name(from))
		return err_set(err, -EINVAL, "%s: from: '%.40s' is no topic's name", path, from);
	if (strcmp(type, "file") != 0)
		return add_named(settings, name, path, from, to);
	if (!where || !where[0])
		return err_set(err, -EINVAL, "%s: `path:` says in which directory the files go",
			       path);
	if (strchr(where, '?'))
		return err_set(err, -EINVAL, "%s: a path with a question mark cannot be used",
			       path);
	if ((rc = set_path(&full, settings->dir, where)) == 0 &&
	    (rc = set(&to->to, "file:%s%s%s", full, format ? "?format=" : "",
		      format ? format : "")) == 0 &&
	    (rc = set(&to->from, "%s", from ? from : "enriched")) == 0 &&
	    (rc = set(&to->name, "%s", name)) == 0)
		settings->destination_count++;
	free(full);
	return rc;
}

/* One file of destinations/. Words go to the log, and the others go on. */
static void add_destination(struct settings *settings, const char *file, const struct log *log)
{
	const struct yaml *root;
	struct yaml_file *yaml = NULL;
	struct err err = { "" };
	char *path = NULL, name[NAME_MAX_LEN + 6];
	size_t len = strlen(file);
	int rc;

	if (file[0] == '.' || len < 6 || strcmp(file + len - 5, ".yaml") != 0)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(len - 5), file);
	if (len - 5 > NAME_MAX_LEN || !is_name(name)) {
		log_words(log, LOG_LEVEL_ERROR, "destination", "destinations/%.80s: a name has up "
			  "to %d letters, digits, - and _", file, NAME_MAX_LEN);
		return;
	}
	if (settings->destination_count == SETTINGS_DESTINATIONS_MAX) {
		log_words(log, LOG_LEVEL_ERROR, "destination", "destinations/%.80s: more than %d",
			  file, SETTINGS_DESTINATIONS_MAX);
		return;
	}
	rc = set(&path, "%s/destinations/%s", settings->dir, file);
	if (!rc)
		rc = yaml_open(&yaml, path, &root, &err);
	if (!rc)
		rc = read_destination(settings, name, path, root, &err);
	if (rc < 0)
		log_words(log, LOG_LEVEL_ERROR, "destination", "%s", err.text[0] ? err.text
										: strerror(-rc));
	yaml_close(yaml);
	free(path);
}

/* One file of triggers/: sink reads it, and says what is wrong with it. */
static void add_trigger(struct settings *settings, const char *file, const struct log *log)
{
	struct settings_destination *to = &settings->triggers[settings->trigger_count];
	struct yaml_file *yaml = NULL;
	const struct yaml *root = NULL;
	struct err err = { "" };
	char name[NAME_MAX_LEN + 6], *path = NULL;
	size_t len = strlen(file);
	struct stat st = { 0 };

	if (len < 6 || len > NAME_MAX_LEN + 5 || strcmp(file + len - 5, ".yaml") != 0)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(len - 5), file);
	if (!is_name(name) || settings->trigger_count == SETTINGS_DESTINATIONS_MAX ||
	    set(&path, "%s/triggers/%s", settings->dir, file) < 0)
		return;
	if (yaml_open(&yaml, path, &root, &err) < 0)
		log_words(log, LOG_LEVEL_ERROR, "trigger", "%s", err.text);
	else if (!is_no(yaml_get_text(root, "enabled")) && stat(path, &st) == 0 &&
		 set(&to->name, "%s", name) == 0)
		settings->trigger_count++;
	snprintf(to->revision, sizeof(to->revision), "%llx",
		 (unsigned long long)st.st_ino * 31 + (unsigned long long)st.st_size +
		 (unsigned long long)st.st_mtim.tv_sec * 1000000007 +
		 (unsigned long long)st.st_mtim.tv_nsec * 131);
	yaml_close(yaml);
	free(path);
}

static uint64_t add_text(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211U;
	return (hash ^ 0xff) * 1099511628211U;
}

/* Whatever it says, in the order of the file; lib/yaml bounds its depth. */
static uint64_t add_tree(uint64_t hash, const struct yaml *node)
{
	hash = add_text(add_text(hash, node->key), node->text) + (uint64_t)node->kind;
	for (const struct yaml *child = node->first; child; child = child->next)
		hash = add_tree(hash, child);
	return add_text(hash, NULL);
}

/* Sinks do not read settings again: another revision starts them anew. */
static void read_sinks(struct settings *settings, const struct yaml *root)
{
	static const char *const keys[] = { "sink", "smtp", "kafka", "open_time" };
	uint64_t hash = 14695981039346656037U;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct yaml *node = yaml_get(root, keys[i]);

		hash = node ? add_tree(hash, node) : add_text(hash, NULL);
	}
	snprintf(settings->sinks, sizeof(settings->sinks), "%llx", (unsigned long long)hash);
}

static int is_file_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int read_files(struct settings *settings, const char *dir,
		      void (*add)(struct settings *, const char *, const struct log *),
		      const struct log *log, struct err *err)
{
	struct dirent **entries = NULL;
	char *path = NULL;
	int count, rc;

	if ((rc = set(&path, "%s/%s", settings->dir, dir)) < 0)
		return rc;
	count = scandir(path, &entries, is_file_name, alphasort);
	if (count < 0 && errno != ENOENT)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	for (int i = 0; i < count; i++) {
		add(settings, entries[i]->d_name, log);
		free(entries[i]);
	}
	free(entries);
	free(path);
	return rc;
}

int settings_open(struct settings **settingsp, const char *config, const char *data,
		  const struct log *log, struct err *err)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	struct yaml_file *file = NULL;
	const struct yaml *root;
	int rc;

	if (!settings)
		return err_set(err, -ENOMEM, "no memory for the settings");
	if ((rc = find_dir(settings, config, err)) == 0 &&
	    (rc = yaml_open(&file, settings->config, &root, err)) == 0 &&
	    (rc = read_places(settings, root, data, err)) == 0 &&
	    (rc = read_write_key(settings, root)) == 0 &&
	    (rc = set(&settings->listen, "%s",
		      text_of(root, "collect", "listen", "127.0.0.1:8080"))) == 0 &&
	    (rc = set(&settings->http, "%s",
		      text_of(root, "aggregate", "http", "127.0.0.1:8081"))) == 0 &&
	    (!yaml_get(root, "report") ||
	     (rc = set(&settings->report, "%s",
		       text_of(root, "report", "listen", "127.0.0.1:8082"))) == 0))
		rc = read_files(settings, "destinations", add_destination, log, err);
	if (rc == 0)
		read_sinks(settings, root);
	if (rc == 0)
		rc = read_files(settings, "triggers", add_trigger, log, err);
	yaml_close(file);
	if (rc) {
		settings_close(settings);
		return err_set(err, rc, "%s: %s", config, strerror(-rc));
	}
	*settingsp = settings;
	return 0;
}

void settings_close(struct settings *settings)
{
	if (!settings)
		return;
	for (int i = 0; i < SETTINGS_DESTINATIONS_MAX; i++) {
		free(settings->destinations[i].name);
		free(settings->destinations[i].to);
		free(settings->destinations[i].from);
		free(settings->triggers[i].name);
	}
	free(settings->config);
	free(settings->dir);
	free(settings->data);
	free(settings->bus);
	free(settings->state);
	free(settings->listen);
	free(settings->http);
	free(settings->report);
	free(settings->write_key);
	free(settings);
}

static int write_file(const char *dir, const char *name, const struct buf *text, struct err *err)
{
	char *path = NULL;
	int fd, rc = set(&path, "%s/%s", dir, name);

	if (rc)
		return rc;
	/* A write key stands in it: for the owner alone. */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (write(fd, text->ptr, text->len) != (ssize_t)text->len || fsync(fd) < 0)
		rc = err_set(err, -EIO, "%s: cannot be written", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

static void print_settings(struct buf *out, const char *listen, const char *http,
			   const char *report, const char *key)
{
	buf_printf(
		out,
		"# millrace.yaml - settings of all programs; see millrace.yaml(5).\n"
		"# Paths are relative to this file. Every key is an option of a program, too.\n"
		"\n"
		"# Where events travel: log:DIR is a directory of Avro files on this machine,\n"
		"# kafka://HOST:9092 is a Kafka cluster. Nothing else needs to change.\n"
		"bus: log:data\n"
		"\n"
		"# Who may send events. The key is what an SDK calls its write key.\n"
		"sources:\n"
		"  - name: web\n"
		"    write_key: %s\n"
		"\n"
		"# HTTP for SDKs. 127.0.0.1 is this machine only; 0.0.0.0 is everybody.\n"
		"collect:\n"
		"  listen: %s\n"
		"\n"
		"# HTTP for questions; whoever can reach it can read everything.\n"
		"aggregate:\n"
		"  http: %s\n"
		"\n"
		"# The dashboard, for a browser. Others than this machine need a password file.\n"
		"report:\n"
		"  listen: %s\n",
		key, listen, http, report);
}

static void print_destination(struct buf *out)
{
	buf_append_text(out,
			"# destinations/files.yaml - every event into files of JSON lines.\n"
			"type: file\n"
			"path: out/files\n"
			"format: jsonl           # or jsonl.gz, avro\n"
			"enabled: yes\n");
}

int settings_create(const char *dir, const char *listen, const char *http, const char *report,
		    struct err *err)
{
	unsigned char random[12];
	char key[sizeof(random) * 2 + 1];
	struct buf text = { 0 };
	char *path = NULL;
	int rc;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(err, -EIO, "no random bytes for a write key");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(key + i * 2, 3, "%02x", random[i]);
	if ((rc = set(&path, "%s/destinations", dir)) < 0)
		return rc;
	print_destination(&text);
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	else
		rc = write_file(path, "files.yaml", &text, err);
	if (rc == -EEXIST) {
		*err = (struct err){ "" };
		rc = 0;         /* somebody has destinations already: theirs */
	}
	buf_reset(&text);
	print_settings(&text, listen, http, report, key);
	/* Last: a millrace.yaml that is there is whole. */
	if (!rc)
		rc = write_file(dir, SETTINGS_FILE, &text, err);
	buf_close(&text);
	free(path);
	return rc;
}

int settings_free_port(int port, char text[32], struct err *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1, rc = 0;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)port);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, len) < 0) {
		address.sin_port = 0;
		if (bind(fd, (struct sockaddr *)&address, len) < 0)
			rc = err_set(err, -errno, "no free port: %s", strerror(errno));
	}
	if (!rc && getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		rc = err_set(err, -errno, "getsockname: %s", strerror(errno));
	close(fd);
	snprintf(text, 32, "127.0.0.1:%u", ntohs(address.sin_port));
	return rc;
}

int settings_check_port(const char *text, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[80];
	int yes = 1, fd, rc = 0;

	if (!colon || snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text) >= 80)
		return 0;
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	if (getaddrinfo(host[0] && strcmp(host, "*") ? host : NULL, colon + 1, &hints, &found))
		return 0;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1) < 0)
			rc = -errno;
		close(fd);
	}
	freeaddrinfo(found);
	return rc ? err_set(err, rc, "%s: %s", text, strerror(-rc)) : 0;
}
