// Preloaded, the FAIL_AT-th allocation that the program's own code asks for fails, counted from 1; those of other libraries do not count.
// At its end the program writes how many there were to the file FAIL_COUNT.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *(*next_malloc)(size_t), *(*next_calloc)(size_t, size_t), *(*next_realloc)(void *, size_t);
static void *(*next_aligned)(size_t, size_t);
static atomic_long counted;
static long fail_at;
static bool ready;

// dlsym itself may allocate before the real functions are known.
static char early[1 << 16];
static size_t used;

static void *from_early(size_t bytes) {
    void *memory = early + used;
    used += (bytes + 63) / 64 * 64;
    if (used > sizeof early) abort();
    return memory;
}

static bool is_early(const void *memory) {
    return (const char *)memory >= early && (const char *)memory < early + sizeof early;
}

// Finds the real functions at the first allocation; false while that goes on.
static bool find_next(void) {
    static bool finding;
    if (next_aligned || finding) return next_aligned;
    finding = true;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
    return true;
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAIL_AT");
    fail_at = text ? atol(text) : 0;
    ready = find_next();
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAIL_COUNT");
    ready = false;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&counted));
    fclose(file);
}

// Is this allocation, asked for from `caller`, the one that fails?
static bool fails(const void *caller) {
    Dl_info where;
    if (!ready || !dladdr(caller, &where) || !where.dli_fname) return false;
    const char *name = strrchr(where.dli_fname, '/') ? strrchr(where.dli_fname, '/') + 1 : where.dli_fname;
    if (strncmp(name, "libhebbes", 9) != 0 && strcmp(name, "hebbes") != 0) return false;
    if (atomic_fetch_add(&counted, 1) + 1 != fail_at) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n) {
    if (!find_next()) return from_early(n);
    return fails(__builtin_return_address(0)) ? NULL : next_malloc(n);
}

void *calloc(size_t n, size_t size) {
    if (!find_next()) return from_early(n * size);
    return fails(__builtin_return_address(0)) ? NULL : next_calloc(n, size);
}

void *realloc(void *old, size_t n) {
    if (!find_next() || is_early(old)) {
        void *memory = malloc(n);
        if (memory && old) memcpy(memory, old, n);
        return memory;
    }
    return fails(__builtin_return_address(0)) ? NULL : next_realloc(old, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    if (!find_next()) return NULL;
    return fails(__builtin_return_address(0)) ? NULL : next_aligned(alignment, n);
}

void free(void *memory) {
    static void (*next_free)(void *);
    if (is_early(memory)) return;
    if (!next_free) *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    next_free(memory);
}
