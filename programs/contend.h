/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For programs that are meant to be run on all CPUs at once: names end in _contend. Each takes shares of one piece of
 * work until that is done, whoever does how much, so that the results are the same on one CPU and on many. It returns 0, an
 * error, or -EAGAIN when the loop budget ended: run it again. Natively CPUs are threads.
 */
#ifndef CONTEND_H
#define CONTEND_H

#ifndef __bpf__
/* Loop budgets are small here, so that locks time out all the time: 1,000 passes, anew for each call of a program. */
static _Thread_local int loop_budget = 1000;
#define can_loop (loop_budget > 0 && loop_budget--)
#endif

#include "bpf_arena.h"

#ifndef __bpf__
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define THREADS 4

/* Runs a program until it does not ask for another run. */
static __attribute__((unused)) int run_to_end(int (*program)(void *))
{
	int retval;

	do {
		loop_budget = 1000;
		retval = program(NULL);
		sched_yield();
	} while (retval == -EAGAIN);
	return retval;
}

static void *contend_thread(void *program)
{
	return (void *)(long)run_to_end((int (*)(void *))program);
}

/* Runs a program on all CPUs at once; the first result that is not 0. */
static __attribute__((unused)) int run_on_all(int (*program)(void *))
{
	pthread_t thread[THREADS];
	void *result;
	int i, first = 0;

	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, contend_thread, (void *)program);
	for (i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &result);
		if (!first)
			first = (long)result;
	}
	return first;
}

/* Prints `name=value` for a program, run once, or on all CPUs. */
#define print_run(program) (loop_budget = 1000, printf(#program "=%d\n", program(NULL)))
#define print_run_to_end(program) printf(#program "=%d\n", run_to_end(program))
#define print_run_on_all(program) printf(#program "=%d\n", run_on_all(program))
#define print_global(name) printf(#name "=%llu\n", (__u64)name)
#endif

#endif /* CONTEND_H */
