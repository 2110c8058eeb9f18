// SPDX-License-Identifier: Apache-2.0
/* kill -9 at every write, fsync, rename and unlink of flushes and merges (preload_fault): what a
 * restart makes of it is, bit for bit, what an undisturbed run makes.
 *
 *      aggregate_crash_test             the test
 *      aggregate_crash_test DIR         reads the made-up log into DIR, prints its hash
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "aggregate/merge.h"
#include "tests/store_world.h"
#include "tests/tap.h"

#define EVENTS 1000
#define BATCH  90
#define CASES_MAX 400

/* What the events say of persons, too: links, counters that must not count twice. */
static void say(struct persons *persons, const struct store_row *row, uint64_t i)
{
	struct person_when when = { row->time_us, row->received_us, row->message };
	struct prop one = { .kind = PROP_NUMBER, .number = 1 };
	struct prop plan = row->props[2].value;
	uint32_t other;
	char id[24];

	snprintf(id, sizeof(id), "anon-%d", (int)(i % 60));
	if (persons_profile(persons, row->actor, PERSON_ADD, SLICE("seen"), &one, &when) < 0 ||
	    persons_profile(persons, row->actor, PERSON_SET, SLICE("plan"), &plan, &when) < 0 ||
	    persons_actor(persons, 'a', slice_from(id), row->received_us, &other) < 0 ||
	    persons_link(persons, other, row->actor, &when) < 0)
		abort();
}

static int put_trait(void *ctx, struct slice name, const struct prop *value)
{
	struct buf *out = ctx;

	buf_append_slice(out, name);
	buf_append_char(out, '=');
	prop_print(value, out);
	buf_append_char(out, ' ');
	return 0;
}

static void print_hash(struct store *store)
{
	struct merge_input inputs[200];
	struct merge_conf conf = { inputs, 0, INT64_MIN, NULL };
	struct snapshot snapshot;
	struct err err = { "" };
	struct buf image = { 0 }, text = { 0 }, scratch = { 0 };
	const uint32_t *leaders;
	uint32_t rows;

	if (store_snapshot(store, &snapshot, &err) < 0)
		abort();
	for (size_t i = 0; i < snapshot.file_count; i++)
		inputs[conf.count++] = (struct merge_input){ snapshot.files[i],
							     snapshot.files[i]->gone,
							     snapshot.files[i]->gone_count };
	if (merge_files(&conf, &image, -1, &rows) < 0)
		abort();
	leaders = persons_leaders(snapshot.persons);
	for (uint32_t actor = 1; actor < persons_actor_count(snapshot.persons); actor++) {
		char kind;

		buf_append_slice(&text, persons_id(snapshot.persons, actor, &kind));
		buf_printf(&text, "%c %u: ", kind, leaders[actor]);
		if (persons_traits(snapshot.persons, leaders[actor], &scratch, put_trait,
				   &text) < 0)
			abort();
	}
	printf("%u rows %016llx, persons %016llx\n", rows,
	       (unsigned long long)XXH3_64bits(image.ptr, image.len),
	       (unsigned long long)XXH3_64bits(text.ptr, text.len));
	snapshot_release(&snapshot);
	buf_close(&image);
	buf_close(&text);
	buf_close(&scratch);
}

static int run(const char *dir)
{
	struct store_conf conf = { .dir = dir, .flush_bytes = 1, .partitions = 1 };
	int64_t next[BUS_PARTITIONS_MAX];
	struct world world = { .seed = 77 };
	struct err err = { "" };
	struct store *store;
	int rc = store_open(&store, &conf, next, &err);

	while (rc == 0 && next[0] < EVENTS) {
		store_change_begin(store);
		for (int n = 0; n < BATCH && next[0] < EVENTS && rc >= 0; n++, next[0]++) {
			uint64_t i = (uint64_t)next[0];
			const struct store_row *row = world_row(&world, i % 950);
			struct store_row copy = *row;
			char id[24];

			snprintf(id, sizeof(id), "user-%d", (int)row->actor);
			rc = persons_actor(store_persons(store), 'u', slice_from(id),
					   row->received_us, &copy.actor);
			if (rc == 0)
				rc = store_add(store, &copy, &err);
			if (rc == 1)
				say(store_persons(store), &copy, i);
		}
		if (rc >= 0)
			rc = store_change_end(store, &err);
		if (rc == 0)
			rc = store_commit(store, next, 1, true, &err);
	}
	if (rc == 0)
		rc = store_settle(store, &err);
	if (rc == 0)
		print_hash(store);
	else
		printf("%s\n", err.text);
	store_close(store);
	buf_close(&world.list);
	return rc < 0;
}

/* Runs this program on dir, with a fault or NULL. Its exit status as wait gives it. */
static int spawn(const char *self, const char *dir, const char *fault, char *said, size_t size)
{
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (pipe(pipes) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		char preload[400];

		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		snprintf(preload, sizeof(preload), "%.*s/preload_fault.so",
			 (int)(strrchr(self, '/') - self), self);
		if (fault) {
			setenv("FAULT", fault, 1);
			setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
			setenv("LD_PRELOAD", preload, 1);
		}
		execl(self, self, dir, NULL);
		_exit(127);
	}
	close(pipes[1]);
	while (len + 1 < size && (n = read(pipes[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(pipes[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

static void clear(const char *dir)
{
	char command[500];

	snprintf(command, sizeof(command), "rm -rf '%s'; mkdir '%s'", dir, dir);
	if (system(command) != 0)
		abort();
}

static void test_call(struct tap *tap, const char *self, const char *dir, const char *call,
		      const char *action, const char *wanted)
{
	int killed = 0, wrong = 0, n = 1, status = 0;
	char fault[300], said[400];

	for (; n < CASES_MAX; n++) {
		clear(dir);
		snprintf(fault, sizeof(fault), "%s:%s:%s:%d", call, action,
			 strrchr(dir, '/') + 1, n);
		status = spawn(self, dir, fault, said, sizeof(said));
		if (!WIFSIGNALED(status))
			break;
		killed++;
		status = spawn(self, dir, NULL, said, sizeof(said));
		if (status != 0 || strcmp(said, wanted) != 0) {
			printf("# %s: %s", fault, said);
			wrong++;
		}
	}
	OK(tap, status == 0 && strcmp(said, wanted) == 0, "%s: the last one is not disturbed",
	   call);
	OK(tap, wrong == 0 && killed > 5, "%s %s: %d of %d are different", call, action, wrong,
	   killed);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *call, *action;
	} calls[] = {
		{ "write", "kill" }, { "write", "torn" }, { "sync", "kill" },
		{ "sync", "kill_after" },
		{ "rename", "kill" }, { "rename", "kill_after" }, { "unlink", "kill" },
	};
	struct tap tap = { 0 };
	const char *temp = getenv("TMPDIR");
	char dir[200], said[400], wanted[400];

	if (argc > 1)
		return run(argv[1]);
	snprintf(dir, sizeof(dir), "%s/millrace-crash-%d", temp ? temp : "/tmp", (int)getpid());
	clear(dir);
	OK(&tap, spawn(argv[0], dir, NULL, wanted, sizeof(wanted)) == 0, "undisturbed: %s", wanted);
	OK(&tap, spawn(argv[0], dir, NULL, said, sizeof(said)) == 0 && strcmp(said, wanted) == 0,
	   "again: the same");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		test_call(&tap, argv[0], dir, calls[i].call, calls[i].action, wanted);
	clear(dir);
	rmdir(dir);
	return tap_end(&tap);
}
