// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Timers and work queues: the rules that show at once. What runs later, test/contract/deferred.test.ts looks at. */
#include "check.h"

#define CLOCK_MONOTONIC 1
#define EBUSY 16
#define EINVAL 22

struct element {
	__u64 before;
	struct bpf_timer timer;
	struct bpf_wq wq;
	__u64 fired;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct element);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, struct element);
} hash SEC(".maps");

__u64 array_fired, hash_fired, worked, rounds, wrong_key, cancelled_itself;

static int in_array(void *map, int *key, struct element *element)
{
	element->fired++;
	__sync_fetch_and_add(&array_fired, 1 + *key);
	return 0;
}

static int in_hash(void *map, int *key, struct element *element)
{
	if (*(__u64 *)key != 77)
		wrong_key = *(__u64 *)key;
	__sync_fetch_and_add(&hash_fired, 1);
	return 0;
}

/* Starts itself until it has run three times. */
static int again(void *map, int *key, struct element *element)
{
	cancelled_itself = bpf_timer_cancel(&element->timer);
	if (__sync_add_and_fetch(&rounds, 1) < 3) {
		bpf_timer_set_callback(&element->timer, again);
		bpf_timer_start(&element->timer, 0, 0);
	}
	return 0;
}

static int work(void *map, int *key, void *value)
{
	__sync_fetch_and_add(&worked, 10 + *key);
	return 0;
}

static struct element *element_of(__u32 key)
{
	return bpf_map_lookup_elem(&array, &key);
}

SEC("syscall")
int an_uninitialised_timer_does_nothing(void *ctx)
{
	struct element *element = element_of(0);

	check(element);
	check(bpf_timer_start(&element->timer, 0, 0) == -EINVAL);
	check(bpf_timer_set_callback(&element->timer, in_array) == -EINVAL);
	check(bpf_timer_cancel(&element->timer) == -EINVAL);
	check(bpf_wq_start(&element->wq, 0) == -EINVAL);
	return 0;
}

SEC("syscall")
int a_timer_is_initialised_once(void *ctx)
{
	struct element *element = element_of(1);

	check(element);
	check(bpf_timer_init(&element->timer, &array, 5) == -EINVAL);
	check(bpf_timer_init(&element->timer, &array, CLOCK_MONOTONIC) == 0);
	check(bpf_timer_init(&element->timer, &array, CLOCK_MONOTONIC) == -EBUSY);
	check(bpf_timer_start(&element->timer, 0, 0) == -EINVAL);
	check(bpf_timer_cancel(&element->timer) == 0);
	check(bpf_wq_init(&element->wq, &array, 1) == -EINVAL);
	check(bpf_wq_init(&element->wq, &array, 0) == 0);
	check(bpf_wq_init(&element->wq, &array, 0) == -EBUSY);
	return 0;
}

SEC("syscall")
int a_timer_that_is_cancelled_forgets_its_callback(void *ctx)
{
	struct element *element = element_of(2);

	check(element);
	check(bpf_timer_init(&element->timer, &array, CLOCK_MONOTONIC) == 0);
	check(bpf_timer_set_callback(&element->timer, in_array) == 0);
	check(bpf_timer_start(&element->timer, 60000000000ull, 8) == -EINVAL);
	check(bpf_timer_start(&element->timer, 60000000000ull, 0) == 0);
	check(bpf_timer_cancel(&element->timer) == 1);
	check(bpf_timer_cancel(&element->timer) == 0);
	check(bpf_timer_start(&element->timer, 0, 0) == -EINVAL);
	return 0;
}

SEC("syscall")
int start_all(void *ctx)
{
	struct element *element = element_of(3), zero = {};
	__u64 key = 77, gone = 78;

	check(element);
	bpf_timer_init(&element->timer, &array, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&element->timer, in_array);
	check(bpf_timer_start(&element->timer, 1000000, 0) == 0);
	bpf_wq_init(&element->wq, &array, 0);
	bpf_wq_set_callback_impl(&element->wq, work, 0, NULL);
	check(bpf_wq_start(&element->wq, 0) == 0);

	for (key = 76; key <= 78; key++) {
		bpf_map_update_elem(&hash, &key, &zero, BPF_ANY);
		element = bpf_map_lookup_elem(&hash, &key);
		check(element);
		bpf_timer_init(&element->timer, &hash, CLOCK_MONOTONIC);
		if (key == 76)
			bpf_timer_set_callback(&element->timer, again);
		else
			bpf_timer_set_callback(&element->timer, in_hash);
		check(bpf_timer_start(&element->timer, key == 78 ? 30000000 : 1000000, 0) == 0);
	}
	/* With its element goes the timer. */
	check(bpf_map_delete_elem(&hash, &gone) == 0);
	return 0;
}
