// The arithmetic of rigid.h, for robots of the shape HB_RIGID_SHAPE (chains, links) and the width of real.h. The includer takes
// `rigid_step`, `rigid_look`, `rigid_forces`, `rigid_state` and `rigid_work`.
//
// Everything is expressed along the world's axes about the root's origin, where x and y of the root never enter. A spatial
// velocity is (angular 3, linear 3) of the body's point at that origin; a force is (moment 3, force 3) about it.
//
// With its chains eliminated first, the inertia matrix is M = L' D L with L nearly empty: a joint's row has only its ancestors
// in its own chain, and the root's block of 6 is G G'. The unknown is u = sqrt(D) L qacc, and a constraint with Jacobian J has the
// row Y = D^-1/2 L^-T J', of 6 + links numbers, so that J M^-1 J' = Y Y' (Featherstone 2008, chapters 5, 6 and 8).
//
// Which constraints are active differs from robot to robot: slot s holds each robot's s-th active one, on whichever chain it is. A
// robot without an s-th has Y = -0 there: then its forces stay +0, their products with Y are -0, and adding those changes no bit.
#ifndef HB_RIGID_STEP_H
#define HB_RIGID_STEP_H

#include "kernels/rigid.h"
#include "kernels/robot_math.h"

#define CHAINS 4 // the shape
#define LINKS  2
#define JOINTS (CHAINS * LINKS)
#define BODIES (1 + JOINTS)
#define DOFS   (6 + JOINTS)
#define ROW    (6 + LINKS)

#define MOST_CONTACTS HB_RIGID_SPHERES

#ifdef HB_REAL_DOUBLE
typedef hb_rigid_numbers numbers;
#define NUMBERS_OF(model) (&(model)->numbers)
#else
typedef hb_rigid_floats numbers;
#define NUMBERS_OF(model) (&(model)->floats)
#endif

typedef struct {
    real position[7 + JOINTS], speed[DOFS], warm[DOFS], control[JOINTS], touch[BODIES], moment[3];
} rigid_state;

// A body: its axes, its origin and centre of mass from the root's origin, the motion that its joint gives it.
typedef struct {
    real axes[9], origin[3], com[3], joint[6];
} body_state;

// A joint's row of M, then of L: the root's six numbers and those of its ancestors in the chain; d and its roots.
typedef struct {
    real mass[ROW], l[ROW], root_d, inverse_root_d;
} joint_state;

typedef struct {
    real row[ROW];                                         // Y, with the limit's sign
    real bias, inverse, regular, stiff, force;             // -aref; 1.3 / (Y Y' + R); R; 1 / R
    real sign, distance, speed, chain, link, inverse_mass; // where it comes from
    mask on_chain[CHAINS];
} limit_slot;

typedef struct {
    real normal[ROW], first[ROW], second[ROW]; // Y along the normal, and along the directions of friction times mu
    real nn, n1, n2, r11, r12, r22;            // their products
    real bias[3], inverse[4], regular, stiff;  // as above, of the four edges normal +- first, normal +- second
    real force[4];                             // of the edges
    real point[3], axis[2], distance, body, scale; // where it comes from; the body's number, the factor of R
    real owner, direction[2];                      // whose force it is; x and y of the first direction, times mu
    mask on_chain[CHAINS];
} contact_slot;

typedef struct {
    body_state body[BODIES]; // the root, then the links chain by chain
    real velocity[6];        // of the root
    joint_state joint[CHAINS][LINKS];
    real root_inertia[9]; // of all bodies about the origin: xx yy zz xy xz yz, then mass times centre
    real root_force[6];   // translations, rotations: all but constraints
    real joint_force[JOINTS];
    real g[21], inverse_g[6];   // the root's factor and the inverses of its diagonal
    real smooth[DOFS], u[DOFS]; // u without and with constraint forces
    limit_slot limit[JOINTS];
    contact_slot contact[MOST_CONTACTS];
    int n_limits, n_contacts;
    real seen[3]; // the root's position of these numbers
    // Runge-Kutta's, here so that they do not hold registers while stages run: where the step began, what sums up, the stage's rates.
    real begun[7 + JOINTS], begun_speed[DOFS], sum_rate[DOFS], sum_a[DOFS], rate[DOFS];
} rigid_work;

typedef hb_rigid_model robot_model;
typedef rigid_work robot_work;
#include "kernels/robot_solve.h"

// ---------------------------------------------------------------------------------------------------
// Small algebra

BRICK real dot3(const real *a, const real *b) {
    return real_fma(a[0], b[0], real_fma(a[1], b[1], a[2] * b[2]));
}

BRICK real dot3_number(const number *a, const real *b) {
    return real_fma(real_all(a[0]), b[0], real_fma(real_all(a[1]), b[1], real_all(a[2]) * b[2]));
}

BRICK real dot6(const real *a, const real *b) {
    return dot3(a, b) + dot3(a + 3, b + 3);
}

BRICK real dot_rows(const real *a, const real *b) {
    real sum = dot6(a, b);
    EACH(l, LINKS) sum = real_fma(a[6 + l], b[6 + l], sum);
    return sum;
}

BRICK void cross(real *r, const real *a, const real *b) {
    r[0] = real_fnma(a[2], b[1], a[1] * b[2]);
    r[1] = real_fnma(a[0], b[2], a[2] * b[0]);
    r[2] = real_fnma(a[1], b[0], a[0] * b[1]);
}

BRICK void add_cross(real *r, const real *a, const real *b) {
    r[0] = real_fma(a[1], b[2], real_fnma(a[2], b[1], r[0]));
    r[1] = real_fma(a[2], b[0], real_fnma(a[0], b[2], r[1]));
    r[2] = real_fma(a[0], b[1], real_fnma(a[1], b[0], r[2]));
}

// r = axes v, for a vector in a body's frame
BRICK void turn(real *r, const real *axes, const number *v) {
    EACH(i, 3) r[i] = dot3_number(v, axes + 3 * i);
}

// r = axes I axes', symmetric
BRICK void turn_inertia(real *r, const real *axes, const number *i) {
    real t[9];
    EACH(k, 3) {
        const real *a = axes + 3 * k;
        t[3 * k] = real_fma(real_all(i[0]), a[0], real_fma(real_all(i[3]), a[1], real_all(i[4]) * a[2]));
        t[3 * k + 1] = real_fma(real_all(i[3]), a[0], real_fma(real_all(i[1]), a[1], real_all(i[5]) * a[2]));
        t[3 * k + 2] = real_fma(real_all(i[4]), a[0], real_fma(real_all(i[5]), a[1], real_all(i[2]) * a[2]));
    }
    EACH(k, 3) r[k] = dot3(t + 3 * k, axes + 3 * k);
    r[3] = dot3(t, axes + 3);
    r[4] = dot3(t, axes + 6);
    r[5] = dot3(t + 3, axes + 6);
}

