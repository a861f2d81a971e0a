#include "envs/mjcf/changes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain(char *message, size_t size, const char *what, const char *text) {
    snprintf(message, size, "env.changes: %s, found '%.40s'", what, text);
    return -1;
}

// ---------------------------------------------------------------------------------------------------
// Names

void hb_mjcf_variations_free(char *names[HB_MJCF_VARIATIONS + 1]) {
    for (int k = 0; k < HB_MJCF_VARIATIONS; k++) {
        free(names[k]);
        names[k] = NULL;
    }
}

static const char *skip_blanks(const char *text) {
    return text + strspn(text, " \t");
}

// The part of variation k, counted from 1, behind its colon, up to `end`; NULL past the last one.
static const char *part_of(const char *text, int k, const char **end) {
    for (text = skip_blanks(text); *text; text = skip_blanks(*end + 1)) {
        *end = text + strcspn(text, ";");
        if (--k == 0) return text;
        if (!**end) break;
    }
    return NULL;
}

int hb_mjcf_variations(const char *text, char *names[HB_MJCF_VARIATIONS + 1], char *message, size_t size) {
    const char *end, *part;
    int n = 0;
    memset(names, 0, (HB_MJCF_VARIATIONS + 1) * sizeof *names);
    names[n++] = strdup("default");
    for (; (part = part_of(text, n, &end)); n++) {
        const size_t length = strcspn(part, ": \t;");
        const char *behind = skip_blanks(part + length);
        if (n == HB_MJCF_VARIATIONS) return complain(message, size, "expected fewer than 32 variations", part);
        if (length == 0 || *behind != ':')
            return complain(message, size, "expected NAME: change, change; NAME: ...", part);
        names[n] = strndup(part, length);
        for (int k = 0; names[n] && k < n; k++)
            if (names[k] && strcmp(names[k], names[n]) == 0)
                return complain(message, size, "expected each name once, and not default", names[n]);
        if (!names[n]) return snprintf(message, size, "out of memory for variations"), -1;
    }
    return names[0] ? n : (snprintf(message, size, "out of memory for variations"), -1);
}

// ---------------------------------------------------------------------------------------------------
// Changes

// Calls work for every element of a kind.
typedef void change_one(mjsElement *element, double value);

static void each(mjSpec *spec, mjtObj kind, change_one *work, double value) {
    for (mjsElement *e = mjs_firstElement(spec, kind); e; e = mjs_nextElement(spec, e)) work(e, value);
}

static void set_pair_friction(mjsElement *element, double value) {
    mjsPair *pair = mjs_asPair(element);
    pair->friction[0] = pair->friction[1] = value;
}

static void set_friction(mjsElement *element, double value) {
    mjs_asGeom(element)->friction[0] = value;
}

// Masses follow from the geoms, or bodies have their own.
static void scale_body(mjsElement *element, double value) {
    mjsBody *body = mjs_asBody(element);
    if (!body->explicitinertial) return;
    body->mass *= value;
    for (int k = 0; k < 3; k++) body->inertia[k] *= value;
    for (int k = 0; k < 6; k++) body->fullinertia[k] *= value;
}

static void scale_geom(mjsElement *element, double value) {
    mjsGeom *geom = mjs_asGeom(element);
    geom->density *= value;
    if (geom->mass == geom->mass) geom->mass *= value; // NAN: from the density
}

static int scale_mass(mjSpec *spec, double value) {
    each(spec, mjOBJ_GEOM, scale_geom, value);
    each(spec, mjOBJ_BODY, scale_body, value);
    if (spec->compiler.settotalmass > 0) spec->compiler.settotalmass *= value;
    return 0;
}

static int scale_mass_of(mjSpec *spec, const char *which, double value, char *message, size_t size) {
    mjsElement *found = mjs_findElement(spec, mjOBJ_BODY, which);
    if (!found) return complain(message, size, "mass: expected a body's name", which);
    scale_body(found, value);
    for (mjsElement *e = mjs_firstElement(spec, mjOBJ_GEOM); e; e = mjs_nextElement(spec, e))
        if (mjs_getParent(e) == mjs_asBody(found)) scale_geom(e, value);
    return 0;
}

