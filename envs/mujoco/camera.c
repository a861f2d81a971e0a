#include "envs/mujoco/camera.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The declarations of EGL that are needed (Khronos, EGL 1.5 and EGL_MESA_platform_surfaceless), so that its headers need not be
// installed.
enum {
    EGL_NONE = 0x3038,
    EGL_SURFACE_TYPE = 0x3033,
    EGL_PBUFFER_BIT = 1,
    EGL_RENDERABLE_TYPE = 0x3040,
    EGL_OPENGL_BIT = 8,
    EGL_OPENGL_API = 0x30A2,
    EGL_RED_SIZE = 0x3024,
    EGL_DEPTH_SIZE = 0x3025,
    EGL_PLATFORM_SURFACELESS = 0x31DD,
    EGL_DRAW = 0x3059,
    EGL_READ = 0x305A
};

typedef struct {
    void *library;
    void *(*get_platform_display)(unsigned platform, void *native, const intptr_t *attributes);
    void *(*get_display)(void *native);
    unsigned (*initialize)(void *display, int32_t *major, int32_t *minor);
    unsigned (*bind_api)(unsigned api);
    unsigned (*choose_config)(void *display, const int32_t *attributes, void **configs, int32_t size, int32_t *n);
    void *(*create_context)(void *display, void *config, void *share, const int32_t *attributes);
    unsigned (*make_current)(void *display, void *draw, void *read, void *context);
    unsigned (*destroy_context)(void *display, void *context);
    void *(*current_context)(void);
    void *(*current_display)(void);
    void *(*current_surface)(int32_t which);
} egl;

// What a thread draws with: the caller's own, while a picture is taken.
typedef struct {
    void *display, *draw, *read, *context;
} current;

struct hb_mujoco_camera {
    const mjModel *model;
    egl egl;
    void *display, *context;
    bool ready; // MuJoCo's parts below
    mjrContext renderer;
    mjvScene scene;
    mjvCamera view;
    mjvOption options;
};