// r = I v of a symmetric matrix
BRICK void symmetric_times(real *r, const real *i, const real *v) {
    r[0] = real_fma(i[0], v[0], real_fma(i[3], v[1], i[4] * v[2]));
    r[1] = real_fma(i[3], v[0], real_fma(i[1], v[1], i[5] * v[2]));
    r[2] = real_fma(i[4], v[0], real_fma(i[5], v[1], i[2] * v[2]));
}

// The momentum (angular, linear) of a spatial velocity: inertia 6 about the origin, 3 mass times centre, and the mass.
BRICK void momentum(real *r, const real *inertia, number mass, const real *v) {
    const real *h = inertia + 6;
    symmetric_times(r, inertia, v);
    add_cross(r, h, v + 3);
    EACH(i, 3) r[3 + i] = real_all(mass) * v[3 + i];
    add_cross(r + 3, v, h);
}

// One of CHAINS values for each robot: that of its chain, or the first one's.
BRICK real pick(const mask *on_chain, const real *values, int stride) {
    real value = values[0];
    UNROLL for (int k = 1; k < CHAINS; k++) value = real_choose(on_chain[k], values[k * stride], value);
    return value;
}

#define STRIDE(type) ((int)(sizeof(type) / sizeof(real)))

// ---------------------------------------------------------------------------------------------------
// Kinematics

BRICK void root_axes(const real *q, real *axes) {
    const real two = real_all(2);
    const real ww = q[0] * q[0], xx = q[1] * q[1], yy = q[2] * q[2], zz = q[3] * q[3];
    axes[0] = (ww + xx) - (yy + zz);
    axes[4] = (ww - xx) + (yy - zz);
    axes[8] = (ww - xx) - (yy - zz);
    axes[1] = two * real_fnma(q[0], q[3], q[1] * q[2]);
    axes[2] = two * real_fma(q[0], q[2], q[1] * q[3]);
    axes[3] = two * real_fma(q[0], q[3], q[1] * q[2]);
    axes[5] = two * real_fnma(q[0], q[1], q[2] * q[3]);
    axes[6] = two * real_fnma(q[0], q[2], q[1] * q[3]);
    axes[7] = two * real_fma(q[0], q[1], q[2] * q[3]);
}

