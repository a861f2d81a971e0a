// One life as HDF5, complete enough to be replayed in NumPy (tests/host/test_replay.py does).
#include "host/analysis/life.h"
#include "host/base/files.h"
#include "host/base/hdf5.h"
#include "host/base/locale.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    hb_life *life;
    const hb_trace_def *def;
    hid_t file;
    int64_t steps; // recorded
    int32_t n_state;
    // (T, size) each; weights of layer l are (T + 1, I, O)
    float *observation;     // (T, words)
    float *output, *action; // the network's, and what the environment was given for it
    uint8_t *picture;       // (T, 96, 96, 3), where the environment draws
    double *fitness, *reward, *state;
    float *weights[HB_MAX_LAYERS];
} trace;

// ---------------------------------------------------------------------------------------------------
// Living

static int32_t state_length(const hb_world *world) {
    int32_t n = 0;
    for (const hb_env_field *f = world->fields; f && f->name; f++) n += f->length;
    return n;
}

static size_t layer_size(const hb_layer *layer) {
    return (size_t)layer->inputs * (size_t)layer->outputs;
}

// A larger picture stands beside what is seen, where pictures are seen.
static bool draws(const hb_world *world) {
    return world->env->picture && world->shape.picture[0] > 0;
}

enum { PICTURE = 96, PICTURE_BYTES = PICTURE * PICTURE * 3 };

static hb_status allocate(trace *t, hb_error *error) {
    const hb_net *net = &t->life->trainer.net;
    const size_t steps = (size_t)t->def->steps;
    const hb_world *world = &t->life->trainer.world;
    const size_t actions = (size_t)world->shape.action_size;
    t->n_state = state_length(&t->life->trainer.world);
    t->observation = calloc(steps, hb_net_observation_words(net) * sizeof(float));
    t->output = calloc(steps, actions * sizeof(float));
    t->action = calloc(steps, actions * sizeof(float));
    t->picture = calloc(draws(world) ? steps : 1, PICTURE_BYTES);
    t->fitness = calloc(steps, sizeof(double));
    t->reward = calloc(steps, sizeof(double));
    t->state = calloc(steps, (size_t)(t->n_state + 1) * sizeof(double));
    bool ok = t->observation && t->output && t->action && t->picture && t->fitness && t->reward && t->state;
    for (int32_t l = 0; l < net->n_layers; l++) {
        t->weights[l] = calloc(steps + 1, layer_size(&net->layer[l]) * sizeof(float));
        ok = ok && t->weights[l];
    }
    return ok ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for a trace of %zu steps; lower --steps", steps);
}

static hb_status record_weights(trace *t, int64_t step, hb_error *error) {
    const hb_net *net = &t->life->trainer.net;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++)
        status =
            hb_group_weights(t->life->group, 0, l, t->weights[l] + (size_t)step * layer_size(&net->layer[l]), error);
    return status;
}

static hb_status record_step(trace *t, hb_error *error) {
    hb_life *life = t->life;
    const hb_env_table *env = life->config->env;
    const size_t k = (size_t)t->steps, words = hb_net_observation_words(&life->trainer.net);
    const size_t actions = (size_t)life->trainer.world.shape.action_size;
    memcpy(t->observation + k * words, life->observation, words * sizeof *t->observation);
    if (env->snapshot) env->snapshot(life->body, t->state + k * (size_t)t->n_state);
    char message[512];
    if (draws(&life->trainer.world) &&
        env->picture(life->body, PICTURE, PICTURE, 1, t->picture + k * PICTURE_BYTES, message, sizeof message) != 0)
        return hb_fail(error, HB_FAILED, "environment '%s': %s", env->name, message);
    const hb_status status = hb_life_step(life, error);
    if (status != HB_OK) return status;
    memcpy(t->output + k * actions, life->output, actions * sizeof *t->output);
    memcpy(t->action + k * actions, life->action, actions * sizeof *t->action);
    t->fitness[k] = life->step.fitness;
    t->reward[k] = life->step.reward;
    t->steps++;
    return record_weights(t, t->steps, error);
}

