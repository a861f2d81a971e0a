// Lives that are disturbed, beside the same lives left alone (NR Figs. 3 and 4, section 4): plasticity frozen, outputs held,
// weights set to 0, other initial weights. Every number is over eval.rollouts lives of one genome, each with random weights and
// a reset of its own; disturbed and undisturbed lives draw the same.
#include "host/analysis/gnuplot.h"
#include "host/analysis/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPAN = 100,   // steps that outputs are held
    WINDOW = 101, // steps that twins are compared
    REST = 10     // steps that weights have to recover
};

// What is done to a life. Each function may be NULL.
typedef struct disturbance {
    // Called before step `step`, that is after `step` steps and their updates.
    hb_status (*before)(hb_probe_run *p, struct disturbance *d, int64_t step, hb_error *error);
    // In it, between the network and the environment.
    hb_status (*within)(hb_probe_run *p, struct disturbance *d, int64_t step, hb_error *error);
    int64_t at;     // the step that it begins with
    bool felt;      // by the update: post of the last layer is what was made of it
    float *weights; // (N)
    // zero's: (WINDOW, N) weights of the undisturbed life from step `at` on, and their number; (WINDOW) distances, and the number of pairs
    float *twin;
    int64_t twins;
    double *distance;
    int64_t *pairs;
    int64_t witness; // the first birth that outlives step `at` by REST, or -1
} disturbance;

// A kind of life, by step: sums over the lives that reached it.
typedef struct {
    const char *name;
    double *fitness; // (most)
    int64_t *living; // (most)
    double sum, squares;
} course;

static int64_t rollouts(const hb_probe_run *p) {
    return p->life->trainer.settings->eval.rollouts;
}

static hb_status live(hb_probe_run *p, int64_t birth, disturbance *d, course *c, hb_error *error) {
    hb_life *life = p->life;
    double sum = 0;
    int64_t step = 0;
    hb_status status = hb_life_begin(life, birth, error);
    for (; status == HB_OK && life->outcome == HB_ENV_RUNNING && step < p->most; step++) {
        if (d && d->before) status = d->before(p, d, step, error);
        if (status == HB_OK) status = hb_life_think(life, error);
        if (status == HB_OK && d && d->within) status = d->within(p, d, step, error);
        if (status != HB_OK) break;
        hb_life_act(life);
        sum += life->step.fitness;
        if (c->fitness) c->fitness[step] += life->step.fitness;
        if (c->living) c->living[step]++;
    }
    const hb_episode_result result = {.fitness = sum, .sum_of_squares = life->sum_of_squares};
    const double fitness = status == HB_OK ? hb_trainer_fitness(&life->trainer, &result) : 0;
    c->sum += fitness;
    c->squares += fitness * fitness;
    p->lives++;
    p->steps += step;
    if (d && d->witness < 0 && step >= d->at + REST) d->witness = birth;
    return status;
}

static double mean_of(const course *c, int64_t n) {
    return c->sum / (double)n;
}

static double sd_of(const course *c, int64_t n) {
    return sqrt(fmax(0, c->squares / (double)n - mean_of(c, n) * mean_of(c, n)));
}

static hb_status course_open(const hb_probe_run *p, const char *name, course *c, hb_error *error) {
    *c = (course){.name = name};
    c->fitness = calloc((size_t)p->most, sizeof *c->fitness);
    c->living = calloc((size_t)p->most, sizeof *c->living);
    return c->fitness && c->living ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for the course of lives");
}

static void course_close(course *c) {
    free(c->fitness);
    free(c->living);
}

static hb_status write_text(const hb_probe_run *p, const char *name, const char *text, size_t n, hb_error *error) {
    char path[HB_PATH];
    hb_probe_file(p, name, path);
    return hb_file_write(path, text, n, error);
}

// ---------------------------------------------------------------------------------------------------
// Returns: kinds of lives, each a row of NAME.csv and a point of NAME.png

typedef struct {
    char *text;
    size_t bytes;
    FILE *csv;
    const char *name, *column, *style; // of gnuplot
} returns;