STAGE void kinematics(const numbers *c, const rigid_state *s, rigid_work *w) {
    real sine[JOINTS], cosine[JOINTS];
    real_sincos(s->position + 7, sine, cosine, JOINTS);
    root_axes(s->position + 3, w->body[0].axes);
    EACH(i, 3) w->body[0].origin[i] = real_all(0);
    for (int k = 0; k < CHAINS; k++) {
        const body_state *parent = &w->body[0];
        EACH(l, LINKS) {
            body_state *b = &w->body[1 + LINKS * k + l];
            const number *fixed = c->link[k][l].rotation, *by_sine = c->link[k][l].sine,
                         *by_cosine = c->link[k][l].cosine;
            const real sn = sine[LINKS * k + l], cs = cosine[LINKS * k + l];
            real local[9];
            EACH(i, 9)
            local[i] = real_fma(sn, real_all(by_sine[i]), real_fma(cs, real_all(by_cosine[i]), real_all(fixed[i])));
            EACH(i, 3)
            EACH(j, 3) {
                const real *row = parent->axes + 3 * i;
                b->axes[3 * i + j] =
                    real_fma(row[0], local[j], real_fma(row[1], local[3 + j], row[2] * local[6 + j]));
            }
            turn(b->origin, parent->axes, c->link[k][l].position);
            EACH(i, 3) b->origin[i] = b->origin[i] + parent->origin[i];
            turn(b->joint, parent->axes, c->link[k][l].axis);
            cross(b->joint + 3, b->origin, b->joint);
            turn(b->com, b->axes, c->link[k][l].com);
            EACH(i, 3) b->com[i] = b->com[i] + b->origin[i];
            parent = b;
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// Forces and inertia

typedef struct {
    real velocity[6], acceleration[6]; // acceleration with all joint accelerations 0, gravity as an upward one
} motion;

// The motion of a link from its parent's.
BRICK void move_link(const motion *parent, const body_state *b, real joint_speed, motion *m) {
    real turned[3], shifted[3];
    cross(turned, parent->velocity, b->joint);
    cross(shifted, parent->velocity, b->joint + 3);
    add_cross(shifted, parent->velocity + 3, b->joint);
    EACH(i, 3) {
        m->acceleration[i] = real_fma(turned[i], joint_speed, parent->acceleration[i]);
        m->acceleration[3 + i] = real_fma(shifted[i], joint_speed, parent->acceleration[3 + i]);
    }
    EACH(i, 6) m->velocity[i] = real_fma(b->joint[i], joint_speed, parent->velocity[i]);
}

// The force about the origin that a link's motion takes: m a at its centre of mass, I alpha + omega x I omega about it.
BRICK void link_force(const motion *m, const body_state *b, const real *inertia, number mass, real *force) {
    const real *omega = m->velocity, *alpha = m->acceleration;
    real v[3], a[3], spin[3];
    EACH(i, 3) {
        v[i] = m->velocity[3 + i];
        a[i] = m->acceleration[3 + i];
    }
    add_cross(v, omega, b->com);
    add_cross(a, alpha, b->com);
    add_cross(a, omega, v);
    EACH(i, 3) force[3 + i] = real_all(mass) * a[i];
    symmetric_times(spin, inertia, omega);
    symmetric_times(force, inertia, alpha);
    add_cross(force, omega, spin);
    add_cross(force, b->com, force + 3);
}

// Adds a link's inertia about the origin to `sum`: I + m (d'd 1 - d d'), and m d.
BRICK void add_inertia(real *sum, const real *inertia, number mass, const real *d) {
    real h[3];
    EACH(i, 3) h[i] = real_all(mass) * d[i];
    const real xx = h[0] * d[0], yy = h[1] * d[1], zz = h[2] * d[2];
    sum[0] = sum[0] + (inertia[0] + (yy + zz));
    sum[1] = sum[1] + (inertia[1] + (xx + zz));
    sum[2] = sum[2] + (inertia[2] + (xx + yy));
    sum[3] = sum[3] + real_fnma(h[0], d[1], inertia[3]);
    sum[4] = sum[4] + real_fnma(h[0], d[2], inertia[4]);
    sum[5] = sum[5] + real_fnma(h[1], d[2], inertia[5]);
    EACH(i, 3) sum[6 + i] = sum[6 + i] + h[i];
}

// A chain's links: their share of the root's inertia and force, and the chain's rows of M.
BRICK void chain_dynamics(const numbers *c, const rigid_state *s, rigid_work *w, int k, const motion *root,
                          real *root_inertia, real *root_force) {
    real force[LINKS][6], inertia[LINKS][6];
    motion m[LINKS];
    EACH(l, LINKS) {
        const body_state *b = &w->body[1 + LINKS * k + l];
        turn_inertia(inertia[l], b->axes, c->link[k][l].inertia);
        move_link(l ? &m[l - 1] : root, b, s->speed[6 + LINKS * k + l], &m[l]);
        link_force(&m[l], b, inertia[l], c->link[k][l].mass, force[l]);
    }
    real composite[9], total[6];
    EACH(i, 9) composite[i] = real_all(0);
    EACH(i, 6) total[i] = real_all(0);
    number mass = 0;
    UNROLL for (int l = LINKS - 1; l >= 0; l--) {
        const body_state *b = &w->body[1 + LINKS * k + l];
        const int j = LINKS * k + l;
        EACH(i, 6) total[i] = total[i] + force[l][i];
        const real motor =
            real_fnma(real_all(c->link[k][l].damping), s->speed[6 + j], real_all(c->link[k][l].gear) * s->control[j]);
        w->joint_force[j] = motor - dot6(b->joint, total);
        add_inertia(composite, inertia[l], c->link[k][l].mass, b->com);
        mass += c->link[k][l].mass;
        real p[6], *row = w->joint[k][l].mass;
        momentum(p, composite, mass, b->joint);
        EACH(i, 3) {
            row[i] = p[3 + i];
            row[3 + i] = p[i];
        }
        UNROLL for (int a = 0; a < l; a++) row[6 + a] = dot6(p, w->body[1 + LINKS * k + a].joint);
        row[6 + l] = dot6(p, b->joint) + real_all(c->link[k][l].armature);
    }
    EACH(i, 9) root_inertia[i] = root_inertia[i] + composite[i];
    EACH(i, 6) root_force[i] = root_force[i] + total[i];
}

STAGE void dynamics(const numbers *c, const rigid_state *s, rigid_work *w) {
    const real *axes = w->body[0].axes;
    motion root;
    real inertia[9], force[6], carried[6];
    EACH(i, 3) {
        root.velocity[i] = dot3(axes + 3 * i, s->speed + 3);
        root.velocity[3 + i] = s->speed[i];
        root.acceleration[i] = real_all(0);
    }
    cross(root.acceleration + 3, root.velocity + 3, root.velocity);
    root.acceleration[5] = root.acceleration[5] + real_all(c->gravity);
    turn_inertia(inertia, axes, c->root.inertia);
    turn(inertia + 6, axes, c->root.com);
    EACH(i, 3) inertia[6 + i] = inertia[6 + i] * real_all(c->root.mass);
    momentum(force, inertia, c->root.mass, root.acceleration);
    momentum(carried, inertia, c->root.mass, root.velocity);
    add_cross(force, root.velocity, carried);
    add_cross(force, root.velocity + 3, carried + 3);
    add_cross(force + 3, root.velocity, carried + 3);
    for (int k = 0; k < CHAINS; k++) chain_dynamics(c, s, w, k, &root, inertia, force);
    EACH(i, 6) w->velocity[i] = root.velocity[i];
    EACH(i, 9) w->root_inertia[i] = inertia[i];
    EACH(i, 3) {
        w->root_force[i] = real_fnma(real_all(c->root_damping[0]), root.velocity[3 + i], -force[3 + i]);
        w->root_force[3 + i] = real_fnma(real_all(c->root_damping[1]), root.velocity[i], -force[i]);
    }
}

// ---------------------------------------------------------------------------------------------------
// The factor

// The root's block of M, lower triangle, with `extra` on the diagonals of translations and rotations.
BRICK void root_block(const numbers *c, const rigid_work *w, const number extra[2], real *m) {
    const real *i = w->root_inertia, zero = real_all(0);
    number mass = c->root.mass;
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < LINKS; l++) mass += c->link[k][l].mass;
    const real translation = real_all(mass + c->root_armature[0] + extra[0]);
    const real rotation = real_all(c->root_armature[1] + extra[1]);
    EACH(r, 3)
    EACH(j, 3)
    if (j <= r) m[LOWER(r, j)] = r == j ? translation : zero;
    // A rotation about axis j moves the centre of mass by e_j x h.
    m[LOWER(3, 0)] = zero;
    m[LOWER(3, 1)] = -i[8];
    m[LOWER(3, 2)] = i[7];
    m[LOWER(4, 0)] = i[8];
    m[LOWER(4, 1)] = zero;
    m[LOWER(4, 2)] = -i[6];
    m[LOWER(5, 0)] = -i[7];
    m[LOWER(5, 1)] = i[6];
    m[LOWER(5, 2)] = zero;
    m[LOWER(3, 3)] = i[0] + rotation;
    m[LOWER(4, 4)] = i[1] + rotation;
    m[LOWER(5, 5)] = i[2] + rotation;
    m[LOWER(4, 3)] = i[3];
    m[LOWER(5, 3)] = i[4];
    m[LOWER(5, 4)] = i[5];
}

// Eliminates a chain, tip first: row l of L is row l of M over its diagonal d, and every ancestor loses its share. `extra` is added
// to each joint's diagonal. Takes the chain's share from the root's block m.
BRICK void eliminate_chain(const joint_state *joint, const number *extra, real l[LINKS][ROW], real d[LINKS],
                           real inverse_d[LINKS], real *m) {
    real row[LINKS][ROW];
    EACH(a, LINKS)
    EACH(i, 7 + a) row[a][i] = joint[a].mass[i];
    UNROLL for (int a = LINKS - 1; a >= 0; a--) {
        d[a] = row[a][6 + a] + real_all(extra[a]);
        inverse_d[a] = inverse_of(d[a]);
        EACH(i, 6 + a) l[a][i] = row[a][i] * inverse_d[a];
        UNROLL for (int b = 0; b < a; b++) {
            EACH(i, 7 + b) row[b][i] = real_fnma(row[a][6 + b], l[a][i], row[b][i]);
        }
        EACH(i, 6)
        EACH(j, 6)
        if (j <= i) m[LOWER(i, j)] = real_fnma(row[a][i], l[a][j], m[LOWER(i, j)]);
    }
}

// z = G^-1 z
BRICK void solve_root(const rigid_work *w, real *z) {
    EACH(i, 6) {
        real x = z[i];
        UNROLL for (int k = 0; k < i; k++) x = real_fnma(w->g[LOWER(i, k)], z[k], x);
        z[i] = x * w->inverse_g[i];
    }
}

STAGE void factor(const numbers *c, rigid_work *w) {
    static const number nothing[LINKS + 2] = {0};
    real m[21];
    root_block(c, w, nothing, m);
    EACH(i, 6) w->smooth[i] = w->root_force[i];
    for (int k = 0; k < CHAINS; k++) {
        real l[LINKS][ROW], d[LINKS], inverse_d[LINKS], force[LINKS];
        eliminate_chain(w->joint[k], nothing, l, d, inverse_d, m);
        EACH(a, LINKS) force[a] = w->joint_force[LINKS * k + a];
        UNROLL for (int a = LINKS - 1; a >= 0; a--) {
            joint_state *joint = &w->joint[k][a];
            joint->inverse_root_d = real_root(inverse_d[a]);
            joint->root_d = d[a] * joint->inverse_root_d;
            EACH(i, 6 + a) joint->l[i] = l[a][i];
            UNROLL for (int b = 0; b < a; b++) force[b] = real_fnma(l[a][6 + b], force[a], force[b]);
            EACH(i, 6) w->smooth[i] = real_fnma(l[a][i], force[a], w->smooth[i]);
            w->smooth[6 + LINKS * k + a] = force[a] * joint->inverse_root_d;
        }
    }
    EACH(j, 6) {
        real d = m[LOWER(j, j)];
        UNROLL for (int k = 0; k < j; k++) d = real_fnma(w->g[LOWER(j, k)], w->g[LOWER(j, k)], d);
        w->inverse_g[j] = real_root(inverse_of(d));
        w->g[LOWER(j, j)] = d * w->inverse_g[j];
        UNROLL for (int i = j + 1; i < 6; i++) {
            real x = m[LOWER(i, j)];
            UNROLL for (int k = 0; k < j; k++) x = real_fnma(w->g[LOWER(i, k)], w->g[LOWER(j, k)], x);
            w->g[LOWER(i, j)] = x * w->inverse_g[j];
        }
    }
    solve_root(w, w->smooth);
}

// ---------------------------------------------------------------------------------------------------
// Constraints

// What the rows of a slot need of each robot's chain.
typedef struct {
    real l[LINKS][ROW], inverse_root_d[LINKS];
} chain_factor;

BRICK void find_chain(mask *on_chain, real chain) {
    EACH(k, CHAINS) on_chain[k] = real_equal(chain, real_all((number)k));
}

BRICK void pick_chain(const rigid_work *w, const mask *on_chain, chain_factor *f) {
    EACH(a, LINKS) {
        const joint_state *joint = &w->joint[0][a];
        EACH(i, 6 + a) f->l[a][i] = pick(on_chain, joint->l + i, LINKS * STRIDE(joint_state));
        f->inverse_root_d[a] = pick(on_chain, &joint->inverse_root_d, LINKS * STRIDE(joint_state));
    }
}

// Y = D^-1/2 L^-T J', in place
BRICK void to_row(const rigid_work *w, const chain_factor *f, real *j) {
    UNROLL for (int a = LINKS - 1; a >= 0; a--) {
        EACH(i, 6 + a) j[i] = real_fnma(f->l[a][i], j[6 + a], j[i]);
        j[6 + a] = j[6 + a] * f->inverse_root_d[a];
    }
    solve_root(w, j);
}

BRICK void switch_off(mask on, real *row) {
    EACH(i, ROW) row[i] = real_choose(on, row[i], real_all((number)-0.0));
}

BRICK void add_limit(rigid_work *w, mask on, real count, int chain, int link, number inverse_mass, real sign,
                     real distance, real speed) {
    for (int i = 0; i <= w->n_limits && i < JOINTS; i++) {
        const mask m = mask_and(on, real_equal(count, real_all((number)i)));
        if (!mask_any(m)) continue;
        limit_slot *t = &w->limit[i];
        if (i == w->n_limits) {
            w->n_limits++;
            t->sign = t->inverse_mass = real_all(1);
            t->distance = t->speed = t->chain = t->link = real_all(0);
        }
        t->sign = real_choose(m, sign, t->sign);
        t->distance = real_choose(m, distance, t->distance);
        t->speed = real_choose(m, speed, t->speed);
        t->chain = real_choose(m, real_all((number)chain), t->chain);
        t->link = real_choose(m, real_all((number)link), t->link);
        t->inverse_mass = real_choose(m, real_all(inverse_mass), t->inverse_mass);
    }
}

STAGE void make_limit(const numbers *c, const rigid_work *w, limit_slot *t, mask on) {
    chain_factor f;
    find_chain(t->on_chain, t->chain);
    pick_chain(w, t->on_chain, &f);
    EACH(i, 6) t->row[i] = real_all(0);
    EACH(l, LINKS) t->row[6 + l] = real_choose(real_equal(t->link, real_all((number)l)), t->sign, real_all(0));
    to_row(w, &f, t->row);
    switch_off(on, t->row);
    const real d = impedance(c->limit.impedance, c->limit.inverse_width, t->distance);
    t->regular = regularizer(d, t->inverse_mass);
    t->stiff = real_choose(on, inverse_of(t->regular), real_all(0));
    t->inverse = real_choose(on, relaxed_inverse(dot_rows(t->row, t->row) + t->regular), real_all(0));
    t->bias =
        real_fma(real_all(c->limit.damping) * t->sign, t->speed, real_all(c->limit.stiffness) * d * t->distance);
}

STAGE void find_limits(const numbers *c, const rigid_state *s, rigid_work *w) {
    const real zero = real_all(0), one = real_all(1);
    real count = zero;
    w->n_limits = 0;
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < LINKS; l++) {
            const int j = LINKS * k + l;
            const real below = s->position[7 + j] - real_all(c->link[k][l].lower);
            const real above = real_all(c->link[k][l].upper) - s->position[7 + j];
            const mask low = real_less(below, above);
            const real distance = real_choose(low, below, above);
            const mask on = real_less(distance, zero);
            if (!mask_any(on)) continue;
            add_limit(w, on, count, k, l, c->link[k][l].inverse_mass, real_choose(low, one, -one), distance,
                      s->speed[6 + j]);
            count = real_choose(on, count + one, count);
        }
    for (int i = 0; i < w->n_limits; i++) make_limit(c, w, &w->limit[i], real_less(real_all((number)i), count));
}

// Height of a sphere's lowest point above the floor.
BRICK real sphere_distance(const numbers *c, const rigid_state *s, const rigid_work *w, int sphere, int body) {
    const body_state *b = &w->body[body];
    return (s->position[2] + b->origin[2]) +
           (dot3_number(c->sphere[sphere].centre, b->axes + 6) - real_all(c->sphere[sphere].radius));
}

BRICK void add_contact(const hb_rigid_model *model, rigid_work *w, mask on, real count, int sphere, real distance) {
    const numbers *c = NUMBERS_OF(model);
    const int body = model->sphere_body[sphere];
    const body_state *b = &w->body[body];
    const number mu = c->friction, scale = 2 * mu * mu * (1 + mu * mu) * c->sphere[sphere].inverse_mass;
    real point[3], axis[2];
    turn(point, b->axes, c->sphere[sphere].centre);
    EACH(i, 3) point[i] = point[i] + b->origin[i];
    point[2] = real_fnma(distance, real_all((number)0.5), point[2] - real_all(c->sphere[sphere].radius));
    EACH(i, 2)
    axis[i] = model->sphere_turns[sphere] ? dot3_number(c->sphere[sphere].axis, b->axes + 3 * i)
                                          : real_all(c->sphere[sphere].axis[i]);
    for (int i = 0; i <= w->n_contacts && i < MOST_CONTACTS; i++) {
        const mask m = mask_and(on, real_equal(count, real_all((number)i)));
        if (!mask_any(m)) continue;
        contact_slot *t = &w->contact[i];
        if (i == w->n_contacts) {
            w->n_contacts++;
            t->point[0] = t->point[1] = t->point[2] = t->axis[1] = t->distance = t->body = t->owner = real_all(0);
            t->axis[0] = t->scale = real_all(1);
        }
        EACH(a, 3) t->point[a] = real_choose(m, point[a], t->point[a]);
        EACH(a, 2) t->axis[a] = real_choose(m, axis[a], t->axis[a]);
        t->distance = real_choose(m, distance, t->distance);
        t->body = real_choose(m, real_all((number)body), t->body);
        t->scale = real_choose(m, real_all(scale), t->scale);
        t->owner = real_choose(m, real_all((number)model->sphere_owner[sphere]), t->owner);
    }
}

// The Jacobians of a contact: along the normal, and along both directions of friction times mu. velocity: of the point.
BRICK void contact_jacobians(const rigid_state *s, const rigid_work *w, contact_slot *t, real mx, real my,
                             real *velocity) {
    const real *p = t->point, zero = real_all(0);
    EACH(i, 3) velocity[i] = w->velocity[3 + i];
    add_cross(velocity, w->velocity, p);
    t->normal[0] = t->normal[1] = t->normal[5] = t->first[2] = t->second[2] = zero;
    t->normal[2] = real_all(1);
    t->normal[3] = p[1];
    t->normal[4] = -p[0];
    t->first[0] = mx;
    t->first[1] = my;
    t->first[3] = -(p[2] * my);
    t->first[4] = p[2] * mx;
    t->first[5] = real_fnma(p[1], mx, p[0] * my);
    t->second[0] = -my;
    t->second[1] = mx;
    t->second[3] = -(p[2] * mx);
    t->second[4] = -(p[2] * my);
    t->second[5] = real_fma(p[1], my, p[0] * mx);
    EACH(k, CHAINS) // bodies 1 + links k to links (k + 1) are those of chain k
    t->on_chain[k] = mask_and(real_less(real_all((number)(LINKS * k)), t->body),
                              real_less(t->body, real_all((number)(LINKS * (k + 1) + 1))));
    // The link's number in its chain, from 1; 0 for the root
    real depth = t->body;
    UNROLL for (int k = 1; k < CHAINS; k++) depth =
        real_choose(t->on_chain[k], t->body - real_all((number)(LINKS * k)), depth);
    EACH(l, LINKS) {
        const mask moved = real_less(real_all((number)l), depth);
        real joint[6], e[3];
        EACH(i, 6) joint[i] = pick(t->on_chain, w->body[1 + l].joint + i, LINKS * STRIDE(body_state));
        EACH(i, 3) e[i] = joint[3 + i];
        add_cross(e, joint, p);
        EACH(i, 3) e[i] = real_choose(moved, e[i], zero);
        const real speed = pick(t->on_chain, s->speed + 6 + l, LINKS);
        EACH(i, 3) velocity[i] = real_fma(e[i], speed, velocity[i]);
        t->normal[6 + l] = e[2];
        t->first[6 + l] = real_fma(mx, e[0], my * e[1]);
        t->second[6 + l] = real_fnma(my, e[0], mx * e[1]);
    }
}

STAGE void make_contact(const numbers *c, const rigid_state *s, const rigid_work *w, contact_slot *t, mask on) {
    const real zero = real_all(0), one = real_all(1), two = real_all(2), mu = real_all(c->friction);
    const real square = real_fma(t->axis[0], t->axis[0], t->axis[1] * t->axis[1]);
    const mask level =
        real_less(real_all((number)1e-30), square); // else the axis is vertical: any direction, MuJoCo's is x
    const real inverse = inverse_of(real_root(real_choose(level, square, one)));
    const real mx = mu * real_choose(level, t->axis[0] * inverse, one);
    const real my = mu * real_choose(level, t->axis[1] * inverse, zero);
    t->direction[0] = mx;
    t->direction[1] = my;
    real v[3];
    contact_jacobians(s, w, t, mx, my, v);
    chain_factor f;
    pick_chain(w, t->on_chain, &f);
    to_row(w, &f, t->normal);
    to_row(w, &f, t->first);
    to_row(w, &f, t->second);
    switch_off(on, t->normal);
    switch_off(on, t->first);
    switch_off(on, t->second);
    const real depth = t->distance - real_all(c->margin);
    const real d = impedance(c->contact.impedance, c->contact.inverse_width, depth),
               damping = real_all(c->contact.damping);
    const real r = regularizer(d, t->scale);
    t->bias[0] = real_fma(damping, v[2], real_all(c->contact.stiffness) * d * depth);
    t->bias[1] = damping * real_fma(mx, v[0], my * v[1]);
    t->bias[2] = damping * real_fnma(my, v[0], mx * v[1]);
    t->nn = dot_rows(t->normal, t->normal);
    t->n1 = dot_rows(t->normal, t->first);
    t->n2 = dot_rows(t->normal, t->second);
    t->r11 = dot_rows(t->first, t->first);
    t->r12 = dot_rows(t->first, t->second);
    t->r22 = dot_rows(t->second, t->second);
    const real first = t->nn + (t->r11 + r), second = t->nn + (t->r22 + r);
    t->inverse[0] = real_choose(on, relaxed_inverse(real_fma(two, t->n1, first)), zero);
    t->inverse[1] = real_choose(on, relaxed_inverse(real_fnma(two, t->n1, first)), zero);
    t->inverse[2] = real_choose(on, relaxed_inverse(real_fma(two, t->n2, second)), zero);
    t->inverse[3] = real_choose(on, relaxed_inverse(real_fnma(two, t->n2, second)), zero);
    t->regular = r;
    t->stiff = real_choose(on, inverse_of(r), zero);
}

STAGE void find_contacts(const hb_rigid_model *model, const rigid_state *s, rigid_work *w) {
    const numbers *c = NUMBERS_OF(model);
    const real one = real_all(1), margin = real_all(c->margin);
    real count = real_all(0);
    w->n_contacts = 0;
    for (int k = 0; k < model->spheres; k++) {
        const int body = model->sphere_body[k];
        const real distance = sphere_distance(c, s, w, k, body);
        const mask on = real_less(distance, margin);
        if (!mask_any(on)) continue;
        add_contact(model, w, on, count, k, distance);
        count = real_choose(on, count + one, count);
    }
    for (int i = 0; i < w->n_contacts; i++)
        make_contact(c, s, w, &w->contact[i], real_less(real_all((number)i), count));
}

// ---------------------------------------------------------------------------------------------------
// The solver: min over f >= 0 of 1/2 |u_smooth + Y' f|^2 + 1/2 f' R f + f' bias, by sweeps over the rows (projected
// successive over-relaxation)

typedef struct {
    real link[LINKS];
} chain_part;

// Row times u, plus a start: the root's six numbers, and those of the robot's chain.
BRICK real row_times(const real *row, const real *u, const chain_part *part, real start) {
    real low = real_fma(row[0], u[0], real_fma(row[1], u[1], real_fma(row[2], u[2], start)));
    real high = real_fma(row[3], u[3], real_fma(row[4], u[4], row[5] * u[5]));
    EACH(l, LINKS) {
        if (l % 2 == 0)
            low = real_fma(row[6 + l], part->link[l], low);
        else
            high = real_fma(row[6 + l], part->link[l], high);
    }
    return low + high;
}

BRICK void take_part(const mask *on_chain, const real *u, chain_part *part) {
    EACH(l, LINKS) part->link[l] = pick(on_chain, u + 6 + l, LINKS);
}

// u += Y' f for the rows of a slot: change of root's numbers is done by the caller, this adds to the robot's chain
BRICK void add_part(const mask *on_chain, real *u, const chain_part *part) {
    EACH(k, CHAINS)
    EACH(l, LINKS) {
        real *at = u + 6 + LINKS * k + l;
        *at = real_choose(on_chain[k], *at + part->link[l], *at);
    }
}

BRICK void add_limit_force(const limit_slot *t, real *u, real f) {
    chain_part part;
    EACH(i, 6) u[i] = real_fma(t->row[i], f, u[i]);
    EACH(l, LINKS) part.link[l] = t->row[6 + l] * f;
    add_part(t->on_chain, u, &part);
}

// Forces along the normal and the two directions of friction.
BRICK void add_contact_force(const contact_slot *t, real *u, real fn, real f1, real f2) {
    chain_part part;
    EACH(i, 6) u[i] = real_fma(t->normal[i], fn, real_fma(t->first[i], f1, real_fma(t->second[i], f2, u[i])));
    EACH(l, LINKS)
    part.link[l] = real_fma(t->normal[6 + l], fn, real_fma(t->first[6 + l], f1, t->second[6 + l] * f2));
    add_part(t->on_chain, u, &part);
}

// u of the accelerations of the step before.
BRICK void warm_u(const rigid_state *s, const rigid_work *w, real *u) {
    const real *axes = w->body[0].axes;
    real a[6];
    EACH(i, 3) {
        a[i] = s->warm[i];
        a[3 + i] = dot3(axes + 3 * i, s->warm + 3);
    }
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const joint_state *joint = &w->joint[k][l];
            real x = s->warm[6 + LINKS * k + l];
            EACH(i, 6) x = real_fma(joint->l[i], a[i], x);
            UNROLL for (int b = 0; b < l; b++) x = real_fma(joint->l[6 + b], s->warm[6 + LINKS * k + b], x);
            u[6 + LINKS * k + l] = x * joint->root_d;
        }
    EACH(i, 6) {
        real x = real_all(0);
        UNROLL for (int k = i; k < 6; k++) x = real_fma(w->g[LOWER(k, i)], a[k], x);
        u[i] = x;
    }
}

