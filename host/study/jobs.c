// Runs of a study at the same time, each in a child process, because HDF5 serves one thread at a time. A child sends lines, rows and
// its end through a pipe.
#include "host/study/study.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_JOBS = 256 };

// Small enough to be written to a pipe in one piece.
typedef struct {
    enum { LINE, ROW, END } what;
    hb_status status; // END
    hb_study_row row; // ROW
    char text[1024];  // LINE; END: why
} message;

_Static_assert(sizeof(message) <= PIPE_BUF, "a message is written whole");

// ---------------------------------------------------------------------------------------------------
// In the child

typedef struct {
    hb_study_runs *study;
    int pipe;
} teller;

static bool tell(const teller *t, const message *m) {
    for (;;) {
        const ssize_t n = write(t->pipe, m, sizeof *m);
        if (n == (ssize_t)sizeof *m) return true;
        if (n >= 0 || errno != EINTR) return false;
    }
}

static void tell_line(void *context, const char *line) {
    message m = {.what = LINE};
    snprintf(m.text, sizeof m.text, "%s", line);
    tell(context, &m);
}

static void tell_row(void *context, int k) {
    const teller *t = context;
    tell(t, &(message){.what = ROW, .row = t->study->row[k]});
}

typedef hb_status live_function(hb_study_runs *study, int k, hb_error *error);

static __attribute__((noreturn)) void run_child(hb_study_runs *study, int k, live_function *live, int pipe,
                                                pid_t parent) {
    setpgid(0, 0);                    // the study alone receives a terminal's signals and passes them on
    prctl(PR_SET_PDEATHSIG, SIGTERM); // end with the study
    if (getppid() != parent) _exit(1);
    static teller t; // one per process
    t = (teller){study, pipe};
    study->say = tell_line;
    study->progress = tell_row;
    study->context = &t;
    hb_error why = {""};
    message m = {.what = END};
    m.status = live(study, k, &why);
    snprintf(m.text, sizeof m.text, "%s", why.message);
    _exit(tell(&t, &m) ? 0 : 1);
}

// ---------------------------------------------------------------------------------------------------
// In the study

typedef struct {
    pid_t pid; // 0: none
    int k;     // the run
    int pipe;
    bool told; // to stop; only once, because a third signal would end it at once
} child;

typedef struct {
    hb_study_runs *study;
    live_function *live;
    int jobs; // places
    child child[MAX_JOBS];
    char said[1024];  // of the last line, without the run's name
    hb_status status; // the first failure's
    hb_error *error;
} work;

static hb_status start_child(work *w, int k, child *c, hb_error *error) {
    int ends[2];
    const pid_t parent = getpid();
    if (pipe(ends) != 0) return hb_fail(error, HB_FAILED, "no pipe for a run: %m");
    fflush(stdout);
    *c = (child){.pid = fork(), .k = k, .pipe = ends[0]};
    if (c->pid == 0) {
        close(ends[0]);
        run_child(w->study, k, w->live, ends[1], parent);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    if (c->pid > 0) return HB_OK;
    c->pid = 0;
    close(ends[0]);
    return hb_fail(error, HB_FAILED, "no process for a run: %m");
}

// Records the study's first failure; every failure is printed, and the other runs continue.
static void record(work *w, int k, hb_status ended, const char *why) {
    if (ended == HB_OK) return;
    char line[1200];
    snprintf(line, sizeof line, "failed: %s", why);
    if (ended != HB_INTERRUPTED) {
        w->study->say(w->study->context, line);
        hb_study_set_state(w->study, k, HB_STUDY_FAILED);
    }
    if (w->status != HB_OK) return;
    w->status = hb_fail(w->error, ended, "%s", why);
}

// Prints a child's message, unless the previous message from another run was identical.
static void pass_on(work *w, const char *line) {
    const char *colon = strstr(line, ": "), *what = colon ? colon : line;
    if (strcmp(w->said, what) == 0) return;
    snprintf(w->said, sizeof w->said, "%s", what);
    w->study->say(w->study->context, line);
}

// Reads a child's messages; true when it has ended.
static bool read_messages(work *w, child *c) {
    hb_study_runs *study = w->study;
    message m;
    for (;;) {
        const ssize_t n = read(c->pipe, &m, sizeof m);
        if (n < 0) return false; // no message now
        if (n != (ssize_t)sizeof m) {
            snprintf(m.text, sizeof m.text, "%s: the run's process died", study->run[c->k].name);
            record(w, c->k, HB_FAILED, m.text);
            return true;
        }
        if (m.what == LINE) pass_on(w, m.text);
        if (m.what == ROW) {
            m.row.name = study->row[c->k].name;
            study->row[c->k] = m.row;
            study->progress(study->context, c->k);
        }
        if (m.what == END) {
            record(w, c->k, m.status, m.text);
            return true;
        }
    }
}

static int count_children(const work *w) {
    int n = 0;
    for (int k = 0; k < w->jobs; k++) n += w->child[k].pid > 0;
    return n;
}

// Waits until fewer than `most` children run; passes a stop on to all.
static void wait_for_fewer(work *w, int most) {
    for (; count_children(w) >= most; usleep(20000))
        for (int k = 0; k < w->jobs; k++) {
            child *c = &w->child[k];
            if (c->pid == 0) continue;
            if (hb_study_stopped(w->study) && !c->told) c->told = kill(c->pid, SIGTERM) == 0;
            if (!read_messages(w, c)) continue;
            close(c->pipe);
            while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
            }
            c->pid = 0;
        }
}

hb_status hb_study_work(hb_study_runs *study, live_function *live, hb_error *error) {
    work *w = calloc(1, sizeof *w);
    if (!w) return hb_fail(error, HB_FAILED, "out of memory for a study's processes");
    *w =
        (work){.study = study, .live = live, .jobs = study->jobs < MAX_JOBS ? study->jobs : MAX_JOBS, .error = error};
    for (int k = study->def->task; k < study->n_runs; k += study->def->tasks) {
        wait_for_fewer(w, w->jobs);
        if (hb_study_stopped(study)) break;
        int place = 0;
        while (w->child[place].pid) place++;
        hb_error why = {""};
        record(w, k, start_child(w, k, &w->child[place], &why), why.message);
    }
    wait_for_fewer(w, 1);
    const hb_status status = w->status;
    free(w);
    return status;
}
