/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the control thread: one writer, one reader, executed between iterations. */
#include "mt_worker_priv.h"

#include <errno.h>
#include <time.h>

#define WAIT_STEP_NS (20 * MT_USEC)

uint32_t mt_mailbox_run(struct mt_worker *w)
{
	uint32_t tail = __atomic_load_n(&w->mail_tail, __ATOMIC_ACQUIRE);
	uint32_t n = tail - w->mail_head;

	if (mt_likely(n == 0))
		return 0;
	while (w->mail_head != tail) {
		struct mt_mail m = w->mail[w->mail_head % MT_MAILBOX];

		m.run(w, m.arg);
		__atomic_store_n(&w->mail_head, w->mail_head + 1, __ATOMIC_RELEASE);
	}
	mt_count_n(w->stats.counters, MT_WORKER_commands, n);
	return n;
}

bool mt_worker_post(struct mt_worker *w, mt_worker_command run, void *arg)
{
	uint32_t head = __atomic_load_n(&w->mail_head, __ATOMIC_ACQUIRE);

	if (w->mail_tail - head == MT_MAILBOX)
		return false;
	w->mail[w->mail_tail % MT_MAILBOX] = (struct mt_mail){run, arg};
	__atomic_store_n(&w->mail_tail, w->mail_tail + 1, __ATOMIC_RELEASE);
	return true;
}

static void pause_a_little(void)
{
	const struct timespec ts = {.tv_nsec = WAIT_STEP_NS};

	(void)nanosleep(&ts, NULL);
}

int mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t timeout_ms)
{
	uint64_t steps = timeout_ms * MT_MSEC / WAIT_STEP_NS;
	uint32_t mine;

	if (!__atomic_load_n(&w->running, __ATOMIC_ACQUIRE)) {
		run(w, arg);
		return 0;
	}
	if (!mt_worker_post(w, run, arg))
		return -EAGAIN;
	mine = w->mail_tail;
	while ((int32_t)(__atomic_load_n(&w->mail_head, __ATOMIC_ACQUIRE) - mine) < 0) {
		/*
		 * The worker has ended and does not read its mailbox any more: run the commands
		 * here.
		 */
		if (!__atomic_load_n(&w->running, __ATOMIC_ACQUIRE)) {
			(void)mt_mailbox_run(w);
			return 0;
		}
		if (steps-- == 0)
			return -ETIMEDOUT;
		pause_a_little();
	}
	return 0;
}

void mt_worker_quiesce(struct mt_worker *w)
{
	uint64_t turn = __atomic_load_n(&w->turn, __ATOMIC_ACQUIRE);

	/*
	 * The current iteration may have started before this call: wait for the end of the next
	 * one.
	 */
	while (__atomic_load_n(&w->running, __ATOMIC_ACQUIRE) &&
		__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) < turn + 2)
		pause_a_little();
}
