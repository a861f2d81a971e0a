#include "envs/mjcf/program.h"

#include "kernels/scalar.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Arrays of the data

enum { STATE = 0, QPOS, QVEL }; // first rows of the table; state: qpos, then qvel

static const char *const names[] = {"state", "qpos",          "qvel",        "act",        "ctrl",
                                    "qacc",  "qfrc_actuator", "cfrc_ext",    "cinert",     "cvel",
                                    "xpos",  "xquat",         "subtree_com", "sensordata", NULL};

typedef struct {
    const mjtNum *data;
    int32_t rows, columns;
    int object; // whose names rows have: mjOBJ_BODY, mjOBJ_ACTUATOR, or mjOBJ_JOINT, its first one; 0: none
} array;

// Of `state` data is NULL: it is two arrays.
static array array_of(const mjModel *m, const mjData *d, int number) {
    const int32_t nbody = (int32_t)m->nbody;
    const array arrays[] = {{NULL, (int32_t)(m->nq + m->nv), 1, 0},
                            {d ? d->qpos : NULL, (int32_t)m->nq, 1, mjOBJ_JOINT},
                            {d ? d->qvel : NULL, (int32_t)m->nv, 1, mjOBJ_JOINT},
                            {d ? d->act : NULL, (int32_t)m->na, 1, 0},
                            {d ? d->ctrl : NULL, (int32_t)m->nu, 1, mjOBJ_ACTUATOR},
                            {d ? d->qacc : NULL, (int32_t)m->nv, 1, mjOBJ_JOINT},
                            {d ? d->qfrc_actuator : NULL, (int32_t)m->nv, 1, mjOBJ_JOINT},
                            {d ? d->cfrc_ext : NULL, nbody, 6, mjOBJ_BODY},
                            {d ? d->cinert : NULL, nbody, 10, mjOBJ_BODY},
                            {d ? d->cvel : NULL, nbody, 6, mjOBJ_BODY},
                            {d ? d->xpos : NULL, nbody, 3, mjOBJ_BODY},
                            {d ? d->xquat : NULL, nbody, 4, mjOBJ_BODY},
                            {d ? d->subtree_com : NULL, nbody, 3, mjOBJ_BODY},
                            {d ? d->sensordata : NULL, (int32_t)m->nsensordata, 1, 0}};
    return arrays[number];
}

static double number_at(const mjModel *model, const mjData *data, const hb_mjcf_numbers *of, int32_t k) {
    const int32_t i = of->first + k, nq = (int32_t)model->nq;
    if (of->array == STATE) return i < nq ? data->qpos[i] : data->qvel[i - nq];
    return array_of(model, data, of->array).data[i];
}

// ---------------------------------------------------------------------------------------------------
// Reading

typedef struct {
    const mjModel *model;
    const char *option; // whose text it is
    const char *at;
    char *message;
    size_t size;
} reader;

__attribute__((format(printf, 2, 3))) static bool refuse(const reader *r, const char *format, ...) {
    va_list arguments;
    const int n = snprintf(r->message, r->size, "%s: ", r->option);
    va_start(arguments, format);
    if (n > 0 && (size_t)n < r->size) vsnprintf(r->message + n, r->size - (size_t)n, format, arguments);
    va_end(arguments);
    return false;
}

static void skip(reader *r) {
    r->at += strspn(r->at, " \t");
}

// Takes the sign if it comes next.
static bool take(reader *r, char sign) {
    skip(r);
    if (*r->at != sign) return false;
    r->at++;
    return true;
}

static bool expect(reader *r, char sign) {
    return take(r, sign) || refuse(r, "expected '%c', found '%.20s'", sign, *r->at ? r->at : "the end");
}

// Takes the word if it comes next.
static bool take_word(reader *r, const char *word) {
    const size_t n = strlen(word);
    skip(r);
    if (strncmp(r->at, word, n) != 0 || isalnum((unsigned char)r->at[n])) return false;
    r->at += n;
    return true;
}