// Forces from the last accelerations, unless no forces at all cost less.
STAGE void warm_start(const rigid_state *s, rigid_work *w) {
    const real zero = real_all(0), half = real_all((number)0.5);
    real u[DOFS], change[DOFS], cost = zero;
    chain_part warm, smooth;
    warm_u(s, w, u);
    EACH(i, DOFS) change[i] = zero;
    for (int i = 0; i < w->n_limits; i++) {
        limit_slot *t = &w->limit[i];
        take_part(t->on_chain, u, &warm);
        take_part(t->on_chain, w->smooth, &smooth);
        t->force = real_larger(-(t->stiff * row_times(t->row, u, &warm, t->bias)), zero);
        const real slope = real_fma(half * t->regular, t->force, row_times(t->row, w->smooth, &smooth, t->bias));
        cost = real_fma(t->force, slope, cost);
        add_limit_force(t, change, t->force);
    }
    for (int i = 0; i < w->n_contacts; i++) {
        contact_slot *t = &w->contact[i];
        take_part(t->on_chain, u, &warm);
        take_part(t->on_chain, w->smooth, &smooth);
        const real n = row_times(t->normal, u, &warm, t->bias[0]);
        const real a = row_times(t->first, u, &warm, t->bias[1]), b = row_times(t->second, u, &warm, t->bias[2]);
        real *f = t->force;
        f[0] = real_larger(-(t->stiff * (n + a)), zero);
        f[1] = real_larger(-(t->stiff * (n - a)), zero);
        f[2] = real_larger(-(t->stiff * (n + b)), zero);
        f[3] = real_larger(-(t->stiff * (n - b)), zero);
        const real fn = (f[0] + f[1]) + (f[2] + f[3]), f1 = f[0] - f[1], f2 = f[2] - f[3];
        const real squares = real_fma(f[0], f[0], real_fma(f[1], f[1], real_fma(f[2], f[2], f[3] * f[3])));
        cost = real_fma(fn, row_times(t->normal, w->smooth, &smooth, t->bias[0]), cost);
        cost = real_fma(f1, row_times(t->first, w->smooth, &smooth, t->bias[1]), cost);
        cost = real_fma(f2, row_times(t->second, w->smooth, &smooth, t->bias[2]), cost);
        cost = real_fma(half * t->regular, squares, cost);
        add_contact_force(t, change, fn, f1, f2);
    }
    begin_with(w, change, cost);
}

