// What joins the ranks of a training: a table of functions that a shared object exports, so that the program itself links no MPI.
// host/ranks/mpi.c is one; it is compiled with the MPI of the place where it runs.
#ifndef HB_LINK_H
#define HB_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HB_LINK_ABI 2

// Where this process stands.
typedef struct {
    int32_t rank, size; // rank 0 writes the run
} hb_seat;

enum { HB_LINK_PATIENCE = 3 }; // s, after a stop

// Collective functions are called by every rank in the same order. One thread at a time calls any of them. A failure of the network or of
// a peer ends the process: a generation is seconds, and the run can be resumed.
typedef struct {
    int32_t abi; // HB_LINK_ABI
    const char *name;
    // Joins; returns 0, or -1 and a line.
    int (*join)(hb_seat *seat, char *message, size_t size);
    void (*leave)(void); // collective
    // Adds n to the counter that all ranks share and returns what it was; waits for no rank but the one that counts, 0. INT64_MAX where *stop
    // (nullable) has been true for `patience` seconds and it does not answer.
    int64_t (*take)(int64_t n, const atomic_bool *stop, double patience);
    // Collective: the counter is 0. Returns as combine does.
    int (*restart)(const atomic_bool *stop, double patience);
    // Collective: words become the bitwise OR of every rank's. Returns 0; or -1 where *stop (nullable) has been true for `patience` seconds and
    // another rank has not come (rank 0), or rank 0 does not answer (the others): one may be gone. Then words must stay where they are, since
    // the exchange is still under way, and the link is good for nothing but end_all.
    int (*combine)(uint64_t *words, size_t n, const atomic_bool *stop, double patience);
    // Collective: words become the sums of every rank's, modulo 2^64. Returns as combine does.
    int (*add)(int64_t *words, size_t n, const atomic_bool *stop, double patience);
    // Collective: bytes become those of rank 0.
    void (*share)(void *data, size_t bytes);
    void (*end_all)(int code); // ends every rank with this exit code; does not return
} hb_link;

// The one function that the object exports.
typedef const hb_link *hb_link_export_function(void);
#define HB_LINK_EXPORT "hb_link_export"

#endif