// A name of the model: up to a blank or a sign of the grammar.
static void take_name(reader *r, char out[64]) {
    skip(r);
    const size_t n = strcspn(r->at, " \t,;:[]()");
    snprintf(out, 64, "%.*s", (int)n, r->at);
    r->at += n;
}

static bool take_number(reader *r, double *out) {
    char *end;
    skip(r);
    *out = strtod(r->at, &end);
    if (end == r->at || isnan(*out)) return refuse(r, "expected a number, found '%.20s'", *r->at ? r->at : "the end");
    r->at = end;
    return true;
}

static bool take_positive(reader *r, const char *what, double *out) {
    return take_number(r, out) && (*out > 0 || refuse(r, "%s: expected more than 0, found %g", what, *out));
}

// The row of a named body, actuator or joint, or -1.
static int row_of_name(const reader *r, int number, int object, const char *name) {
    const int id = object ? mj_name2id(r->model, object, name) : -1;
    if (id < 0 || object != mjOBJ_JOINT) return id;
    return number == QPOS ? r->model->jnt_qposadr[id] : r->model->jnt_dofadr[id];
}

// A row of array `number` (-1: of no array): its own number, or the name of what has it.
static bool take_row(reader *r, int number, int32_t fallback, int32_t *row) {
    const int object = number < 0 ? 0 : array_of(r->model, NULL, number).object;
    char name[64];
    skip(r);
    *row = fallback;
    if (*r->at == ':' || *r->at == ']') return true;
    if (*r->at >= '0' && *r->at <= '9') {
        char *end;
        const long given = strtol(r->at, &end, 10);
        r->at = end;
        *row = given > INT32_MAX ? INT32_MAX : (int32_t)given;
        return true;
    }
    if (*r->at == '-') return refuse(r, "rows count from 0, found '%.20s'", r->at);
    take_name(r, name);
    *row = row_of_name(r, number, object, name);
    if (*row >= 0) return true;
    return object ? refuse(r, "the model has no %s '%s'", mju_type2Str(object), name)
                  : refuse(r, "expected a number in brackets, found '%s'", name);
}

// [first:end], [first:], [:end], [row], or nothing: all.
static bool take_slice(reader *r, const char *name, hb_mjcf_numbers *of) {
    const array a = array_of(r->model, NULL, of->array);
    int32_t first = 0, end = a.rows;
    if (take(r, '[')) {
        if (!take_row(r, of->array, 0, &first)) return false;
        if (take(r, ':')) {
            if (!take_row(r, of->array, a.rows, &end)) return false;
        } else {
            end = first < INT32_MAX ? first + 1 : first;
        }
        if (!expect(r, ']')) return false;
    }
    if (a.rows == 0) return refuse(r, "the model has no %s", name);
    if (first >= end || end > a.rows)
        return refuse(r, "%s has rows 0 to %d here, found [%d:%d]", name, a.rows - 1, first, end);
    int32_t column = 0, columns = a.columns;
    if (a.columns > 1 && take(r, '[')) {
        if (!take_row(r, -1, 0, &column) || !expect(r, ']')) return false;
        if (column >= a.columns || end - first > 1)
            return refuse(r, "%s: a number in a second bracket is of one row, 0 to %d", name, a.columns - 1);
        columns = 1;
    }
    of->first = first * a.columns + column;
    of->n = (end - first) * columns;
    return true;
}

static bool take_numbers(reader *r, hb_mjcf_numbers *of) {
    char name[64], all[256] = "";
    take_name(r, name);
    for (of->array = 0; names[of->array]; of->array++) {
        if (strcmp(names[of->array], name) == 0) return take_slice(r, name, of);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", of->array ? ", " : "", names[of->array]);
    }
    return refuse(r, "expected one of %s, found '%s'", all, name);
}

static bool take_sensor(reader *r, hb_mjcf_numbers *of) {
    char name[64];
    take_name(r, name);
    const int id = mj_name2id(r->model, mjOBJ_SENSOR, name);
    if (id < 0) return refuse(r, "the model has no sensor '%s'", name);
    for (of->array = 0; strcmp(names[of->array], "sensordata") != 0;) of->array++;
    of->first = r->model->sensor_adr[id];
    of->n = r->model->sensor_dim[id];
    return true;
}