BRICK void visit_limit(limit_slot *t, real *u) {
    chain_part part;
    take_part(t->on_chain, u, &part);
    const real residual = row_times(t->row, u, &part, real_fma(t->regular, t->force, t->bias));
    const real force = real_larger(real_fnma(residual, t->inverse, t->force), real_all(0));
    add_limit_force(t, u, force - t->force);
    t->force = force;
}

// One edge of a contact's pyramid: its new force; returns the change.
BRICK real visit_edge(contact_slot *t, int edge, real residual) {
    const real old = t->force[edge];
    t->force[edge] = real_larger(real_fnma(real_fma(t->regular, old, residual), t->inverse[edge], old), real_all(0));
    return t->force[edge] - old;
}

BRICK void visit_contact(contact_slot *t, real *u) {
    chain_part part;
    take_part(t->on_chain, u, &part);
    real n = row_times(t->normal, u, &part, t->bias[0]), a = row_times(t->first, u, &part, t->bias[1]);
    real b = row_times(t->second, u, &part, t->bias[2]);
    real d = visit_edge(t, 0, n + a), fn = d, f1 = d, f2;
    n = real_fma(d, t->nn + t->n1, n);
    a = real_fma(d, t->n1 + t->r11, a);
    d = visit_edge(t, 1, n - a);
    fn = fn + d;
    f1 = f1 - d;
    n = real_fma(d, t->nn - t->n1, n);
    b = real_fma(fn, t->n2, real_fma(f1, t->r12, b));
    d = visit_edge(t, 2, n + b);
    fn = fn + d;
    f2 = d;
    n = real_fma(d, t->nn + t->n2, n);
    b = real_fma(d, t->n2 + t->r22, b);
    d = visit_edge(t, 3, n - b);
    fn = fn + d;
    f2 = f2 - d;
    add_contact_force(t, u, fn, f1, f2);
}