static bool find(const egl *e, const char *name, void *function) {
    void *symbol = dlsym(e->library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool load(egl *e) {
    e->library = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!e->library) return false;
    find(e, "eglGetPlatformDisplay", (void *)&e->get_platform_display); // of EGL 1.5
    return find(e, "eglGetDisplay", (void *)&e->get_display) && find(e, "eglInitialize", (void *)&e->initialize) &&
           find(e, "eglBindAPI", (void *)&e->bind_api) && find(e, "eglChooseConfig", (void *)&e->choose_config) &&
           find(e, "eglCreateContext", (void *)&e->create_context) &&
           find(e, "eglMakeCurrent", (void *)&e->make_current) &&
           find(e, "eglGetCurrentContext", (void *)&e->current_context) &&
           find(e, "eglGetCurrentDisplay", (void *)&e->current_display) &&
           find(e, "eglGetCurrentSurface", (void *)&e->current_surface) &&
           find(e, "eglDestroyContext", (void *)&e->destroy_context);
}

static bool make_context(hb_mujoco_camera *c) {
    const egl *e = &c->egl;
    const int32_t wanted[] = {
        EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_RED_SIZE, 8, EGL_DEPTH_SIZE, 24,
        EGL_NONE};
    const int32_t nothing[] = {EGL_NONE};
    void *config = NULL;
    int32_t n = 0;
    if (e->get_platform_display) c->display = e->get_platform_display(EGL_PLATFORM_SURFACELESS, NULL, NULL);
    if (!c->display) c->display = e->get_display(NULL);
    if (!c->display || !e->initialize(c->display, NULL, NULL) || !e->bind_api(EGL_OPENGL_API) ||
        !e->choose_config(c->display, wanted, &config, 1, &n) || n < 1)
        return false;
    c->context = e->create_context(c->display, config, NULL, nothing);
    return c->context != NULL;
}

// Makes the camera's context the thread's, and remembers what was.
static bool enter(const hb_mujoco_camera *c, current *before) {
    const egl *e = &c->egl;
    *before = (current){e->current_display(), e->current_surface(EGL_DRAW), e->current_surface(EGL_READ),
                        e->current_context()};
    return e->make_current(c->display, NULL, NULL, c->context);
}

// Any thread can enter then.
static void leave(const hb_mujoco_camera *c, const current *before) {
    c->egl.make_current(c->display, NULL, NULL, NULL);
    if (before->context) c->egl.make_current(before->display, before->draw, before->read, before->context);
}

hb_mujoco_camera *hb_mujoco_camera_open(const mjModel *model, int body, double distance, char *message, size_t size) {
    hb_mujoco_camera *c = calloc(1, sizeof *c);
    if (!c) return snprintf(message, size, "out of memory opening a camera"), NULL;
    c->model = model;
    current before;
    if (!load(&c->egl) || !make_context(c) || !enter(c, &before)) {
        snprintf(message, size,
                 "pictures by MuJoCo need OpenGL without a screen: libEGL.so.1 with a driver (in Debian "
                 "libegl1 and libgl1-mesa-dri)");
        return hb_mujoco_camera_close(c), NULL;
    }
    mjr_defaultContext(&c->renderer);
    mjv_defaultScene(&c->scene);
    mjv_defaultCamera(&c->view);
    mjv_defaultOption(&c->options);
    mjv_makeScene(model, &c->scene, 1000);
    mjr_makeContext(model, &c->renderer, mjFONTSCALE_100);
    c->ready = true;
    mjr_setBuffer(mjFB_OFFSCREEN, &c->renderer);
    c->view.type = mjCAMERA_TRACKING;
    c->view.trackbodyid = body;
    c->view.distance = distance;
    c->view.elevation = -25;
    leave(c, &before);
    return c;
}

void hb_mujoco_camera_close(hb_mujoco_camera *c) {
    current before;
    if (!c) return;
    if (c->ready && enter(c, &before)) {
        mjr_freeContext(&c->renderer);
        mjv_freeScene(&c->scene);
        leave(c, &before);
    }
    if (c->context) c->egl.destroy_context(c->display, c->context);
    free(c); // the display belongs to the process; another camera may use it
}

// Colours that set bodies off from the ground, and more light than MuJoCo's default.
static void paint(mjvScene *scene) {
    static const float ground[4] = {0.78f, 0.82f, 0.86f, 1}, robot[4] = {0.85f, 0.45f, 0.2f, 1};
    for (int k = 0; k < scene->ngeom; k++)
        memcpy(scene->geoms[k].rgba, scene->geoms[k].type == mjGEOM_PLANE ? ground : robot, sizeof ground);
    for (int k = 0; k < scene->nlight; k++)
        for (int channel = 0; channel < 3; channel++) {
            scene->lights[k].ambient[channel] = 0.45f;
            scene->lights[k].diffuse[channel] = 0.6f;
        }
}

static mjvGeom *add_box(mjvScene *scene, double x, double y, double half, const float colour[4]) {
    const mjtNum halves[3] = {half, half, 0.0005}, centre[3] = {x, y, 0.0005};
    if (scene->ngeom >= scene->maxgeom) return NULL;
    mjvGeom *box = &scene->geoms[scene->ngeom++];
    mjv_initGeom(box, mjGEOM_BOX, halves, centre, NULL, colour);
    box->category = mjCAT_DECOR;
    return box;
}

// A floor of squares of 1 m around the body, so that walking is seen, with x written along it every two metres.
static void lay_floor(mjvScene *scene, const double *body) {
    enum { AROUND = 9 }; // squares on each side
    static const float dark[4] = {0.66f, 0.71f, 0.77f, 1};
    const int x0 = (int)floor(body[0]), y0 = (int)floor(body[1]);
    for (int i = x0 - AROUND; i <= x0 + AROUND; i++) {
        for (int j = y0 - AROUND; j <= y0 + AROUND; j++)
            if ((i + j) % 2 != 0) add_box(scene, i + 0.5, j + 0.5, 0.5, dark);
        mjvGeom *mark = i % 2 == 0 ? add_box(scene, i, y0 - 1, 0.02, dark) : NULL;
        if (mark) snprintf(mark->label, sizeof mark->label, "%d m", i);
    }
}

static int draw(hb_mujoco_camera *c, mjData *data, int32_t width, int32_t height, const char *caption, uint8_t *rgb,
                char *message, size_t size) {
    const mjrRect all = {0, 0, width, height};
    const size_t row = (size_t)width * 3;
    if (c->renderer.offWidth != width || c->renderer.offHeight != height)
        mjr_resizeOffscreen(width, height, &c->renderer);
    if (c->renderer.currentBuffer != mjFB_OFFSCREEN)
        return snprintf(message, size, "OpenGL has no frame buffer of %d x %d", width, height), -1;
    mjv_updateScene(c->model, data, &c->options, NULL, &c->view, mjCAT_ALL, &c->scene);
    paint(&c->scene);
    lay_floor(&c->scene, data->xpos + (size_t)c->view.trackbodyid * 3);
    mjr_render(all, &c->scene, &c->renderer);
    mjr_overlay(mjFONT_NORMAL, mjGRID_TOPLEFT, all, caption, NULL, &c->renderer);
    uint8_t *upside_down = malloc(row * (size_t)height + 1);
    if (!upside_down) return snprintf(message, size, "out of memory for a picture"), -1;
    mjr_readPixels(upside_down, NULL, all, &c->renderer);
    for (size_t y = 0; y < (size_t)height; y++)
        memcpy(rgb + y * row, upside_down + ((size_t)height - 1 - y) * row, row);
    free(upside_down);
    return 0;
}

int hb_mujoco_camera_take(hb_mujoco_camera *c, mjData *data, int32_t width, int32_t height, const char *caption,
                          uint8_t *rgb, char *message, size_t size) {
    current before;
    if (!enter(c, &before)) return snprintf(message, size, "OpenGL cannot be used by this thread"), -1;
    const int result = draw(c, data, width, height, caption, rgb, message, size);
    leave(c, &before);
    return result;
}
