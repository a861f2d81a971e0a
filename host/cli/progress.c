#include "host/cli/cli.h"

#include <math.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Training's lines

void hb_format_time(double seconds, char out[32]) {
    const int s = seconds < 3.6e6 ? (int)lround(seconds) : 3600 * 1000;
    if (s >= 3600)
        snprintf(out, 32, "%dh%02dm", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%dm%02ds", s / 60, s % 60);
}

static void on_started(void *context, const char *folder, int64_t generation) {
    hb_screen *s = context;
    char by[64] = "";
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (s->ranks) snprintf(by, sizeof by, " by %d ranks", hb_ranks_size(s->ranks));
    if (generation > 0)
        printf("resuming %s after %lld generations%s\n", folder, (long long)generation, by);
    else
        printf("training into %s%s\n", folder, by);
    fflush(stdout);
}

// Terminals are as wide as they say, or 80 columns.
static int terminal_columns(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// On a terminal the line is cut to its width, so that it can be rewritten, and every tenth of the run, at least every 100 generations,
// one stays.
static void show_line(const hb_screen *s, const hb_progress *p, const char *line) {
    const int64_t tenth = p->generations / 10 > 0 ? p->generations / 10 : 1;
    const bool stays = p->generation == p->generations || p->generation % (tenth < 100 ? tenth : 100) == 0;
    if (s->live)
        printf("\r\033[K%.*s%s", terminal_columns() - 1, line, stays ? "\n" : "");
    else
        printf("%s\n", line);
    fflush(stdout);
}

static void on_progress(void *context, const hb_progress *p) {
    hb_screen *s = context;
    // Lives get longer as individuals improve, so recent generations predict the rest better than the average.
    s->generation_seconds = s->generation_seconds > 0 ? 0.7 * s->generation_seconds + 0.3 * p->seconds : p->seconds;
    char left[32], line[256], lost[48] = "";
    hb_format_time(s->generation_seconds * (double)(p->generations - p->generation), left);
    if (p->diverged > 0)
        snprintf(lost, sizeof lost, "  %lld of %lld lives diverged", (long long)p->diverged, (long long)p->lives);
    // What matters most stands first: a narrow terminal shows that much.
    snprintf(line, sizeof line,
             "generation %4lld/%lld  mean %8.2f  best %8.2f  left %s  max %8.2f  %6.0f steps/s%s  physics %2.0f%% "
             "policy %2.0f%% update %2.0f%%",
             (long long)p->generation, (long long)p->generations, p->mean, p->best_mean, left, p->max,
             p->steps_per_second, lost, 100 * p->physics_share, 100 * p->policy_share, 100 * p->update_share);
    show_line(s, p, line);
}

static void on_note(void *context, const char *line) {
    const hb_screen *s = context;
    char who[128] = "";
    const int rank = hb_ranks_number(s->ranks);
    if (rank > 0) snprintf(who, sizeof who, "rank %d on %s: ", rank, hb_ranks_host(s->ranks, rank));
    fprintf(stderr, "%shebbes: %s%s\n", s->live ? "\n" : "", who, line);
}

hb_hooks hb_screen_hooks(hb_screen *screen, hb_ranks *ranks) {
    *screen = (hb_screen){.live = isatty(STDOUT_FILENO), .ranks = ranks};
    return (hb_hooks){on_started, on_progress, on_note, screen, hb_stop_on_signals(), ranks};
}

hb_status hb_screen_finish(const hb_screen *s, const char *program, hb_status status) {
    if (s->live && status != HB_OK) putchar('\n');
    if (status != HB_OK) return status;
    printf("done: %s\n"
           "next: %s eval %s                 what it learned: 100 rollouts per variation\n"
           "      %s trace %s --out life.h5  one life, every weight of every step\n"
           "      %s resume %s --set run.generations=N  train on\n",
           s->folder, program, s->folder, program, s->folder, program, s->folder);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Signals

static hb_stop *stop; // a signal handler reaches nothing else

// Tools such as timeout(1) signal a process and its group, so the second signal may be the first one's echo.
static void on_signal(int number) {
    static volatile sig_atomic_t signals;
    hb_stop_request(stop);
    if (++signals >= 3) _exit(128 + number);
}

// What was ignored when the program began stays ignored: nohup means it.
static void catch_signal(int number, void (*handler)(int)) {
    struct sigaction before, action = {.sa_handler = handler};
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return;
    sigaction(number, &action, NULL);
}

const hb_stop *hb_stop_on_signals(void) {
    // SIGUSR1, SIGUSR2, SIGXCPU: what batch systems send before they end a job.
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};
    if (stop) return stop;
    stop = hb_stop_create();
    if (!stop) return NULL;
    for (size_t k = 0; k < sizeof stops / sizeof *stops; k++) catch_signal(stops[k], on_signal);
    catch_signal(SIGPIPE, SIG_IGN); // a reader that has left must not end the training
    catch_signal(SIGXFSZ, SIG_IGN); // an exceeded quota is a write error
    return stop;
}
