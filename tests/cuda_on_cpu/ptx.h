// An interpreter of the PTX that nvcc makes of our kernels: one grid at a time, one thread after the other between
// barriers, every memory access checked. What it does not know stops the run; nothing passes by being skipped.
#ifndef HB_PTX_H
#define HB_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ptx_module ptx_module;
typedef struct ptx_kernel ptx_kernel;

// Reads a module from its text. Ends the process with a line on an instruction it does not know.
ptx_module *ptx_parse(const char *text);
// The kernel of that (mangled) name, or NULL.
ptx_kernel *ptx_find(ptx_module *module, const char *name);

// Runs a grid of `blocks` blocks of `threads` threads (x dimensions only). arguments[k] points to parameter k.
void ptx_run(ptx_kernel *kernel, uint32_t blocks, uint32_t threads, size_t dynamic_shared, void **arguments);

// Copies a kernel's arguments, one block of memory per parameter, which the caller frees.
void ptx_copy_arguments(const ptx_kernel *kernel, void **arguments, void **copies);

// In which order threads of a block, and blocks of a grid, take their turns: 0 forward, 1 reverse, else shuffled by
// that seed. Correct kernels do not notice.
extern unsigned ptx_order;

// What has gone wrong so far: the number of faults (races, accesses outside memory, barriers not met by all), and the
// first one in words with its line of the .cu file. Kernels run on after a fault where they can.
extern unsigned ptx_faults;
extern char ptx_first_fault[512];

// Global memory as kernels may touch it.
void ptx_memory_add(void *memory, size_t bytes);
void ptx_memory_remove(void *memory);
// Does one allocation hold all of these bytes?
bool ptx_memory_has(const void *memory, size_t bytes);

// Counts since ptx_counters was last set to zero: bytes and sectors of global memory that kernels asked for, and
// instructions of all threads.
typedef struct {
    uint64_t bytes_loaded, bytes_stored, instructions;
    uint64_t sectors; // of 32 bytes, touched per request of a warp; where ptx_count_sectors is set
} ptx_counts;
extern ptx_counts ptx_counters;
extern bool ptx_count_sectors;

#endif
