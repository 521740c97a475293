// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Benchmark: subprogram_calls evaluates expressions, given as steps of a stack machine in the arena, for many values of
 * their variable. Each kind of step is a subprogram that works on the machine in its caller's frame; arithmetic that
 * needs care is one more below; and the evaluation of one expression is a global function, verified on its own.
 */
#include "bench.h"

#define DEPTH 8 /* of the machine's stack; a power of two */
#define STEPS 11
#define EXPRESSIONS 4
#define VALUES 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

enum step_kind { STEP_VARIABLE, STEP_CONSTANT, STEP_ADD, STEP_SUBTRACT, STEP_MULTIPLY, STEP_DIVIDE, STEP_SMALLER };

struct step {
	__u32 kind; /* enum step_kind */
	__s32 constant;
};

struct expression {
	struct step steps[STEPS];
};

struct machine {
	__u32 depth;
	__s64 stack[DEPTH];
};

#define X { STEP_VARIABLE, 0 }
#define NUMBER(n) { STEP_CONSTANT, n }
#define ADD { STEP_ADD, 0 }
#define SUBTRACT { STEP_SUBTRACT, 0 }
#define MULTIPLY { STEP_MULTIPLY, 0 }
#define DIVIDE { STEP_DIVIDE, 0 }
#define SMALLER { STEP_SMALLER, 0 }

struct expression __arena_global expressions[EXPRESSIONS] = {
	/* 3 x x + 7 x - 11 */
	{ { X, X, MULTIPLY, NUMBER(3), MULTIPLY, X, NUMBER(7), MULTIPLY, ADD, NUMBER(11), SUBTRACT } },
	/* the smaller of (x + 100) / (x - 5) and 9 x */
	{ { X, NUMBER(100), ADD, X, NUMBER(5), SUBTRACT, DIVIDE, X, NUMBER(9), MULTIPLY, SMALLER } },
	/* (x - 1) (x - 2) (x - 3) */
	{ { X, NUMBER(1), SUBTRACT, X, NUMBER(2), SUBTRACT, MULTIPLY, X, NUMBER(3), SUBTRACT, MULTIPLY } },
	/* x / 3 + x / 5 + x / 7 */
	{ { X, NUMBER(3), DIVIDE, X, NUMBER(5), DIVIDE, ADD, X, NUMBER(7), DIVIDE, ADD } },
};

static __noinline void push(struct machine *machine, __s64 value)
{
	machine->stack[machine->depth++ % DEPTH] = value;
}

static __noinline __s64 pop(struct machine *machine)
{
	return machine->stack[--machine->depth % DEPTH];
}

static __noinline __s64 divide(__s64 a, __s64 b)
{
	return b == 0 ? 0 : b == -1 ? -a : a / b;
}

static __noinline __s64 smaller(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

static __noinline void apply(struct machine *machine, __u32 kind)
{
	__s64 b = pop(machine), a = pop(machine);

	switch (kind) {
	case STEP_ADD:
		return push(machine, (__u64)a + b);
	case STEP_SUBTRACT:
		return push(machine, (__u64)a - b);
	case STEP_MULTIPLY:
		return push(machine, (__u64)a * b);
	case STEP_DIVIDE:
		return push(machine, divide(a, b));
	default:
		return push(machine, smaller(a, b));
	}
}

/* The expression's value, in 32 bits. */
__noinline __weak int evaluate(struct expression __arena *expression __arg_arena, __u32 variable)
{
	struct machine machine = { .depth = unknown_zero };
	struct step __arena *step;
	__u32 i, kind;

	for (i = unknown_zero; i < STEPS && can_loop; i++) {
		step = &expression->steps[i];
		kind = arena_kern(step)->kind;
		if (kind == STEP_VARIABLE)
			push(&machine, variable);
		else if (kind == STEP_CONSTANT)
			push(&machine, arena_kern(step)->constant);
		else
			apply(&machine, kind);
	}
	return pop(&machine);
}

SEC("syscall")
int subprogram_calls(void *ctx)
{
	__u64 sum = 0;
	__u32 i, value;

	for (value = unknown_zero; value < VALUES && can_loop; value++)
		for (i = unknown_zero; i < EXPRESSIONS && can_loop; i++)
			sum = sum * 31 + evaluate(&expressions[i], value);
	checksum = sum;
	return value < VALUES ? -ETIMEDOUT : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

BENCH_MAIN(BENCH_PROGRAM(subprogram_calls));
