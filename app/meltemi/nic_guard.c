/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that restores a card without confirmation. It has a session of its own and no
 * terminal, so that it survives the shell and the SSH session that started it. SIGTERM makes it
 * restore the card at once.
 */
#include "nic_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define STEP_MS	   100
#define BIND_STEPS 8 /* more than the writes and waits of a bind, each with a time limit */

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	stopped = 1;
}

static void detach(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_stop);
	for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
}

static void restore(struct nic_task *t, const json_t *record)
{
	char words[640];
	bool ok;

	/* Fails if the operator confirmed, or released the card. */
	if (!nic_record_claim(t))
		return;
	ok = nic_record_restore(t, record);
	nic_driver(t->n, t->c);
	if (ok)
		snprintf(words, sizeof(words), "rolled back to %s, because it was not confirmed",
			t->c->driver[0] ? t->c->driver : "no driver");
	else
		snprintf(words, sizeof(words), "the rollback failed: %s", t->why);
	syslog(ok ? LOG_NOTICE : LOG_ERR, "%s: %s", t->pci, words);
	nic_record_result(t, words);
	/* After a failure `release` needs the record. */
	if (!ok)
		(void)nic_record_confirm(t);
}

/* True when the process that binds has ended the bind, or its own life. Waits for STEP_MS. */
static bool bind_has_ended(int binding)
{
	struct pollfd p = {.fd = binding, .events = POLLIN};

	return poll(&p, 1, STEP_MS) == 1;
}

/*
 * Waits for the confirmation, from the end of the bind on. A process that stops during the bind, by
 * SIGSTOP for example, must not prevent the rollback.
 */
static void wait_for_confirmation(const struct nic_task *t, int binding)
{
	uint64_t end = nic_now() + t->confirm_ms + BIND_STEPS * t->timeout_ms;
	bool ended = false;

	while (nic_now() < end && !stopped && access(t->claim, F_OK) == 0) {
		if (ended)
			nic_sleep(STEP_MS);
		else if (bind_has_ended(binding)) {
			ended = true;
			end = MT_MIN(end, nic_now() + t->confirm_ms);
		}
	}
}

static void guard(struct nic_task *t, const json_t *record, int ready, int binding)
{
	detach();
	(void)!write(ready, "", 1);
	close(ready);
	openlog("meltemi-nic", LOG_PID, LOG_DAEMON);
	wait_for_confirmation(t, binding);
	restore(t, record);
	_exit(0);
}

/* Starts it, and waits until it is ready. */
static bool start(struct nic_task *t, const json_t *record, const int fds[2], const int bind[2])
{
	int status = 0;
	bool ready = false;
	char byte;
	pid_t pid;

	/* The guard's parent ends at once, so that init becomes its parent. */
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			close(bind[1]);
			guard(t, record, fds[1], bind[0]);
		}
		_exit(0);
	}
	close(fds[1]);
	if (pid > 0)
		ready = waitpid(pid, &status, 0) == pid && read(fds[0], &byte, 1) == 1;
	close(fds[0]);
	return ready;
}

bool nic_guard_start(struct nic_task *t, const json_t *record)
{
	int fds[2], bind[2];

	if (pipe2(bind, O_CLOEXEC)) {
		snprintf(t->why, sizeof(t->why), "no pipe: %s", strerror(errno));
		return false;
	}
	t->binding = bind[1];
	if (pipe2(fds, O_CLOEXEC) == 0 && start(t, record, fds, bind)) {
		close(bind[0]);
		return true;
	}
	snprintf(t->why, sizeof(t->why), "cannot start the process that rolls back");
	close(bind[0]);
	close(bind[1]);
	return false;
}