static hb_status live(trace *t, hb_error *error) {
    hb_status status = hb_life_begin(t->life, 0, error);
    if (status == HB_OK) status = record_weights(t, 0, error);
    while (status == HB_OK && t->life->outcome == HB_ENV_RUNNING && t->steps < t->def->steps)
        status = record_step(t, error);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Writing

static bool put_number(hid_t place, const char *name, int64_t value) {
    return hb_hdf_put(place, name, H5T_NATIVE_INT64, &value);
}

// The names of a rule's coefficients, in order, separated by blanks.
static void coefficient_names(const hb_rule *rule, char out[HB_TEXT]) {
    size_t n = 0;
    out[0] = '\0';
    for (int32_t c = 0; c < rule->n_coefficients; c++)
        n += (size_t)snprintf(out + n, HB_TEXT - n, "%s%s", c ? " " : "", rule->coefficients[c]);
}

static bool put_layer(trace *t, int32_t l, const float *genome) {
    const hb_net *net = &t->life->trainer.net;
    const hb_layer *layer = &net->layer[l];
    char name[32];
    snprintf(name, sizeof name, "layer%d", l + 1);
    const hid_t group = H5Gcreate2(t->file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t inputs = (hsize_t)layer->inputs, outputs = (hsize_t)layer->outputs;
    const hsize_t weights[] = {(hsize_t)t->steps + 1, inputs, outputs};
    bool ok = hb_hdf_put_array(group, "w", H5T_NATIVE_FLOAT, 3, weights, t->weights[l]) &&
              hb_hdf_put_text(group, "activation", hb_life_activation(layer));
    if (ok && net->rule) {
        const hsize_t coefficients[] = {inputs, outputs, (hsize_t)net->rule->n_coefficients};
        char names[HB_TEXT];
        coefficient_names(net->rule, names);
        ok =
            hb_hdf_put_array(group, "coefficients", H5T_NATIVE_FLOAT, 3, coefficients, genome + layer->genome_offset);
        const hid_t set = H5Dopen2(group, "coefficients", H5P_DEFAULT);
        ok = ok && hb_hdf_put_text(set, "names", names);
        H5Dclose(set);
    }
    H5Gclose(group);
    return ok;
}

// The convolutions' weights, which no step changes: (maps, channels, side, side) each.
static bool put_vision(const trace *t, const float *genome) {
    const hb_net *net = &t->life->trainer.net;
    bool ok = true;
    for (int32_t k = 0; net->vision.n_weights && k < HB_CONVOLUTIONS && ok; k++) {
        const hb_convolution *c = &net->vision.layer[k];
        const hsize_t shape[] = {(hsize_t)c->maps, (hsize_t)c->channels, (hsize_t)c->kernel, (hsize_t)c->kernel};
        float *w = hb_life_convolution(t->life, genome, k);
        if (!w) return false;
        char name[32];
        snprintf(name, sizeof name, "convolution%d", k + 1);
        ok = hb_hdf_put_array(t->file, name, H5T_NATIVE_FLOAT, 4, shape, w);
        free(w);
    }
    return ok;
}

// The environment's state as one dataset per field: (T, length), float64, before each step.
static bool put_fields(const trace *t) {
    int32_t at = 0;
    bool ok = true;
    for (const hb_env_field *f = t->life->trainer.world.fields; f && f->name && ok; f++) {
        double *column = malloc(((size_t)t->steps * (size_t)f->length + 1) * sizeof *column);
        if (!column) return false;
        for (int64_t k = 0; k < t->steps; k++)
            memcpy(column + k * f->length, t->state + k * t->n_state + at, (size_t)f->length * sizeof *column);
        const hsize_t shape[] = {(hsize_t)t->steps, (hsize_t)f->length};
        ok = hb_hdf_put_array(t->file, f->name, H5T_NATIVE_DOUBLE, 2, shape, column);
        free(column);
        at += f->length;
    }
    return ok;
}

// Observations: numbers as `obs`, pictures as `frame` (T, H, W, C), and the larger picture beside them.
static bool put_observations(const trace *t) {
    const hb_world *world = &t->life->trainer.world;
    const hsize_t steps = (hsize_t)t->steps, numbers[] = {steps, (hsize_t)world->shape.observation_size};
    const int32_t *shape = world->shape.picture;
    const hsize_t large[] = {steps, PICTURE, PICTURE, 3};
    if (draws(world) && !hb_hdf_put_array(t->file, "frame96", H5T_NATIVE_UINT8, 4, large, t->picture)) return false;
    if (shape[0] == 0) return hb_hdf_put_array(t->file, "obs", H5T_NATIVE_FLOAT, 2, numbers, t->observation);
    const size_t words = hb_net_observation_words(&t->life->trainer.net), size = (size_t)shape[1] * (size_t)shape[2];
    uint8_t *frame = malloc((size_t)steps * (size_t)world->shape.observation_size + 1), *out = frame;
    if (!frame) return false;
    for (int64_t k = 0; k < t->steps; k++) {
        const uint8_t *planes = (const uint8_t *)(t->observation + (size_t)k * words);
        for (size_t p = 0; p < size; p++)
            for (int32_t c = 0; c < shape[0]; c++) *out++ = planes[(size_t)c * size + p];
    }
    const hsize_t frames[] = {steps, (hsize_t)shape[1], (hsize_t)shape[2], (hsize_t)shape[0]};
    const bool ok = hb_hdf_put_array(t->file, "frame", H5T_NATIVE_UINT8, 4, frames, frame);
    free(frame);
    return ok;
}

// How the network saw observations.
static bool put_standard(const trace *t) {
    const hb_standard *standard = t->life->trainer.search.standard;
    const hsize_t n = standard ? (hsize_t)standard->n : 0;
    return !standard || (hb_hdf_put_array(t->file, "observed_mean", H5T_NATIVE_FLOAT, 1, &n, standard->mean) &&
                         hb_hdf_put_array(t->file, "observed_scale", H5T_NATIVE_FLOAT, 1, &n, standard->scale));
}

static bool put_constants(const trace *t) {
    const hb_env_table *env = t->life->config->env;
    const char *name;
    int32_t rows, columns;
    bool ok = true;
    for (int32_t k = 0; env->constant && ok; k++) {
        const double *data = env->constant(t->life->body, k, &name, &rows, &columns);
        if (!data) break;
        const hsize_t shape[] = {(hsize_t)rows, (hsize_t)columns};
        ok = hb_hdf_put_array(t->file, name, H5T_NATIVE_DOUBLE, 2, shape, data);
    }
    return ok;
}

// How changes enter the weights; `normalise` is a number, as it was in the first traces.
static bool put_plasticity(const trace *t) {
    hb_life_text text[HB_LIFE_TEXTS];
    const hb_net *net = &t->life->trainer.net;
    const int n = hb_life_plasticity(net, text);
    bool ok = put_number(t->file, "normalise", net->normalise);
    for (int k = 0; k < n && ok; k++)
        ok = strcmp(text[k].name, "normalise") == 0 || hb_hdf_put_text(t->file, text[k].name, text[k].value);
    return ok;
}

static hb_status fill_file(trace *t, hb_error *error) {
    const hb_trainer *trainer = &t->life->trainer;
    const hb_env_table *env = trainer->config->env;
    const hb_net *net = &trainer->net;
    const size_t size = (size_t)net->genome_size;
    float *host = malloc(size * sizeof *host);
    hb_status status = host ? hb_machine_sample(&trainer->machine, &t->life->birth.genome, host, size, error)
                            : hb_fail(error, HB_FAILED, "out of memory writing a trace");
    if (status == HB_OK) {
        const hsize_t steps = (hsize_t)t->steps;
        const hsize_t action[] = {steps, (hsize_t)trainer->world.shape.action_size};
        bool ok = put_observations(t) && put_standard(t) && put_constants(t) && put_vision(t, host) &&
                  hb_hdf_put_array(t->file, "action", H5T_NATIVE_FLOAT, 2, action, t->action) &&
                  hb_hdf_put_array(t->file, "output", H5T_NATIVE_FLOAT, 2, action, t->output) &&
                  hb_hdf_put_array(t->file, "fitness", H5T_NATIVE_DOUBLE, 1, &steps, t->fitness) &&
                  hb_hdf_put_array(t->file, "reward", H5T_NATIVE_DOUBLE, 1, &steps, t->reward) && put_fields(t);
        for (int32_t l = 0; l < net->n_layers && ok; l++) ok = put_layer(t, l, host);
        ok = ok && put_number(t->file, "seed", trainer->settings->run.seed) &&
             put_number(t->file, "generation", trainer->search.generation) &&
             put_number(t->file, "individual", t->def->individual) && put_plasticity(t) &&
             hb_hdf_put_text(t->file, "env", env->name) &&
             hb_hdf_put_text(t->file, "variation", t->life->trainer.world.variations[t->life->variation]) &&
             hb_hdf_put_text(t->file, "rule", net->rule ? net->rule->name : "static") &&
             hb_hdf_put_text(t->file, "init", net->init ? net->init->name : "genome");
        if (!ok) status = hb_fail(error, HB_FAILED, "%s: HDF5 cannot write it", t->def->out);
    }
    free(host);
    return status;
}

// ---------------------------------------------------------------------------------------------------

static hb_status make_image(trace *t, void **data, size_t *n, hb_error *error) {
    hb_hdf_lock();
    t->file = hb_hdf_create();
    hb_status status = t->file < 0 ? hb_fail(error, HB_FAILED, "%s: HDF5 cannot create it", t->def->out) : HB_OK;
    if (status == HB_OK) status = fill_file(t, error);
    if (status == HB_OK) status = hb_hdf_image(t->file, 0, data, n, error);
    if (t->file >= 0) H5Fclose(t->file);
    hb_hdf_unlock();
    return status;
}

static hb_status write_file(trace *t, hb_error *error) {
    void *data = NULL;
    size_t n = 0;
    hb_status status = make_image(t, &data, &n, error);
    if (status == HB_OK) status = hb_file_write(t->def->out, data, n, error);
    free(data);
    return status;
}

hb_status hb_trace(const char *source, const char *const *sets, int n_sets, const hb_trace_def *def,
                   hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    if (access(def->out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a file that does not exist yet, found one", def->out);
    hb_life life;
    hb_status status =
        hb_life_open(source, sets, n_sets, &(hb_life_def){def->individual, def->variation}, &life, error);
    trace t = {.life = &life, .def = def};
    if (status == HB_OK) status = allocate(&t, error);
    if (status == HB_OK) status = live(&t, error);
    if (status == HB_OK) status = write_file(&t, error);
    for (int32_t l = 0; l < HB_MAX_LAYERS; l++) free(t.weights[l]);
    free(t.observation);
    free(t.output);
    free(t.action);
    free(t.picture);
    free(t.fitness);
    free(t.reward);
    free(t.state);
    hb_life_close(&life);
    return status;
}