static bool take_observed(reader *r, hb_mjcf_observed *o) {
    const bool clipped = take_word(r, "clip");
    if (clipped && !expect(r, '(')) return false;
    o->is_reward = take_word(r, "reward");
    if (!o->is_reward && !(take_word(r, "sensor") ? take_sensor(r, &o->of) : take_numbers(r, &o->of))) return false;
    return !clipped || (expect(r, ',') && take_positive(r, "clip", &o->clip) && expect(r, ')'));
}

static bool take_reward(reader *r, hb_mjcf_reward *t) {
    static const char *const kinds[] = {"forward", "alive", "control", "contact"};
    int kind = 0;
    while (kind < 4 && !take_word(r, kinds[kind])) kind++;
    if (kind == 4)
        return refuse(r, "expected forward, alive, control or contact, found '%.20s'", *r->at ? r->at : "the end");
    t->kind = (hb_mjcf_kind)kind;
    if (!take_number(r, &t->weight)) return false;
    if (!(fabs(t->weight) < 1e9))
        return refuse(r, "%s: expected a weight within 1e9, found %g", kinds[kind], t->weight);
    if (t->kind == HB_MJCF_FORWARD) {
        if (!take_word(r, "of")) return refuse(r, "forward: expected 'of' and what goes forward, such as qpos[0]");
        t->of.array = -1;
        if (take_word(r, "mass")) return true;
        if (!take_numbers(r, &t->of)) return false;
        return t->of.n == 1 || refuse(r, "forward: expected one number, found %d", t->of.n);
    }
    if (t->kind != HB_MJCF_CONTACT) return true;
    if (take_word(r, "clip") && !take_positive(r, "clip", &t->clip)) return false;
    return !take_word(r, "most") || take_positive(r, "most", &t->most);
}

static bool take_bound(reader *r, hb_mjcf_bound *b) {
    if (!take_numbers(r, &b->of) || !take_number(r, &b->least) || !take_number(r, &b->most)) return false;
    return b->least < b->most || refuse(r, "expected a range from less to more, found %g to %g", b->least, b->most);
}

static bool take_noise(reader *r, hb_mjcf_noise *n) {
    n->speeds = take_word(r, "qvel");
    if (!n->speeds && !take_word(r, "qpos"))
        return refuse(r, "expected qpos or qvel, found '%.20s'", *r->at ? r->at : "the end");
    n->normal = take_word(r, "normal");
    if (!n->normal && !take_word(r, "uniform"))
        return refuse(r, "expected uniform or normal, found '%.20s'", *r->at ? r->at : "the end");
    if (!take_number(r, &n->scale)) return false;
    return (n->scale >= 0 && n->scale < 1e6) || refuse(r, "expected a size from 0 to 1e6, found %g", n->scale);
}

// One part of a text, into element k of its list.
typedef bool part(reader *r, hb_mjcf_program *program, int k);

static bool observed_part(reader *r, hb_mjcf_program *p, int k) {
    return take_observed(r, &p->observed[k]);
}

static bool reward_part(reader *r, hb_mjcf_program *p, int k) {
    return take_reward(r, &p->reward[k]);
}

static bool bound_part(reader *r, hb_mjcf_program *p, int k) {
    return take_bound(r, &p->bound[k]);
}

static bool noise_part(reader *r, hb_mjcf_program *p, int k) {
    return take_noise(r, &p->noise[k]);
}

static bool read_list(reader *r, hb_mjcf_program *program, part *one, char between, int *n) {
    skip(r);
    for (*n = 0; *r->at; ++*n) {
        if (*n > 0 && !expect(r, between)) return false;
        if (*n == HB_MJCF_TERMS) return refuse(r, "expected at most %d parts", HB_MJCF_TERMS);
        if (!one(r, program, *n)) return false;
        skip(r);
    }
    return true;
}

