/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the daemon besides its workers: the control thread alone handles signals. */
#include "mt_rights.h"

int mt_rights_thread(pthread_t *id, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	sigdelset(&all, MT_RIGHTS_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(id, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		(void)pthread_setname_np(*id, name);
	return -rc;
}
