/* Counts the instructions that a program executes under qemu's user emulation:
 * a plugin of its interface version 1 (include/qemu/qemu-plugin.h), declared here
 * because Debian does not ship the header. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t id_t64;
struct qemu_plugin_tb;

extern void qemu_plugin_register_vcpu_tb_trans_cb(id_t64, void (*)(id_t64, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_atexit_cb(id_t64, void (*)(id_t64, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_outs(const char *);

int qemu_plugin_version = 1;

/* One count for each thread, each on a cache line of its own. */
#define THREADS 4096
static struct { uint64_t n; char pad[56]; } counts[THREADS];

static void executed(unsigned thread, void *instructions)
{
	counts[thread % THREADS].n += (uintptr_t)instructions;
}

static void translated(id_t64 id, struct qemu_plugin_tb *block)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void *)qemu_plugin_tb_n_insns(block));
}

static void ended(id_t64 id, void *none)
{
	uint64_t sum = 0;
	char text[64];
	(void)id;
	(void)none;
	for (int i = 0; i < THREADS; i++)
		sum += counts[i].n;
	snprintf(text, sizeof text, "instructions %llu\n", (unsigned long long)sum);
	qemu_plugin_outs(text);
}

int qemu_plugin_install(id_t64 id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
