/*
 * torture_malloc.c: preloaded by tests/fault/torture: the n-th allocation fails, once or for ever.
 *
 * A file of four numbers, shared by all processes and the suite, says what to do: how many allocations are left until
 * it fails (0: not armed), whether all behind it fail too, which process ("engine", "mail": 0, 1), and how many have
 * failed.  libc's own functions stand behind; what libraries allocate counts like ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct torture {
	int64_t left, forever, who, failed;
};

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static struct torture *torture;

/* Maps the file; before main, and without allocating. */
__attribute__((constructor)) static void torture_open(void)
{
	const char *path = getenv("NUDGED_TORTURE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *torture, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		torture = p;
}

/* Is it this process's turn? */
static int torture_is_me(void)
{
	static const char *const names[] = { "nudged:engine", "nudged:mail" };
	char name[16] = "";
	const char *want = names[torture->who & 1];

	prctl(PR_GET_NAME, name);
	return strncmp(name, want, strlen(want)) == 0;
}

/* Counts one allocation: does it fail? */
static int torture_fails(void)
{
	int64_t left;

	if (!torture || __atomic_load_n(&torture->left, __ATOMIC_RELAXED) <= 0 || !torture_is_me())
		return 0;
	left = __atomic_sub_fetch(&torture->left, 1, __ATOMIC_SEQ_CST);
	if (left > 0)
		return 0;
	if (torture->forever)
		__atomic_store_n(&torture->left, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&torture->failed, 1, __ATOMIC_SEQ_CST);
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return torture_fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return torture_fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return torture_fails() ? NULL : __libc_realloc(p, n);
}
