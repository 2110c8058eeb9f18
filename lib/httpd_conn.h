/* httpd_conn - what the parts of httpd share: connections and exchanges
 *
 *      httpd.c         listening, accepting, deadlines, draining
 *      httpd_conn.c    connections: reading, handing requests out, what to wait for
 *      httpd_parse.c   bytes -> request
 *      httpd_answer.c  request -> bytes: answers, streams, writing
 *
 * A connection owns no buffers while it is idle. With the first byte of a request it takes an
 * exchange (request, parser, input buffer) from the server's spare ones, last used first, so
 * that a busy server walks over few and warm ones; it gives it back with the answer, unless
 * bytes of the next request are already in it. When the client goes away before the answer, the
 * connection is freed and the exchange stays alone (conn is NULL) until the handler answers.
 *
 * Each connection stands in exactly one list of waiting ones; a list has one time limit, so it
 * is sorted by deadline without doing anything for it.
 *
 * Whoever may be called from a handler (http_answer ..) never frees a connection that
 * conn_process works on (busy), and never calls back: it marks the connection failed and leaves
 * the rest to the end of the turn.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_HTTPD_CONN_H
#define LIB_HTTPD_CONN_H

#include <netinet/in.h>

#include "lib/httpd.h"
#include "lib/httpd_parse.h"

struct http_link {
	struct http_link *prev, *next;
};

enum http_wait {
	HTTP_WAIT_NONE,         /* for the handler */
	HTTP_WAIT_IDLE,         /* for a request */
	HTTP_WAIT_HEAD,
	HTTP_WAIT_BODY,
	HTTP_WAIT_WRITE,        /* for the client to take bytes */
	HTTP_WAIT_LINGER,       /* for the client to close, after a last answer */
	HTTP_WAITS
};

enum http_exchange_state { HTTP_READING, HTTP_WORK, HTTP_STREAM };

struct http_exchange {
	struct http_request request;    /* first: the handler's pointer is ours */
	struct http_parse parse;
	struct http_conn *conn;         /* NULL: the client is gone */
	struct http_link link;          /* in httpd's used or spare ones */
	enum http_exchange_state state;
	struct httpd *httpd;
	bool is_chunked;                /* a stream's answer */
	char peer[INET6_ADDRSTRLEN];
};

struct http_conn {
	struct http_link wait_link, turn_link;  /* turn_link.next NULL: not in the list */
	struct httpd *httpd;
	struct loop_watch *watch;
	struct http_exchange *exchange; /* NULL: idle */
	struct buf out;                 /* what the client has not taken yet */
	size_t out_at;
	int64_t since_ms;
	int fd;
	uint32_t events;
	enum http_wait wait;
	bool busy;              /* conn_process is on the stack */
	bool failed;            /* to be closed when the turn ends */
	bool closing;           /* after out is written */
	bool linger;            /* the client may still be sending: read on a little */
	bool restart;           /* an answer went out: deadlines start anew */
	bool eof;
	size_t peer_len;
	char peer[INET6_ADDRSTRLEN];
};

struct httpd {
	struct loop *loop;
	const struct log *log;
	char refuse_headers[512];       /* Content-Type, and what the program wants beside it */
	struct http_limits limits;
	int64_t wait_ms[HTTP_WAITS];
	int conns_max;
	http_handler_fn *handler;
	http_gone_fn *gone;
	void *ctx;
	int listen_fd;
	struct loop_watch *listen_watch;
	bool listen_paused;
	struct loop_timer *tick;
	char address[INET6_ADDRSTRLEN + 16];

	struct http_link waits[HTTP_WAITS];
	struct http_link turn;          /* connections with something to do when the turn ends */
	struct http_link used, spare;   /* exchanges */
	int conn_count, linger_count, work_count;
	int spare_count, spare_low;     /* spare_low: how few there were since the last tick */
	struct http_conn *spare_conns;  /* by turn_link.next */

	bool draining;
	int64_t drain_ms;
	loop_timer_fn *drained;
	void *drained_ctx;

	struct buf batch;               /* answers given during conn_process: one write */
	struct buf single;              /* one given outside of it */
	int64_t date_s;
	char date[40];
	struct httpd_counts counts;
	int64_t warned_ms;
};

#define HTTP_OF(type, member, link) ((type *)((char *)(link) - offsetof(type, member)))

static inline void http_list_init(struct http_link *list)
{
	list->prev = list->next = list;
}

static inline void http_list_add(struct http_link *list, struct http_link *link)
{
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

static inline void http_list_remove(struct http_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = link->next = NULL;
}

/* httpd.c */
void httpd_accept_again(struct httpd *httpd);   /* a place is free */

/* httpd_conn.c */
MUST_CHECK int conn_open(struct httpd *httpd, int fd, const struct sockaddr_storage *address);
void conn_close(struct http_conn *conn);        /* frees it; calls gone */
void conn_process(struct http_conn *conn);      /* parses, calls handlers, settles; may free it */
void conn_wait(struct http_conn *conn, enum http_wait wait);
void conn_later(struct http_conn *conn);        /* conn_process at the end of the turn */
void conn_settle(struct http_conn *conn);       /* decides what it waits for; may free it */
void exchange_release(struct http_exchange *exchange);

/* httpd_answer.c */
/* Writes a, then b, after what waits already; the rest is kept in conn->out. */
void conn_send(struct http_conn *conn, struct slice a, struct slice b);
void conn_flush(struct http_conn *conn);
/* Answers what http_parse or a deadline refused, and marks the connection to be closed. */
void conn_refuse(struct http_conn *conn, int status, const char *why);

static inline size_t conn_unsent(const struct http_conn *conn)
{
	return conn->out.len - conn->out_at;
}

#endif