// "finite", bounds, or "finite" and bounds.
static bool read_alive(reader *r, hb_mjcf_program *program) {
    program->finite = take_word(r, "finite");
    skip(r);
    if (program->finite && !*r->at) return true;
    if (program->finite && !expect(r, ';')) return false;
    skip(r);
    if (program->finite && !*r->at) return refuse(r, "expected a bound, found the end");
    return read_list(r, program, bound_part, ';', &program->n_bounds);
}

static bool is_force(const hb_mjcf_numbers *of) {
    return of->array >= 0 && strcmp(names[of->array], "cfrc_ext") == 0;
}

static void count(hb_mjcf_program *p) {
    for (int k = 0; k < p->n_observed; k++) {
        const hb_mjcf_observed *o = &p->observed[k];
        p->size += o->is_reward ? 1 : o->of.n;
        p->needs_forces = p->needs_forces || (!o->is_reward && is_force(&o->of));
    }
    for (int k = 0; k < p->n_bounds; k++) p->needs_forces = p->needs_forces || is_force(&p->bound[k].of);
    for (int k = 0; k < p->n_rewards; k++) {
        const hb_mjcf_reward *t = &p->reward[k];
        p->needs_forces =
            p->needs_forces || t->kind == HB_MJCF_CONTACT || (t->kind == HB_MJCF_FORWARD && is_force(&t->of));
    }
}

int hb_mjcf_read(const mjModel *model, const char *observe, const char *reward, const char *alive, const char *reset,
                 hb_mjcf_program *program, char *message, size_t size) {
    *program = (hb_mjcf_program){.size = 0};
    reader r = {model, "env.observe", observe, message, size};
    if (!read_list(&r, program, observed_part, ',', &program->n_observed)) return -1;
    r = (reader){model, "env.reward", reward, message, size};
    if (!read_list(&r, program, reward_part, ';', &program->n_rewards)) return -1;
    if (program->n_rewards == 0) return refuse(&r, "expected what a step earns, such as 'forward 1 of qpos[0]'"), -1;
    r = (reader){model, "env.alive", alive, message, size};
    if (!read_alive(&r, program)) return -1;
    r = (reader){model, "env.reset", reset, message, size};
    if (!read_list(&r, program, noise_part, ';', &program->n_noises)) return -1;
    count(program);
    return 0;
}

// ---------------------------------------------------------------------------------------------------
// Carrying out

static double clipped(double x, double most) {
    return most > 0 ? fmax(-most, fmin(most, x)) : x;
}

void hb_mjcf_observe(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double last,
                     float *observation) {
    for (int k = 0; k < program->n_observed; k++) {
        const hb_mjcf_observed *o = &program->observed[k];
        if (o->is_reward) *observation++ = (float)clipped(last, o->clip);
        for (int32_t i = 0; !o->is_reward && i < o->of.n; i++)
            *observation++ = (float)clipped(number_at(model, data, &o->of, i), o->clip);
    }
}

bool hb_mjcf_alive(const hb_mjcf_program *program, const mjModel *model, const mjData *data) {
    const hb_mjcf_numbers all = {STATE, 0, (int32_t)(model->nq + model->nv)};
    for (int32_t i = 0; program->finite && i < all.n; i++)
        if (!isfinite(number_at(model, data, &all, i))) return false;
    for (int k = 0; k < program->n_bounds; k++) {
        const hb_mjcf_bound *b = &program->bound[k];
        for (int32_t i = 0; i < b->of.n; i++) {
            const double x = number_at(model, data, &b->of, i);
            if (!(x >= b->least && x <= b->most)) return false;
        }
    }
    return true;
}

// x of the centre of all masses.
static double centre_of_mass(const mjModel *model, const mjData *data) {
    double sum = 0, mass = 0;
    for (int k = 0; k < (int)model->nbody; k++) {
        sum += model->body_mass[k] * data->xipos[3 * k];
        mass += model->body_mass[k];
    }
    return sum / mass;
}

void hb_mjcf_positions(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double *x) {
    for (int k = 0; k < program->n_rewards; k++) {
        const hb_mjcf_reward *t = &program->reward[k];
        if (t->kind != HB_MJCF_FORWARD) continue;
        x[k] = t->of.array < 0 ? centre_of_mass(model, data) : number_at(model, data, &t->of, 0);
    }
}