static int set_friction_of(mjSpec *spec, const char *which, double value, char *message, size_t size) {
    mjsElement *found = mjs_findElement(spec, mjOBJ_GEOM, which);
    if (!found) return complain(message, size, "friction: expected a geom's name", which);
    set_friction(found, value);
    return 0;
}

static int set_friction_of_all(mjSpec *spec, double value) {
    each(spec, mjOBJ_GEOM, set_friction, value);
    each(spec, mjOBJ_PAIR, set_pair_friction, value);
    return 0;
}

static int set_gear(mjSpec *spec, const char *which, double value, char *message, size_t size) {
    mjsElement *found = mjs_findElement(spec, mjOBJ_ACTUATOR, which);
    char *end;
    long number = strtol(which, &end, 10);
    if (!found && *which && !*end && number >= 0)
        for (found = mjs_firstElement(spec, mjOBJ_ACTUATOR); found && number > 0; number--)
            found = mjs_nextElement(spec, found);
    if (!found) return complain(message, size, "gear: expected an actuator's name or number", which);
    mjs_asActuator(found)->gear[0] = value;
    return 0;
}

// The end of a capsule or cylinder that is given from point to point moves towards its first point, or away from it.
static int scale_length(mjSpec *spec, const char *which, double value, char *message, size_t size) {
    mjsElement *found = mjs_findElement(spec, mjOBJ_GEOM, which);
    mjsGeom *geom = found ? mjs_asGeom(found) : NULL;
    if (!geom || !(geom->fromto[0] == geom->fromto[0]))
        return complain(message, size, "length: expected the name of a geom with fromto", which);
    for (int k = 0; k < 3; k++)
        geom->fromto[3 + k] = geom->fromto[k] + value * (geom->fromto[3 + k] - geom->fromto[k]);
    return 0;
}

#define WANTED                                                                                                       \
    "expected friction, friction[GEOM], mass, mass[BODY], gravity, gear[ACTUATOR] or length[GEOM], and a number"

// One change, such as "gear[2] 0".
static int change(const char *text, mjSpec *spec, char *message, size_t size) {
    char what[64] = "", which[64] = "";
    double value;
    int taken = 0;
    text = skip_blanks(text);
    if (sscanf(text, " %63[a-z] [ %63[^]] ] %lf %n", what, which, &value, &taken) != 3) {
        *which = '\0';
        if (sscanf(text, " %63[a-z] %lf %n", what, &value, &taken) != 2) return complain(message, size, WANTED, text);
    }
    if (text[taken] || !(fabs(value) < 1e9))
        return complain(message, size, "expected a number at the end of a change", text);
    const bool of_one = *which != '\0';
    if (strcmp(what, "gear") == 0 && of_one) return set_gear(spec, which, value, message, size);
    if (strcmp(what, "length") == 0 && of_one && value > 0) return scale_length(spec, which, value, message, size);
    if (strcmp(what, "friction") == 0 && of_one && value >= 0)
        return set_friction_of(spec, which, value, message, size);
    if (strcmp(what, "mass") == 0 && of_one && value > 0) return scale_mass_of(spec, which, value, message, size);
    if (strcmp(what, "friction") == 0 && !of_one && value >= 0) return set_friction_of_all(spec, value);
    if (strcmp(what, "mass") == 0 && !of_one && value > 0) return scale_mass(spec, value);
    if (strcmp(what, "gravity") == 0 && !of_one) return spec->option.gravity[2] = -value, 0;
    return complain(message, size, WANTED " that fits", text);
}

int hb_mjcf_change(const char *text, int k, mjSpec *spec, char *message, size_t size) {
    const char *end, *part = k > 0 ? part_of(text, k, &end) : NULL;
    char one[256];
    if (!part) return 0;
    part += strcspn(part, ":") + 1;
    while (part < end) {
        const size_t left = (size_t)(end - part), length = strcspn(part, ",;");
        snprintf(one, sizeof one, "%.*s", (int)(length < left ? length : left), part);
        if (change(one, spec, message, size) != 0) return -1;
        part += strlen(one) + (part[strlen(one)] == ',');
    }
    return 0;
}
