// The link by MPI: libhebbes_mpi.so. It is the one file that includes mpi.h; docs/clusters.md says how to build it with a site's MPI.
//
// The shared counter is served by a thread of rank 0 that answers messages, not by MPI_Fetch_and_op: a one-sided access waits, on
// networks without hardware for it, until rank 0 calls MPI by chance, which may be seconds.
#include "host/ranks/link.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ASK = 1, ANSWER = 2, MOST = 1 << 27 }; // tags; words of one call

static MPI_Comm all, counting; // the collectives; the counter's messages
static int rank_, size_;
static atomic_llong counter; // rank 0's
static atomic_bool leaving;
static pthread_t server;

// Says who found it: MPI's own lines name no host.
static void fail(MPI_Comm *comm, int *code, ...) {
    (void)comm;
    char text[MPI_MAX_ERROR_STRING] = "", host[256] = "";
    int n = 0;
    MPI_Error_string(*code, text, &n);
    gethostname(host, sizeof host - 1);
    fprintf(stderr, "hebbes: rank %d on %s: MPI: %s; another rank may be gone; resume the run\n", rank_, host, text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void *serve(void *nothing) {
    (void)nothing;
    while (!atomic_load(&leaving)) {
        int there = 0;
        MPI_Status from;
        MPI_Iprobe(MPI_ANY_SOURCE, ASK, counting, &there, &from);
        if (!there) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); // more often, it would be felt: 0.1 ms costs 8 %
            continue;
        }
        long long n;
        MPI_Recv(&n, 1, MPI_LONG_LONG, from.MPI_SOURCE, ASK, counting, MPI_STATUS_IGNORE);
        n = atomic_fetch_add(&counter, n);
        MPI_Send(&n, 1, MPI_LONG_LONG, from.MPI_SOURCE, ANSWER, counting);
    }
    return NULL;
}

static int join(hb_seat *seat, char *message, size_t size) {
    int given = 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &given) != MPI_SUCCESS)
        return snprintf(message, size, "MPI_Init_thread failed"), -1;
    if (given < MPI_THREAD_MULTIPLE) return snprintf(message, size, "this MPI has no MPI_THREAD_MULTIPLE"), -1;
    MPI_Errhandler handler;
    MPI_Comm_create_errhandler(fail, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
    MPI_Comm_dup(MPI_COMM_WORLD, &all);
    MPI_Comm_dup(MPI_COMM_WORLD, &counting);
    MPI_Comm_set_errhandler(all, handler);
    MPI_Comm_set_errhandler(counting, handler);
    MPI_Comm_rank(all, &rank_);
    MPI_Comm_size(all, &size_);
    *seat = (hb_seat){rank_, size_};
    if (rank_ == 0 && size_ > 1 && pthread_create(&server, NULL, serve, NULL) != 0)
        return snprintf(message, size, "the counter's thread cannot be started"), -1;
    return 0;
}

