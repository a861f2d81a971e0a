// Loops over the lanes, written for the vectoriser; the arithmetic is that of kernels/scalar.h.
#include "envs/ant/observe.h"
#include "kernels/real.h"

#define W HB_WIDTH

// Height, direction, speed, attitude: numbers 0 to 7.
static void observe_torso(const float *position, const float *speed, const float *target,
                          float o[HB_ANT_OBSERVED][W]) {
    const float *q = position + 3 * W;
    for (int i = 0; i < W; i++) {
        const float w = q[i], x = q[W + i], y = q[2 * W + i], z = q[3 * W + i];
        const float roll = hb_atan2(2.0f * hb_fma(w, x, y * z), hb_fma(-2.0f, hb_fma(x, x, y * y), 1.0f));
        const float sine = 2.0f * hb_fma(w, y, -(z * x));
        const float pitch = hb_asin(sine > 1.0f ? 1.0f : sine < -1.0f ? -1.0f : sine);
        const float yaw = hb_atan2(2.0f * hb_fma(w, z, x * y), hb_fma(-2.0f, hb_fma(y, y, z * z), 1.0f));
        const float ahead = hb_atan2(target[W + i], target[i]) - yaw;
        float s, c;
        hb_sincos(yaw, &s, &c);
        hb_sincos(ahead, &o[1][i], &o[2][i]);
        o[0][i] = position[2 * W + i] - 0.75f; // hb_ant_start_height
        o[3][i] = 0.3f * hb_fma(c, speed[i], s * speed[W + i]);
        o[4][i] = 0.3f * hb_fma(c, speed[W + i], -(s * speed[i]));
        o[5][i] = 0.3f * speed[2 * W + i];
        o[6][i] = roll;
        o[7][i] = pitch;
    }
}

static void observe_joints(const hb_rigid_model *model, const float *position, const float *speed,
                           float o[HB_ANT_OBSERVED][W]) {
    for (int j = 0; j < HB_ANT_JOINTS; j++) {
        const float lower = model->floats.link[j / 2][j % 2].lower, upper = model->floats.link[j / 2][j % 2].upper;
        const float middle = 0.5f * (lower + upper), half = 0.5f * (upper - lower);
        for (int i = 0; i < W; i++) {
            o[8 + 2 * j][i] = (position[(7 + j) * W + i] - middle) / half;
            o[9 + 2 * j][i] = 0.1f * speed[(6 + j) * W + i];
        }
    }
}

static void check(const float *numbers, int n, uint8_t *finite) {
    float sum[W] = {0};
    for (int k = 0; k < n; k++)
        for (int i = 0; i < W; i++) sum[i] = sum[i] + hb_from_bits(hb_bits(numbers[k * W + i]) & 0x7fffffffu);
    for (int i = 0; i < W; i++) finite[i] = sum[i] < 1e10f;
}

static void observe(const hb_rigid_model *model, const float *state, const float *contact, const float *target,
                    float *observation, uint8_t *finite) {
    const hb_rigid_layout at = hb_rigid_layout_of(4, 2);
    const float *position = state + at.position * W, *speed = state + at.speed * W;
    float o[HB_ANT_OBSERVED][W];
    check(state, 15 + 14, finite); // positions and speeds
    observe_torso(position, speed, target, o);
    observe_joints(model, position, speed, o);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < W; i++) o[24 + k][i] = contact[k * W + i];
    for (int i = 0; i < W; i++)
        for (int k = 0; k < HB_ANT_OBSERVED; k++) {
            const float x = o[k][i], low = x < -5.0f ? -5.0f : x;
            observation[i * HB_ANT_OBSERVED + k] = low > 5.0f ? 5.0f : low;
        }
}

#define STRING_(x)   #x
#define STRING(x)    STRING_(x)
#define JOIN_(a, b)  a##_##b
#define JOIN(a, b)   JOIN_(a, b)
#define OF_BUILD(id) JOIN(id, HB_CPU_BUILD)

const hb_ant_observer OF_BUILD(hb_ant_observer) = {STRING(HB_CPU_BUILD), observe};