// ---------------------------------------------------------------------------------------------------
// Accelerations and integration

// Accelerations from u: world axes for the root. Also the chains' share of the forces D L qacc.
BRICK void accelerations(const rigid_work *w, real *a) {
    UNROLL for (int i = 5; i >= 0; i--) {
        real x = w->u[i];
        UNROLL for (int k = i + 1; k < 6; k++) x = real_fnma(w->g[LOWER(k, i)], a[k], x);
        a[i] = x * w->inverse_g[i];
    }
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const joint_state *joint = &w->joint[k][l];
            real x = w->u[6 + LINKS * k + l] * joint->inverse_root_d;
            EACH(i, 6) x = real_fnma(joint->l[i], a[i], x);
            UNROLL for (int b = 0; b < l; b++) x = real_fnma(joint->l[6 + b], a[6 + LINKS * k + b], x);
            a[6 + LINKS * k + l] = x;
        }
}

// L D L' of the root's damped block, and its solution for f.
BRICK void solve_damped_root(const real *m, const real *f, real *a) {
    real l[21], inverse_d[6], y[6];
    EACH(j, 6) {
        real d = m[LOWER(j, j)], v[6];
        UNROLL for (int k = 0; k < j; k++) {
            v[k] = l[LOWER(j, k)] * l[LOWER(k, k)];
            d = real_fnma(l[LOWER(j, k)], v[k], d);
        }
        l[LOWER(j, j)] = d;
        inverse_d[j] = inverse_of(d);
        UNROLL for (int i = j + 1; i < 6; i++) {
            real x = m[LOWER(i, j)];
            UNROLL for (int k = 0; k < j; k++) x = real_fnma(l[LOWER(i, k)], v[k], x);
            l[LOWER(i, j)] = x * inverse_d[j];
        }
    }
    EACH(i, 6) {
        y[i] = f[i];
        UNROLL for (int k = 0; k < i; k++) y[i] = real_fnma(l[LOWER(i, k)], y[k], y[i]);
    }
    UNROLL for (int i = 5; i >= 0; i--) {
        real x = y[i] * inverse_d[i];
        UNROLL for (int k = i + 1; k < 6; k++) x = real_fnma(l[LOWER(k, i)], a[k], x);
        a[i] = x;
    }
}

