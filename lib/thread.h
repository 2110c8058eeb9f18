/* thread - a thread that takes no signals
 *
 * Signals are the main thread's, by signalfd. A thread that did not block them would die of a
 * SIGTERM in its default way, and the whole program with it, without a flush.
 */
// SPDX-License-Identifier: Apache-2.0
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include <pthread.h>

#include "lib/err.h"

/* pthread_create with all signals blocked in the new thread. 0 or -errno. */
MUST_CHECK int thread_start(pthread_t *thread, void *(*run)(void *), void *ctx);

#endif
