#include "host/cli/cli.h"

#include <math.h>
#include <signal.h>
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
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (generation > 0)
        printf("resuming %s after %lld generations\n", folder, (long long)generation);
    else
        printf("training into %s\n", folder);
    fflush(stdout);
}

static void on_progress(void *context, const hb_progress *p) {
    hb_screen *s = context;
    // Lives get longer as individuals improve, so recent generations predict the rest better than the average.
    s->generation_seconds = s->generation_seconds > 0 ? 0.7 * s->generation_seconds + 0.3 * p->seconds : p->seconds;
    char left[32];
    hb_format_time(s->generation_seconds * (double)(p->generations - p->generation), left);
    printf("%sgeneration %4lld/%lld  mean %8.2f  max %8.2f  best mean %8.2f  %6.0f steps/s  physics %2.0f%% policy "
           "%2.0f%% "
           "update %2.0f%%  left %s%s",
           s->live ? "\r\033[K" : "", (long long)p->generation, (long long)p->generations, p->mean, p->max,
           p->best_mean, p->steps_per_second, 100 * p->physics_share, 100 * p->policy_share, 100 * p->update_share,
           left, s->live ? "" : "\n");
    if (s->live && p->generation == p->generations) putchar('\n');
    fflush(stdout);
}

static void on_note(void *context, const char *line) {
    const hb_screen *s = context;
    fprintf(stderr, "%shebbes: %s\n", s->live ? "\n" : "", line);
}

hb_hooks hb_screen_hooks(hb_screen *screen) {
    *screen = (hb_screen){.live = isatty(STDOUT_FILENO)};
    return (hb_hooks){on_started, on_progress, on_note, screen, hb_stop_on_signals()};
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

const hb_stop *hb_stop_on_signals(void) {
    if (stop) return stop;
    stop = hb_stop_create();
    if (!stop) return NULL;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); // a reader that has left must not end the training
    signal(SIGXFSZ, SIG_IGN); // an exceeded quota is a write error
    return stop;
}