static void leave(void) {
    MPI_Barrier(all);
    atomic_store(&leaving, true);
    if (rank_ == 0 && size_ > 1) pthread_join(server, NULL);
    MPI_Finalize();
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void doze(void) {
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

// A rank that waits long says so, once: the one that says nothing is stopped, unplugged, or works.
static void tell_slow(double since) {
    enum { SLOW = 60 };                             // s
    const char *given = getenv("HB_LINK_SLOW");     // tests
    const double slow = given ? atof(given) : SLOW; // s
    static bool told;
    char host[256] = "";
    if (told || now() - since < slow) return;
    told = true;
    gethostname(host, sizeof host - 1);
    fprintf(stderr,
            "hebbes: rank %d on %s has waited %.0f s for another rank; one that does not say so may be gone\n", rank_,
            host, slow);
}

// Requests here are waited for by MPI_Test, which the static checker does not follow.
// NOLINTBEGIN(clang-analyzer-optin.mpi.MPI-Checker)

// A question to the counter, and its answer. Nothing blocks here: a send to a rank that is gone may never be done.
static long long question;
static MPI_Request asking = MPI_REQUEST_NULL;
static bool gone; // rank 0 did not answer after a stop

static void ask(int64_t n) {
    question = n;
    MPI_Isend(&question, 1, MPI_LONG_LONG, 0, ASK, counting, &asking);
}

// True once the answer is there, in *word.
static bool is_answered(long long *word) {
    int sent = 0, there = 0;
    MPI_Test(&asking, &sent, MPI_STATUS_IGNORE);
    if (sent) MPI_Iprobe(0, ANSWER, counting, &there, MPI_STATUS_IGNORE);
    if (there) MPI_Recv(word, 1, MPI_LONG_LONG, 0, ANSWER, counting, MPI_STATUS_IGNORE);
    return there;
}

static int64_t take(int64_t n, const atomic_bool *stop, double patience) {
    if (rank_ == 0) return atomic_fetch_add(&counter, n);
    long long word = INT64_MAX;
    double stopped = 0;
    if (gone) return word;
    const double begun = now();
    ask(n);
    while (!is_answered(&word)) {
        tell_slow(begun);
        if (stop && atomic_load(stop)) {
            if (stopped == 0) stopped = now();
            gone = now() - stopped > patience;
            if (gone) return INT64_MAX;
        }
        doze();
    }
    return word;
}

// Sleeps between looks: a rank that waits leaves its core to the others' lives. After a stop rank 0 gives up in time to save. The others ask
// rank 0 once a second, whose server answers also while it saves, and give up when it does not.
static int wait_for(MPI_Request *request, const atomic_bool *stop, double patience) {
    double heard = 0, asked = 0; // asked: when the open question was put, or 0
    long long word;
    const double begun = now();
    for (int done = 0;;) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done) break;
        tell_slow(begun);
        if (stop && atomic_load(stop)) {
            if (heard == 0) heard = now();
            if (rank_ > 0 && asked == 0 && now() - heard > 1) ask(0), asked = now();
            if (asked > 0 && is_answered(&word)) asked = 0, heard = now();
            if (gone || now() - heard > patience) return -1;
        }
        doze();
    }
    for (const double since = now(); asked > 0 && !gone && !is_answered(&word); doze())
        gone = now() - since > patience;
    return 0;
}

static int combine(uint64_t *words, size_t n, const atomic_bool *stop, double patience) {
    for (size_t at = 0; at < n; at += MOST) {
        const int count = (int)(n - at < MOST ? n - at : MOST);
        MPI_Request request;
        MPI_Iallreduce(MPI_IN_PLACE, words + at, count, MPI_UINT64_T, MPI_BOR, all, &request);
        if (wait_for(&request, stop, patience) != 0) return -1;
    }
    return 0;
}

static int barrier(const atomic_bool *stop, double patience) {
    MPI_Request request;
    MPI_Ibarrier(all, &request);
    return wait_for(&request, stop, patience);
}

static int restart(const atomic_bool *stop, double patience) {
    if (barrier(stop, patience) != 0) return -1;
    if (rank_ == 0) atomic_store(&counter, 0);
    return barrier(stop, patience);
}

static void share(void *data, size_t bytes) {
    for (size_t at = 0; at < bytes; at += MOST) {
        MPI_Request request;
        MPI_Ibcast((char *)data + at, (int)(bytes - at < MOST ? bytes - at : MOST), MPI_BYTE, 0, all, &request);
        wait_for(&request, NULL, 0);
    }
}

static int add(int64_t *words, size_t n, const atomic_bool *stop, double patience) {
    for (size_t at = 0; at < n; at += MOST) {
        MPI_Request request;
        MPI_Iallreduce(MPI_IN_PLACE, words + at, (int)(n - at < MOST ? n - at : MOST), MPI_INT64_T, MPI_SUM, all,
                       &request);
        if (wait_for(&request, stop, patience) != 0) return -1;
    }
    return 0;
}
// NOLINTEND(clang-analyzer-optin.mpi.MPI-Checker)

static void end_all(int code) {
    MPI_Abort(MPI_COMM_WORLD, code);
    _Exit(code);
}

const hb_link *hb_link_export(void);
__attribute__((visibility("default"))) const hb_link *hb_link_export(void) {
    static const hb_link link = {.abi = HB_LINK_ABI,
                                 .name = "mpi",
                                 .join = join,
                                 .leave = leave,
                                 .take = take,
                                 .restart = restart,
                                 .combine = combine,
                                 .add = add,
                                 .share = share,
                                 .end_all = end_all};
    return &link;
}