static hb_status returns_open(returns *r, const char *name, const char *column, const char *style, hb_error *error) {
    *r = (returns){.name = name, .column = column, .style = style};
    r->csv = open_memstream(&r->text, &r->bytes);
    if (!r->csv) return hb_fail(error, HB_FAILED, "out of memory for returns");
    fprintf(r->csv, "%s,rollouts,mean,sd\n", column);
    return HB_OK;
}

static void returns_add(returns *r, const char *kind, const course *c, int64_t n) {
    fprintf(r->csv, "%s,%lld,%.9g,%.9g\n", kind, (long long)n, mean_of(c, n), sd_of(c, n));
}

static hb_status returns_close(const hb_probe_run *p, returns *r, const char *label, hb_status status,
                               hb_error *error) {
    char path[HB_PATH], name[64];
    if (r->csv) fclose(r->csv);
    snprintf(name, sizeof name, "%s.csv", r->name);
    if (status == HB_OK) status = write_text(p, name, r->text, r->bytes, error);
    snprintf(name, sizeof name, "%s.png", r->name);
    hb_probe_file(p, name, path);
    hb_gnuplot plot;
    if (status == HB_OK) status = hb_gnuplot_begin(&plot, path, 420, error);
    if (status == HB_OK) {
        fprintf(plot.in,
                "$data << EOD\n%sEOD\nset datafile separator ','\nset xlabel '%s'\nset ylabel 'return, mean ± sd'\n"
                "set xtics rotate by -30\nset offsets 0.5,0.5,0,0\n"
                "plot $data every ::1 using 0:3:4:xtic(1) with %s pt 7 lc rgb '#21918c' notitle",
                r->text, label, r->style);
        status = hb_gnuplot_end(&plot, error);
    }
    free(r->text);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Freeze: no update from step T on; the return against T

static hb_status keep_weights(hb_probe_run *p, disturbance *d, int64_t step, hb_error *error) {
    if (step < d->at) return HB_OK;
    if (step == d->at) {
        const hb_status status = hb_life_weights(p->life, d->weights, error);
        if (status != HB_OK) return status;
    }
    return hb_group_put_weights(p->life->group, 0, d->weights, error);
}

hb_status hb_probe_freeze(hb_probe_run *p, hb_error *error) {
    static const int64_t after[] = {0, 1, 2, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, INT64_MAX};
    const hb_net *net = &p->life->trainer.net;
    if (!net->planes)
        return hb_fail(error, HB_BAD_INPUT, "freeze: expected a network that learns, found policy.kind '%s'",
                       hb_config_value(p->life->config, "policy.kind"));
    disturbance d = {.before = keep_weights, .weights = calloc((size_t)net->n_weights, sizeof(float))};
    returns r;
    hb_status status = d.weights ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for weights");
    if (status == HB_OK) status = returns_open(&r, "freeze", "updates", "yerrorlines", error);
    if (status != HB_OK) {
        free(d.weights);
        return status;
    }
    for (size_t k = 0; k < sizeof after / sizeof *after && status == HB_OK; k++) {
        course c = {.name = NULL};
        char kind[32] = "all";
        d.at = after[k];
        if (d.at < INT64_MAX) snprintf(kind, sizeof kind, "%lld", (long long)d.at);
        for (int64_t n = 0; n < rollouts(p) && status == HB_OK; n++) status = live(p, n, &d, &c, error);
        returns_add(&r, kind, &c, rollouts(p));
    }
    free(d.weights);
    return returns_close(p, &r, "updates of the weights before they are frozen", status, error);
}

// ---------------------------------------------------------------------------------------------------
// Init: other initial weights than those that the rules were evolved with

hb_status hb_probe_init(hb_probe_run *p, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    if (!net->rule || net->init->draw == HB_DRAW_GENOME)
        return hb_fail(error, HB_BAD_INPUT, "init: expected a network whose weights are drawn at birth, found %s",
                       net->rule ? "evolved ones (policy.init)" : hb_config_value(p->life->config, "policy.kind"));
    returns r;
    hb_status status = returns_open(&r, "init", "init", "yerrorbars", error);
    if (status != HB_OK) return status;
    const char **sets = calloc((size_t)p->n_sets + 1, sizeof *sets);
    if (!sets) status = hb_fail(error, HB_FAILED, "out of memory for settings");
    hb_life *own = p->life;
    for (int32_t k = 0; k < hb_n_initialisers && status == HB_OK; k++) {
        if (hb_initialisers[k].draw == HB_DRAW_GENOME) continue;
        char set[64];
        course c = {.name = NULL};
        hb_life life;
        memcpy(sets, p->sets, (size_t)p->n_sets * sizeof *sets);
        snprintf(set, sizeof set, "eval.init=%s", hb_initialisers[k].name);
        sets[p->n_sets] = set;
        status = hb_life_open(p->source, sets, p->n_sets + 1, &(hb_life_def){p->def->individual, p->def->variation},
                              &life, error);
        p->life = &life;
        for (int64_t n = 0; status == HB_OK && n < rollouts(p); n++) status = live(p, n, NULL, &c, error);
        if (status == HB_OK) returns_add(&r, hb_initialisers[k].name, &c, rollouts(p));
        p->life = own;
        hb_life_close(&life);
    }
    free(sets);
    return returns_close(p, &r, "initial weights (policy.init)", status, error);
}

// ---------------------------------------------------------------------------------------------------
// Courses: kinds of lives by step, each a column of NAME.csv and a line of NAME.png

enum { BIN = 10 };

// Means of each BIN steps over the lives that reach them, as a block of gnuplot.
static void print_bins(FILE *out, const course *c, int64_t most) {
    for (int64_t step = 0; step + BIN <= most && c->living[step + BIN - 1] > 0; step += BIN) {
        double sum = 0;
        for (int64_t k = step; k < step + BIN; k++) sum += c->fitness[k] / (double)c->living[k];
        fprintf(out, "%lld,%.9g,%lld\n", (long long)step + BIN / 2, sum / BIN, (long long)c->living[step + BIN - 1]);
    }
}

static hb_status plot_courses(const hb_probe_run *p, const char *name, const course *c, int n, int64_t from,
                              int64_t to, hb_error *error) {
    static const char *const colours[] = {"#888888", "#21918c", "#e07b39"};
    char path[HB_PATH];
    hb_probe_file(p, name, path);
    hb_gnuplot plot;
    const hb_status status = hb_gnuplot_begin(&plot, path, 420, error);
    if (status != HB_OK) return status;
    for (int k = 0; k < n; k++) {
        fprintf(plot.in, "$c%d << EOD\n", k);
        print_bins(plot.in, &c[k], p->most);
        fprintf(plot.in, "EOD\n");
    }
    fprintf(
        plot.in,
        "set datafile separator ','\nset xlabel 'step'\nset ylabel 'fitness a step'\nset key below\n"
        "set y2label 'lives left (dotted)'\nset y2tics\nset y2range [0:%lld]\nset border 11\n"
        "set object 1 rectangle from first %lld, graph 0 to first %lld, graph 1 fc rgb '#f3e6c8' fs solid noborder "
        "behind\nplot ",
        (long long)rollouts(p), (long long)from, (long long)to);
    for (int k = 0; k < n; k++)
        fprintf(plot.in,
                "%s$c%d using 1:2 with lines lw 2 lc rgb '%s' title '%s', "
                "'' using 1:3 axes x1y2 with lines dt 3 lc rgb '%s' notitle",
                k ? ", " : "", k, colours[k], c[k].name, colours[k]);
    return hb_gnuplot_end(&plot, error);
}

static bool any_lives(const course *c, int n, int64_t step) {
    int64_t living = 0;
    for (int k = 0; k < n; k++) living += c[k].living[step];
    return living > 0;
}

// The courses side by side; `distance`, nullable, (WINDOW) from step `at` on, NAN where no pair is left.
static hb_status write_courses(const hb_probe_run *p, const char *name, const course *c, int n,
                               const double *distance, int64_t at, hb_error *error) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *csv = open_memstream(&text, &bytes);
    if (!csv) return hb_fail(error, HB_FAILED, "out of memory for the course of lives");
    fprintf(csv, "step");
    for (int k = 0; k < n; k++) fprintf(csv, ",%s,%s_living", c[k].name, c[k].name);
    fprintf(csv, "%s\n", distance ? ",weights_distance" : "");
    for (int64_t step = 0; step < p->most && any_lives(c, n, step); step++) {
        fprintf(csv, "%lld", (long long)step);
        for (int k = 0; k < n; k++) {
            const int64_t living = c[k].living[step];
            if (living > 0)
                fprintf(csv, ",%.9g,%lld", c[k].fitness[step] / (double)living, (long long)living);
            else
                fprintf(csv, ",,0");
        }
        if (distance && step >= at && step < at + WINDOW && !isnan(distance[step - at]))
            fprintf(csv, ",%.9g\n", distance[step - at]);
        else
            fprintf(csv, "%s\n", distance ? "," : "");
    }
    fclose(csv);
    const hb_status status = write_text(p, name, text, bytes, error);
    free(text);
    return status;
}