// Replaces a by the solution of (M + h B) a' = M a: the accelerations under implicit damping. M a follows from u.
BRICK void damp(const numbers *c, const rigid_work *w, real *a) {
    const number extra[2] = {c->step * c->root_damping[0], c->step * c->root_damping[1]};
    real m[21], f[6], l[CHAINS][LINKS][ROW], scaled[CHAINS][LINKS];
    root_block(c, w, extra, m);
    EACH(i, 6) {
        f[i] = real_all(0);
        UNROLL for (int k = 0; k <= i; k++) f[i] = real_fma(w->g[LOWER(i, k)], w->u[k], f[i]);
    }
    for (int k = 0; k < CHAINS; k++) {
        number damping[LINKS];
        real d[LINKS], inverse_d[LINKS], force[LINKS];
        EACH(b, LINKS) damping[b] = c->step * c->link[k][b].damping;
        EACH(b, LINKS) {
            const joint_state *joint = &w->joint[k][b];
            force[b] = w->u[6 + LINKS * k + b] * joint->root_d;
            EACH(i, 6) f[i] = real_fma(joint->l[i], force[b], f[i]);
            UNROLL for (int p = 0; p < b; p++) force[p] = real_fma(joint->l[6 + p], force[b], force[p]);
        }
        eliminate_chain(w->joint[k], damping, l[k], d, inverse_d, m);
        UNROLL for (int b = LINKS - 1; b >= 0; b--) {
            EACH(i, 6) f[i] = real_fnma(l[k][b][i], force[b], f[i]);
            UNROLL for (int p = 0; p < b; p++) force[p] = real_fnma(l[k][b][6 + p], force[b], force[p]);
            scaled[k][b] = force[b] * inverse_d[b];
        }
    }
    solve_damped_root(m, f, a);
    for (int k = 0; k < CHAINS; k++) EACH(b, LINKS) {
            real x = scaled[k][b];
            EACH(i, 6) x = real_fnma(l[k][b][i], a[i], x);
            UNROLL for (int p = 0; p < b; p++) x = real_fnma(l[k][b][6 + p], a[6 + LINKS * k + p], x);
            a[6 + LINKS * k + b] = x;
        }
}

// q <- normalised q * (cos |e|, e sin |e| / |e|) with e half the angle turned, |e| < 1.
BRICK void turn_quaternion(real *q, real *e) {
    const real z = dot3(e, e);
    real s = real_all((number)(1.0 / 362880)), c = real_all((number)(-1.0 / 3628800));
    s = real_fma(z, s, real_all((number)(-1.0 / 5040)));
    s = real_fma(z, s, real_all((number)(1.0 / 120)));
    s = real_fma(z, s, real_all((number)(-1.0 / 6)));
    s = real_fma(z, s, real_all(1));
    c = real_fma(z, c, real_all((number)(1.0 / 40320)));
    c = real_fma(z, c, real_all((number)(-1.0 / 720)));
    c = real_fma(z, c, real_all((number)(1.0 / 24)));
    c = real_fma(z, c, real_all((number)-0.5));
    c = real_fma(z, c, real_all(1));
    EACH(i, 3) e[i] = e[i] * s;
    const real a0 = real_fnma(q[1], e[0], real_fnma(q[2], e[1], real_fnma(q[3], e[2], q[0] * c)));
    const real a1 = real_fma(q[1], c, real_fma(q[0], e[0], real_fnma(q[3], e[1], q[2] * e[2])));
    const real a2 = real_fma(q[2], c, real_fma(q[0], e[1], real_fnma(q[1], e[2], q[3] * e[0])));
    const real a3 = real_fma(q[3], c, real_fma(q[0], e[2], real_fnma(q[2], e[0], q[1] * e[1])));
    const real square = real_fma(a0, a0, real_fma(a1, a1, real_fma(a2, a2, a3 * a3)));
    const real inverse = inverse_of(real_root(square));
    q[0] = a0 * inverse;
    q[1] = a1 * inverse;
    q[2] = a2 * inverse;
    q[3] = a3 * inverse;
}

// a, along the world's axes, as the state keeps it: the root's rotation in its own frame.
BRICK void keep_warm(const rigid_work *w, const real *a, real *warm) {
    const real *axes = w->body[0].axes;
    EACH(i, DOFS) warm[i] = a[i];
    EACH(i, 3) warm[3 + i] = real_fma(axes[i], a[3], real_fma(axes[3 + i], a[4], axes[6 + i] * a[5]));
}

STAGE void integrate(const hb_rigid_model *model, rigid_state *s, const rigid_work *w) {
    const numbers *c = NUMBERS_OF(model);
    const real *axes = w->body[0].axes, h = real_all(c->step);
    real a[DOFS];
    accelerations(w, a);
    keep_warm(w, a, s->warm);
    if (model->damped) damp(c, w, a);
    EACH(i, 3) {
        s->speed[i] = real_fma(h, a[i], s->speed[i]);
        s->speed[3 + i] =
            real_fma(h, real_fma(axes[i], a[3], real_fma(axes[3 + i], a[4], axes[6 + i] * a[5])), s->speed[3 + i]);
        s->position[i] = real_fma(h, s->speed[i], s->position[i]);
    }
    EACH(j, JOINTS) {
        s->speed[6 + j] = real_fma(h, a[6 + j], s->speed[6 + j]);
        s->position[7 + j] = real_fma(h, s->speed[6 + j], s->position[7 + j]);
    }
    real e[3];
    EACH(i, 3) e[i] = (real_all((number)0.5) * h) * s->speed[3 + i];
    turn_quaternion(s->position + 3, e);
}

