/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks are run once, in order, elsewhere; their ends are heard here. */
#include "mt_service.h"
#include "mt_test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_t here;
static sem_t gate;
static int ran[1024], ended[1024];
static uint32_t n_ran, n_ended;

struct work {
	struct mt_task task;
	int number;
	bool waits, elsewhere;
	struct work *more; /* handed over by done() */
	struct mt_service *s;
};

static int run(struct mt_task *t)
{
	struct work *w = mt_container_of(t, struct work, task);

	if (w->waits)
		sem_wait(&gate);
	w->elsewhere = !pthread_equal(pthread_self(), here);
	ran[n_ran++] = w->number;
	return -w->number;
}

static void done(struct mt_task *t, int rc)
{
	struct work *w = mt_container_of(t, struct work, task);

	CU_ASSERT_TRUE(pthread_equal(pthread_self(), here));
	CU_ASSERT_EQUAL(rc, -w->number);
	ended[n_ended++] = w->number;
	if (w->more)
		CU_ASSERT_EQUAL(mt_service_submit(w->s, &w->more->task), 0);
}

static struct work work(int number)
{
	return (struct work){.task = {.run = run, .done = done}, .number = number};
}

static void unheard(struct mt_task *t, int rc)
{
	n_ended++;
}

static struct mt_service *begin(void)
{
	struct mt_err e;
	struct mt_service *s = mt_service_new("mt-test", &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	here = pthread_self();
	n_ran = n_ended = 0;
	CU_ASSERT_EQUAL(sem_init(&gate, 0, 0), 0);
	return s;
}

static void until_ended(struct mt_service *s, uint32_t n)
{
	struct pollfd p = {.fd = mt_service_fd(s), .events = POLLIN};

	while (n_ended < n) {
		CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 10000), 1);
		mt_service_turn(s);
	}
}

/* Failed writes of state are reported once; others are their owner's alone. */
static void failed_state(void)
{
	struct mt_service *s = begin();
	struct work w[] = {work(3), work(0), work(ENOSPC), work(0)};
	size_t bytes = 0;

	CU_ASSERT_EQUAL(mt_service_failed(NULL, &bytes), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(w); i++) {
		w[i].task.done = unheard;
		w[i].task.state_bytes = 100 * i;
		CU_ASSERT_EQUAL(mt_service_submit(s, &w[i].task), 0);
		until_ended(s, (uint32_t)i + 1);
		CU_ASSERT_EQUAL(mt_service_failed(s, &bytes), i == 2 ? -ENOSPC : 0);
	}
	CU_ASSERT_EQUAL(bytes, 200);
	mt_service_free(s);
}

static void in_order_and_elsewhere(void)
{
	struct mt_service *s = begin();
	struct work w[50];

	for (int i = 0; i < 50; i++) {
		w[i] = work(i);
		CU_ASSERT_EQUAL(mt_service_submit(s, &w[i].task), 0);
	}
	until_ended(s, 50);
	for (int i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(ran[i], i);
		CU_ASSERT_EQUAL(ended[i], i);
		CU_ASSERT_TRUE(w[i].elsewhere);
	}
	mt_service_free(s);
}

/* While one waits the others do, nobody here does, and there is a bound. */
static void bounded(void)
{
	struct mt_service *s = begin();
	struct work w[MT_SERVICE_TASKS + 1];

	for (int i = 0; i <= MT_SERVICE_TASKS; i++) {
		w[i] = work(i);
		w[i].waits = i == 0;
		CU_ASSERT_EQUAL(
			mt_service_submit(s, &w[i].task), i < MT_SERVICE_TASKS ? 0 : -EAGAIN);
	}
	mt_service_turn(s);
	CU_ASSERT_EQUAL(n_ended, 0);
	sem_post(&gate);
	until_ended(s, MT_SERVICE_TASKS);
	CU_ASSERT_EQUAL(mt_service_submit(s, &w[MT_SERVICE_TASKS].task), 0);
	until_ended(s, MT_SERVICE_TASKS + 1);
	mt_service_free(s);
}