static hb_status too_short(const char *what, int64_t at, hb_error *error) {
    return hb_fail(error, HB_BAD_INPUT, "%s: no life reaches step %lld, where it is to be disturbed; choose --at",
                   what, (long long)at);
}

// ---------------------------------------------------------------------------------------------------
// Saturate: all outputs are 1 for SPAN steps

static hb_status hold_outputs(hb_probe_run *p, disturbance *d, int64_t step, hb_error *error) {
    if (step < d->at || step >= d->at + SPAN) return HB_OK;
    for (int32_t k = 0; k < p->life->trainer.world.shape.action_size; k++) p->life->output[k] = 1.0f;
    if (!d->felt) return HB_OK;
    return hb_group_put_output(p->life->group, 0, p->life->output, error);
}

hb_status hb_probe_saturate(hb_probe_run *p, hb_error *error) {
    enum { UNDISTURBED, SATURATED, ACTION_ONLY, KINDS };
    const int64_t at = p->at;
    disturbance d = {.within = hold_outputs, .at = at};
    course c[KINDS] = {{.name = NULL}};
    static const char *const names[KINDS] = {"undisturbed", "saturated", "action_only"};
    hb_status status = HB_OK;
    for (int k = 0; k < KINDS && status == HB_OK; k++) {
        status = course_open(p, names[k], &c[k], error);
        d.felt = k == SATURATED;
        for (int64_t n = 0; n < rollouts(p) && status == HB_OK; n++)
            status = live(p, n, k == UNDISTURBED ? NULL : &d, &c[k], error);
    }
    if (status == HB_OK && c[UNDISTURBED].living[at] == 0) status = too_short("saturate", at, error);
    if (status == HB_OK) status = write_courses(p, "saturate.csv", c, KINDS, NULL, 0, error);
    if (status == HB_OK) status = plot_courses(p, "saturate.png", c, KINDS, at, at + SPAN, error);
    for (int k = 0; k < KINDS; k++) course_close(&c[k]);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Zero: the middle third of every layer's outputs lose their weights at one step

static hb_status watch_twin(hb_probe_run *p, disturbance *d, int64_t step, hb_error *error) {
    if (step < d->at || step >= d->at + WINDOW) return HB_OK;
    const size_t n = (size_t)p->life->trainer.net.n_weights;
    return hb_life_weights(p->life, d->twin + (size_t)(d->twins++) * n, error);
}

static void zero_band(const hb_net *net, float *weights) {
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        const int32_t third = (layer->outputs + 2) / 3, first = (layer->outputs - third) / 2;
        float *w = weights + layer->weight_offset;
        for (int32_t i = 0; i < layer->inputs; i++, w += layer->outputs)
            memset(w + first, 0, (size_t)third * sizeof *w);
    }
}