// ---------------------------------------------------------------------------------------------------
// The whole

// u of a state with its constraints solved
STAGE void forward(const hb_rigid_model *model, rigid_state *s, rigid_work *w) {
    const numbers *c = NUMBERS_OF(model);
    kinematics(c, s, w);
    dynamics(c, s, w);
    factor(c, w);
    find_limits(c, s, w);
    find_contacts(model, s, w);
    warm_start(s, w);
    solve(model, w);
    EACH(i, 3) w->seen[i] = s->position[i];
}

// from (+) move: translations and joints add up, the root turns by a rotation vector in its own frame.
STAGE void place(const real *from, const real *move, real *to) {
    real e[3];
    EACH(i, 3) {
        to[i] = from[i] + move[i];
        e[i] = real_all((number)0.5) * move[3 + i];
    }
    EACH(i, 4) to[3 + i] = from[3 + i];
    EACH(j, JOINTS) to[7 + j] = from[7 + j] + move[6 + j];
    turn_quaternion(to + 3, e);
}

// How fast the rotation vector u of a turn changes as a body turns by omega in its own frame (the inverse of exp's differential):
// omega + u x omega / 2 + (1 - t cot t) / (4 t^2) u x (u x omega), t = |u| / 2. The series holds for |u| < 1.
BRICK void turning(const real *u, const real *omega, real *rate) {
    const real z = dot3(u, u);
    real once[3], twice[3], g = real_all((number)(1.0 / 1209600));
    g = real_fma(z, g, real_all((number)(1.0 / 30240)));
    g = real_fma(z, g, real_all((number)(1.0 / 720)));
    g = real_fma(z, g, real_all((number)(1.0 / 12)));
    cross(once, u, omega);
    cross(twice, u, once);
    EACH(i, 3) rate[i] = real_fma(g, twice[i], real_fma(real_all((number)0.5), once[i], omega[i]));
}

// The classical method, as planar_step.h has it. The root's turn is integrated as its rotation vector since the step began, as MuJoCo 4
// does (Munthe-Kaas 1998, "Runge-Kutta methods on Lie groups").
STAGE void runge_kutta(const hb_rigid_model *model, rigid_state *s, rigid_work *w) {
    const number h = NUMBERS_OF(model)->step;
    const number ahead[4] = {0, h / 2, h / 2, h}, weight[4] = {h / 6, h / 3, h / 3, h / 6};
    EACH(i, 7 + JOINTS) w->begun[i] = s->position[i];
    EACH(i, DOFS) {
        w->begun_speed[i] = s->speed[i];
        w->rate[i] = w->sum_rate[i] = w->sum_a[i] = real_all(0);
    }
    for (int stage = 0; stage < 4; stage++) {
        real a[DOFS], move[DOFS];
        EACH(i, DOFS) move[i] = real_all(ahead[stage]) * w->rate[i];
        if (stage > 0) {
            EACH(i, DOFS) s->speed[i] = real_fma(real_all(ahead[stage]), s->warm[i], w->begun_speed[i]);
            place(w->begun, move, s->position);
        }
        EACH(i, DOFS) w->rate[i] = s->speed[i];
        turning(move + 3, s->speed + 3, w->rate + 3);
        forward(model, s, w);
        accelerations(w, a);
        keep_warm(w, a, s->warm);
        EACH(i, DOFS) {
            w->sum_rate[i] = real_fma(real_all(weight[stage]), w->rate[i], w->sum_rate[i]);
            w->sum_a[i] = real_fma(real_all(weight[stage]), s->warm[i], w->sum_a[i]);
        }
    }
    place(w->begun, w->sum_rate, s->position);
    EACH(i, DOFS) s->speed[i] = w->begun_speed[i] + w->sum_a[i];
}

STEP void rigid_step(const hb_rigid_model *model, rigid_state *s, rigid_work *w, int32_t steps) {
    for (int32_t k = 0; k < steps; k++)
        if (model->runge_kutta) {
            runge_kutta(model, s, w);
        } else {
            forward(model, s, w);
            integrate(model, s, w);
        }
}

#ifndef __CUDACC__ // no rollout there asks for forces
// out (owners, 6) and seen (3) of rigid.h
STEP void rigid_forces(const hb_rigid_model *model, const rigid_work *w, real *out, real *seen) {
    const numbers *c = NUMBERS_OF(model);
    number mass = c->root.mass;
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < LINKS; l++) mass += c->link[k][l].mass;
    EACH(i, 3) seen[i] = w->seen[i];
    for (int k = 0; k < 6 * model->owners; k++) out[k] = real_all(0);
    for (int k = 0; k < w->n_contacts; k++) {
        const contact_slot *t = &w->contact[k];
        const real fn = (t->force[0] + t->force[1]) + (t->force[2] + t->force[3]);
        const real f1 = t->force[0] - t->force[1], f2 = t->force[2] - t->force[3];
        real arm[3], spatial[6];
        EACH(i, 3) arm[i] = t->point[i] - w->root_inertia[6 + i] / real_all(mass);
        spatial[3] = real_fnma(t->direction[1], f2, t->direction[0] * f1);
        spatial[4] = real_fma(t->direction[0], f2, t->direction[1] * f1);
        spatial[5] = fn;
        cross(spatial, arm, spatial + 3);
        for (int o = 0; o < model->owners; o++) {
            const mask own = real_equal(t->owner, real_all((number)o));
            if (!mask_any(own)) continue;
            EACH(i, 6) out[6 * o + i] = real_choose(own, out[6 * o + i] + spatial[i], out[6 * o + i]);
        }
    }
}
#endif

STEP void rigid_look(const hb_rigid_model *model, rigid_state *s, rigid_work *w) {
    const numbers *c = NUMBERS_OF(model);
    const real zero = real_all(0), one = real_all(1), margin = real_all(c->margin);
    kinematics(c, s, w);
    EACH(b, BODIES) s->touch[b] = zero;
    for (int k = 0; k < model->spheres; k++) {
        const int body = model->sphere_body[k];
        const mask on = real_less(sphere_distance(c, s, w, k, body), margin);
        s->touch[body] = real_choose(on, one, s->touch[body]);
    }
    real moment[3];
    turn(moment, w->body[0].axes, c->root.moment);
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const body_state *b = &w->body[1 + LINKS * k + l];
            real offset[3];
            turn(offset, b->axes, c->link[k][l].moment);
            EACH(i, 3) moment[i] = moment[i] + real_fma(real_all(c->link[k][l].marks), b->origin[i], offset[i]);
        }
    EACH(i, 3) s->moment[i] = moment[i];
}

#endif