static double cost_of_contacts(const hb_mjcf_reward *t, const mjModel *model, const mjData *data) {
    double squares = 0;
    for (int k = 0; k < 6 * (int)model->nbody; k++) {
        const double force = clipped(data->cfrc_ext[k], t->clip);
        squares += force * force;
    }
    return t->most > 0 ? fmin(t->weight * squares, t->most) : t->weight * squares;
}

double hb_mjcf_rewarded(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double *x,
                        double dt, bool alive) {
    double before[HB_MJCF_TERMS], total = 0, commands = 0;
    memcpy(before, x, sizeof before);
    hb_mjcf_positions(program, model, data, x);
    for (int j = 0; j < (int)model->nu; j++) commands += data->ctrl[j] * data->ctrl[j];
    for (int k = 0; k < program->n_rewards; k++) {
        const hb_mjcf_reward *t = &program->reward[k];
        if (t->kind == HB_MJCF_FORWARD) total += t->weight * (x[k] - before[k]) / dt;
        if (t->kind == HB_MJCF_ALIVE && alive) total += t->weight;
        if (t->kind == HB_MJCF_CONTROL) total -= t->weight * commands;
        if (t->kind == HB_MJCF_CONTACT) total -= cost_of_contacts(t, model, data);
    }
    return total;
}

double hb_mjcf_command(const mjModel *model, int j, float a) {
    if (!model->actuator_ctrllimited[j]) return (double)a;
    const double least = model->actuator_ctrlrange[2 * j], most = model->actuator_ctrlrange[2 * j + 1];
    const double within = fmax(-1, fmin(1, (double)a));
    return (double)(float)(0.5 * (least + most) + 0.5 * (most - least) * within);
}

// NULL for what lanes know.
static const char *more_than_motion(const hb_mjcf_numbers *of, bool forces) {
    if (of->array < 0) return "the centre of mass";
    const char *name = names[of->array];
    const bool of_root = of->first >= 3 && of->first + of->n <= 6; // the first body's row
    if (forces && (strcmp(name, "cfrc_ext") == 0 || (strcmp(name, "xpos") == 0 && of_root))) return NULL;
    return of->array <= QVEL || strcmp(name, "ctrl") == 0 ? NULL : name;
}

const char *hb_mjcf_reads_more(const hb_mjcf_program *program, bool forces) {
    const char *more = NULL;
    for (int k = 0; k < program->n_observed && !more; k++)
        if (!program->observed[k].is_reward) more = more_than_motion(&program->observed[k].of, forces);
    for (int k = 0; k < program->n_bounds && !more; k++) more = more_than_motion(&program->bound[k].of, forces);
    for (int k = 0; k < program->n_rewards && !more; k++) {
        if (program->reward[k].kind == HB_MJCF_CONTACT && !forces) more = "cfrc_ext";
        if (program->reward[k].kind == HB_MJCF_FORWARD) more = more_than_motion(&program->reward[k].of, forces);
    }
    return more;
}

// N(0, 1) by Marsaglia's polar method on our own logarithm, so that the bits are those of any machine.
static double draw_normal(hb_env_random *random) {
    double u, v, s;
    do {
        u = 2 * hb_env_uniform(random) - 1;
        v = 2 * hb_env_uniform(random) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * (double)hb_log((float)s) / s);
}

void hb_mjcf_disturb(const hb_mjcf_program *program, const mjModel *model, mjData *data, hb_env_random *random) {
    for (int k = 0; k < program->n_noises; k++) {
        const hb_mjcf_noise *noise = &program->noise[k];
        mjtNum *x = noise->speeds ? data->qvel : data->qpos;
        const int n = noise->speeds ? (int)model->nv : (int)model->nq;
        for (int i = 0; i < n; i++)
            x[i] += noise->scale * (noise->normal ? draw_normal(random) : 2 * hb_env_uniform(random) - 1);
    }
}