// ||w - twin|| / ||twin||
static double relative_distance(const float *w, const float *twin, size_t n) {
    double difference = 0, size = 0;
    for (size_t e = 0; e < n; e++) {
        difference += ((double)w[e] - (double)twin[e]) * ((double)w[e] - (double)twin[e]);
        size += (double)twin[e] * (double)twin[e];
    }
    return difference > 0 ? sqrt(difference / size) : difference;
}

static hb_status zero_weights(hb_probe_run *p, disturbance *d, int64_t step, hb_error *error) {
    if (step < d->at || step >= d->at + WINDOW) return HB_OK;
    const hb_net *net = &p->life->trainer.net;
    const size_t n = (size_t)net->n_weights;
    hb_status status = hb_life_weights(p->life, d->weights, error);
    if (status != HB_OK) return status;
    if (step == d->at) {
        zero_band(net, d->weights);
        status = hb_group_put_weights(p->life->group, 0, d->weights, error);
    }
    const int64_t k = step - d->at;
    if (k >= d->twins) return status;
    d->distance[k] += relative_distance(d->weights, d->twin + (size_t)k * n, n);
    d->pairs[k]++;
    return status;
}

// A life's weights before, at and REST steps after, as images: the first that lives so long.
static hb_status zero_images(hb_probe_run *p, disturbance *d, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    const size_t n = (size_t)net->n_weights;
    float *moment = calloc(3 * n, sizeof *moment);
    if (!moment) return hb_fail(error, HB_FAILED, "out of memory for images of weights");
    hb_status status = hb_life_begin(p->life, d->witness, error);
    for (int64_t step = 0; step <= d->at + REST && status == HB_OK; step++) {
        if (step == d->at) {
            status = hb_life_weights(p->life, moment, error);
            memcpy(moment + n, moment, n * sizeof *moment);
            zero_band(net, moment + n);
            if (status == HB_OK) status = hb_group_put_weights(p->life->group, 0, moment + n, error);
        }
        if (step == d->at + REST && status == HB_OK) status = hb_life_weights(p->life, moment + 2 * n, error);
        if (status == HB_OK && step < d->at + REST) status = hb_life_step(p->life, error);
    }
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++) status = hb_probe_layer(p, l, moment, 3, error);
    free(moment);
    return status;
}

