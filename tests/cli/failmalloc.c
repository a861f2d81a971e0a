// Linked with --wrap, the FAIL_AT-th allocation that the program's own code asks for fails, counted from 1; those of other libraries do
// not count, nor do those before main: CUDA's runtime, linked statically, registers each kernel then. At its end the program writes how
// many there were to the file FAIL_COUNT. No preloading, so that the address sanitizer, which wants to be first, finds what a failure leaks.
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__wrap_strdup(const char *text);
int __real_main(int n, char **words);
int __wrap_main(int n, char **words);

static atomic_long counted;
static atomic_bool begun;
static long fail_at;

int __wrap_main(int n, char **words) {
    const char *text = getenv("FAIL_AT");
    fail_at = text ? atol(text) : 0;
    atomic_store(&begun, true);
    return __real_main(n, words);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAIL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&counted));
    fclose(file);
}

static bool fails(void) {
    if (!atomic_load(&begun) || atomic_fetch_add(&counted, 1) + 1 != fail_at) return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n) {
    return fails() ? NULL : __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}
