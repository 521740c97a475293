/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tests beside the programs they are about: each macro leaves a BTF decl tag on a function, which `bpf-arena test` reads, as
 * it reads those of the kernel's own selftests. A function with __success or __failure is a test.
 *
 *	SEC("syscall") __success __retval(3) int adds(void *ctx) { return 1 + 2; }
 *	SEC("?syscall") __failure __msg("invalid mem access 'scalar'") int wild(void *ctx) { return *(int *)8; }
 *
 * A section name with ? in front keeps a program that is to be refused from being loaded with the others.
 */
#ifndef BPF_TEST_H
#define BPF_TEST_H

#define __bpf_test_text(x) #x
#define __bpf_test_number(x) __bpf_test_text(x)
#define __bpf_test_tag(tag) __attribute__((btf_decl_tag("comment:" tag)))
/* BTF keeps no order among tags: the compiler's counter does. */
#define __bpf_test_ordered(tag, text) __bpf_test_tag(tag "=" __bpf_test_number(__COUNTER__) "=" text)

/* The verifier accepts, or refuses, the program. */
#define __success __bpf_test_tag("test_expect_success")
#define __failure __bpf_test_tag("test_expect_failure")

/* The verifier's log has this text, behind that of the __msg before; {{…}} in it is a regular expression. */
#define __msg(text) __bpf_test_ordered("test_expect_msg", text)
/* The log does not have this text between the messages around it. */
#define __not_msg(text) __bpf_test_ordered("test_expect_not_msg", text)

/* The program is run, and returns this. */
#define __retval(value) __bpf_test_tag("test_retval=" #value)
/* 1: the path explored last. 2: all of them. */
#define __log_level(level) __bpf_test_tag("test_log_level=" #level)
/* A flag of BPF_PROG_LOAD, by name. */
#define __flag(flag) __bpf_test_tag("test_prog_flags=" #flag)
/* Words for people. */
#define __description(words) __bpf_test_tag("test_description=" words)
/* No test of its own, but loaded with those that are. */
#define __auxiliary __bpf_test_tag("test_auxiliary")
/* Only for this architecture: "X86_64", "ARM64", "RISCV64". */
#define __arch(name) __bpf_test_tag("test_arch=" name)

#endif