// Lives in pairs: alone, then disturbed.
static hb_status zero_lives(hb_probe_run *p, disturbance *d, course *alone, course *disturbed, hb_error *error) {
    hb_status status = HB_OK;
    disturbance watching = {.before = watch_twin, .at = d->at, .twin = d->twin};
    for (int64_t n = 0; n < rollouts(p) && status == HB_OK; n++) {
        watching.twins = 0;
        status = live(p, n, &watching, alone, error);
        d->twins = watching.twins;
        if (status == HB_OK) status = live(p, n, d, disturbed, error);
    }
    for (int k = 0; k < WINDOW; k++) d->distance[k] /= (double)d->pairs[k]; // NAN of none
    if (status == HB_OK && alone->living[d->at] == 0) status = too_short("zero", d->at, error);
    return status;
}

hb_status hb_probe_zero(hb_probe_run *p, hb_error *error) {
    const size_t n = (size_t)p->life->trainer.net.n_weights;
    disturbance d = {.before = zero_weights,
                     .witness = -1,
                     .at = p->at,
                     .weights = calloc(n, sizeof(float)),
                     .twin = calloc(WINDOW * n, sizeof(float)),
                     .distance = calloc(WINDOW, sizeof(double)),
                     .pairs = calloc(WINDOW, sizeof(int64_t))};
    course c[2] = {{.name = NULL}};
    hb_status status = d.weights && d.twin && d.distance && d.pairs
                           ? HB_OK
                           : hb_fail(error, HB_FAILED, "out of memory for twins' weights");
    if (status == HB_OK) status = course_open(p, "undisturbed", &c[0], error);
    if (status == HB_OK) status = course_open(p, "zeroed", &c[1], error);
    if (status == HB_OK) status = zero_lives(p, &d, &c[0], &c[1], error);
    if (status == HB_OK) status = write_courses(p, "zero.csv", c, 2, d.distance, d.at, error);
    if (status == HB_OK) status = plot_courses(p, "zero.png", c, 2, d.at, d.at + 2, error);
    if (status == HB_OK && d.witness >= 0) status = zero_images(p, &d, error);
    for (int k = 0; k < 2; k++) course_close(&c[k]);
    free(d.weights);
    free(d.twin);
    free(d.distance);
    free(d.pairs);
    return status;
}