/* Who frees it has everything done, also what done() hands over. */
static void the_end(void)
{
	struct mt_service *s = begin();
	struct work a = work(1), b = work(2), c = work(3);

	a.more = &b;
	a.s = s;
	a.waits = true;
	CU_ASSERT_EQUAL(mt_service_submit(s, &a.task), 0);
	CU_ASSERT_EQUAL(mt_service_submit(s, &c.task), 0);
	sem_post(&gate);
	mt_service_free(s);
	CU_ASSERT_EQUAL(n_ended, 3);
	CU_ASSERT_EQUAL(ended[2], 2);
}

static void without_a_thread(void)
{
	struct work w = work(7);

	here = pthread_self();
	n_ran = n_ended = 0;
	CU_ASSERT_EQUAL(mt_service_submit(NULL, &w.task), 0);
	CU_ASSERT_EQUAL(n_ended, 1);
	CU_ASSERT_FALSE(w.elsewhere);
	mt_service_drain(NULL);
	mt_service_free(NULL);
}

/* A disk that never answers holds nobody's end up; what it was given is neither done nor freed under it. */
static void never_answers(void)
{
	struct mt_service *s = begin();
	static struct work a, b;

	a = work(1);
	a.waits = true;
	b = work(2);
	CU_ASSERT_EQUAL(mt_service_submit(s, &a.task), 0);
	CU_ASSERT_EQUAL(mt_service_submit(s, &b.task), 0);
	mt_service_patience(s, 20 * MT_MSEC);
	mt_service_drain(s);
	CU_ASSERT_EQUAL(n_ended, 0);
	CU_ASSERT_EQUAL(mt_service_submit(s, &b.task), -EAGAIN);
	mt_service_free(s);
	CU_ASSERT_EQUAL(n_ended, 0);
	sem_post(&gate);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static int replaced_rc;
static uint32_t n_replaced;
static struct mt_err replaced_why;

static void replaced(void *arg, int rc, const struct mt_err *e)
{
	CU_ASSERT_TRUE(pthread_equal(pthread_self(), here));
	replaced_rc = rc;
	replaced_why = *e;
	n_replaced++;
}

static void files(void)
{
	char dir[] = "/tmp/mt_service_XXXXXX", path[64], old[80], buf[16] = "";
	struct mt_service *s = begin();
	FILE *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/new/file", dir);
	n_replaced = 0;
	mt_service_replace(s, path, strdup("one"), 3, 0600, replaced, NULL);
	CU_ASSERT_EQUAL(n_replaced, 0);
	mt_service_drain(s);
	CU_ASSERT_EQUAL(n_replaced, 1);
	CU_ASSERT_EQUAL(replaced_rc, 0);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_STRING_EQUAL(fgets(buf, sizeof(buf), f), "one");
	fclose(f);
	/* Told who wanted it, with the path. */
	snprintf(old, sizeof(old), "%s/file", path);
	mt_service_replace(s, old, strdup("two"), 3, 0600, replaced, NULL);
	mt_service_drain(s);
	CU_ASSERT_EQUAL(replaced_rc, -ENOTDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(replaced_why.text, path));
	mt_service_replace(s, path, NULL, 0, 0600, replaced, NULL);
	CU_ASSERT_EQUAL(replaced_rc, -ENOMEM);
	CU_ASSERT_EQUAL(n_replaced, 3);
	mt_service_free(s);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct mt_test tests[] = {{"in_order_and_elsewhere", in_order_and_elsewhere},
		{"failed_state", failed_state}, {"bounded", bounded}, {"the_end", the_end},
		{"without_a_thread", without_a_thread}, {"files", files},
		{"never_answers", never_answers}, {0}};
	const struct mt_suite suites[] = {{"service", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
