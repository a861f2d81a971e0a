// The arithmetic of planar.h, for robots of the shape CHAINS, LINKS and the width of real.h. The includer takes `planar_step`,
// `planar_state` and `planar_work`.
//
// Everything is expressed along the world's axes about the root's joint. A velocity is (x, z, turn about +y) of the body's point at that
// origin; a point at (x, z) from it moves by turn * (z, -x). A force is (x, z, moment about +y): z F_x - x F_z.
//
// With its chains eliminated first, the inertia matrix is M = L' D L with L nearly empty, as in rigid_step.h; the root's block of 3 is
// G G'. The unknown is u = sqrt(D) L qacc, and a constraint with Jacobian J has the row Y = D^-1/2 L^-T J', here with a number for each
// joint. Slot s holds each robot's s-th active constraint; a robot without an s-th has Y = -0 there: then its forces stay +0, their
// products with Y are -0, and adding those changes no bit.
#ifndef HB_PLANAR_STEP_H
#define HB_PLANAR_STEP_H

#include "kernels/planar.h"
#include "kernels/robot_math.h"

#define CHAINS 2 // the shape
#define LINKS  3
#define JOINTS (CHAINS * LINKS)
#define DOFS   (3 + JOINTS)

#define MOST_CONTACTS HB_PLANAR_SPHERES

#ifdef HB_REAL_DOUBLE
typedef hb_planar_numbers numbers;
#define NUMBERS_OF(model) (&(model)->numbers)
#else
typedef hb_planar_floats numbers;
#define NUMBERS_OF(model) (&(model)->floats)
#endif

typedef struct {
    real position[DOFS], speed[DOFS], warm[DOFS], control[JOINTS];
} planar_state;

// A body: its direction, its origin and centre of mass from the root's joint.
typedef struct {
    real sine, cosine, origin[2], com[2];
} body_state;

// A joint's row of M, then of L: the root's three numbers and those of its ancestors in the chain; d and its roots.
typedef struct {
    real mass[3 + LINKS], l[3 + LINKS], root_d, inverse_root_d;
} joint_state;

typedef struct {
    real row[DOFS];                                  // Y, with the limit's sign
    real bias, inverse, regular, stiff, force;       // -aref; 1.3 / (Y Y' + R); R; 1 / R
    real sign, distance, speed, joint, inverse_mass; // where it comes from
} limit_slot;

// The edges of a contact's pyramid: normal + friction, normal - friction, and twice the normal, for friction across the plane.
typedef struct {
    real normal[DOFS], friction[DOFS]; // Y along z, and along x times mu
    real nn, nf, ff;                   // their products
    real bias[2], inverse[3], regular, stiff, force[4];
    real point[2], distance, body, mu, scale; // where it comes from; the body's number, the factor of R
} contact_slot;

typedef struct {
    body_state body[1 + JOINTS]; // the root, then the links chain by chain
    joint_state joint[CHAINS][LINKS];
    real mass[2], inertia;      // of all bodies: mass times centre, and about the origin
    real force[DOFS];           // all but constraints
    real g[6], inverse_g[3];    // the root's factor and the inverses of its diagonal
    real smooth[DOFS], u[DOFS]; // u without and with constraint forces
    limit_slot limit[JOINTS];
    contact_slot contact[MOST_CONTACTS];
    int n_limits, n_contacts;
} planar_work;

typedef hb_planar_model robot_model;
typedef planar_work robot_work;
#include "kernels/robot_solve.h"

// ---------------------------------------------------------------------------------------------------
// Kinematics

// r = the body's axes times v, for a vector in its frame
BRICK void turn(real *r, const body_state *b, const number *v) {
    r[0] = real_fma(b->cosine, real_all(v[0]), b->sine * real_all(v[1]));
    r[1] = real_fnma(b->sine, real_all(v[0]), b->cosine * real_all(v[1]));
}

STAGE void kinematics(const numbers *c, const planar_state *s, planar_work *w) {
    real angle[1 + JOINTS], sine[1 + JOINTS], cosine[1 + JOINTS];
    angle[0] = s->position[2];
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const int j = LINKS * k + l;
            const real before = l ? angle[j] : angle[0];
            angle[1 + j] =
                real_fma(real_all(c->link[k][l].sign), s->position[3 + j], before + real_all(c->link[k][l].angle));
        }
    real_sincos(angle, sine, cosine, 1 + JOINTS);
    EACH(b, 1 + JOINTS) {
        w->body[b].sine = sine[b];
        w->body[b].cosine = cosine[b];
    }
    w->body[0].origin[0] = w->body[0].origin[1] = real_all(0);
    turn(w->body[0].com, &w->body[0], c->root.com);
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            body_state *b = &w->body[1 + LINKS * k + l];
            const body_state *parent = l ? b - 1 : &w->body[0];
            turn(b->origin, parent, c->link[k][l].position);
            turn(b->com, b, c->link[k][l].com);
            EACH(i, 2) {
                b->origin[i] = b->origin[i] + parent->origin[i];
                b->com[i] = b->com[i] + b->origin[i];
            }
        }
}

// ---------------------------------------------------------------------------------------------------
// Forces and inertia

// Of a body and what hangs on it: mass, mass times centre, inertia about the origin, and the force that its motion takes where all
// joint accelerations are 0 and gravity is an upward one.
typedef struct {
    number total;
    real mass[2], inertia, force[3];
} composite;

// Adds a body whose origin accelerates by a[2] and which turns at omega.
BRICK void add_body(composite *sum, number mass, number inertia, const body_state *b, const real *a, real omega) {
    const real square = omega * omega, m = real_all(mass);
    real force[2], h[2];
    EACH(i, 2) {
        force[i] = m * real_fnma(square, b->com[i] - b->origin[i], a[i]);
        h[i] = m * b->com[i];
        sum->mass[i] = sum->mass[i] + h[i];
        sum->force[i] = sum->force[i] + force[i];
    }
    sum->force[2] = sum->force[2] + real_fnma(b->com[0], force[1], b->com[1] * force[0]);
    sum->inertia = sum->inertia + real_fma(h[0], b->com[0], real_fma(h[1], b->com[1], real_all(inertia)));
    sum->total += mass;
}

// The moment about point p of a force about the origin
BRICK real moment_about(const real *force, const real *p) {
    return force[2] - real_fnma(p[0], force[1], p[1] * force[0]);
}

// A chain's links, tip first: their share of `root`, and the chain's rows of M and joint forces.
BRICK void chain_dynamics(const numbers *c, const planar_state *s, planar_work *w, int k, composite *root) {
    real omega[LINKS], a[LINKS][2], before = s->speed[2], carried[2] = {real_all(0), real_all(c->gravity)};
    EACH(l, LINKS) {
        const body_state *b = &w->body[1 + LINKS * k + l], *parent = l ? b - 1 : &w->body[0];
        const real square = before * before;
        EACH(i, 2) {
            carried[i] = real_fnma(square, b->origin[i] - parent->origin[i], carried[i]);
            a[l][i] = carried[i];
        }
        before = real_fma(real_all(c->link[k][l].sign), s->speed[3 + LINKS * k + l], before);
        omega[l] = before;
    }
    composite part = {.total = 0};
    EACH(i, 2) part.mass[i] = real_all(0);
    EACH(i, 3) part.force[i] = real_all(0);
    part.inertia = real_all(0);
    UNROLL for (int l = LINKS - 1; l >= 0; l--) {
        const body_state *b = &w->body[1 + LINKS * k + l];
        const int j = LINKS * k + l;
        const real sign = real_all(c->link[k][l].sign), *o = b->origin;
        add_body(&part, c->link[k][l].mass, c->link[k][l].inertia, b, a[l], omega[l]);
        const real spring = real_all(c->link[k][l].stiffness) * (s->position[3 + j] - real_all(c->link[k][l].rest));
        const real motor = real_fnma(real_all(c->link[k][l].damping), s->speed[3 + j],
                                     real_fma(real_all(c->link[k][l].gear), s->control[j], -spring));
        w->force[3 + j] = real_fnma(sign, moment_about(part.force, o), motor);
        // The momentum of what hangs on the joint, as it turns by 1 rad/s
        real p[3], *row = w->joint[k][l].mass;
        p[0] = sign * real_fnma(real_all(part.total), o[1], part.mass[1]);
        p[1] = sign * real_fma(real_all(part.total), o[0], -part.mass[0]);
        p[2] = sign * real_fnma(o[0], part.mass[0], real_fnma(o[1], part.mass[1], part.inertia));
        EACH(i, 3) row[i] = p[i];
        UNROLL for (int b2 = 0; b2 <= l; b2++) row[3 + b2] =
            real_all(c->link[k][b2].sign) * moment_about(p, w->body[1 + LINKS * k + b2].origin);
        row[3 + l] = row[3 + l] + real_all(c->link[k][l].armature);
    }
    EACH(i, 2) root->mass[i] = root->mass[i] + part.mass[i];
    EACH(i, 3) root->force[i] = root->force[i] + part.force[i];
    root->inertia = root->inertia + part.inertia;
}

STAGE void dynamics(const numbers *c, const planar_state *s, planar_work *w) {
    const real zero = real_all(0), upward[2] = {zero, real_all(c->gravity)};
    composite root = {.total = 0, .mass = {zero, zero}, .inertia = zero, .force = {zero, zero, zero}};
    add_body(&root, c->root.mass, c->root.inertia, &w->body[0], upward, s->speed[2]);
    for (int k = 0; k < CHAINS; k++) chain_dynamics(c, s, w, k, &root);
    EACH(i, 2) w->mass[i] = root.mass[i];
    w->inertia = root.inertia;
    EACH(i, 3) w->force[i] = real_fnma(real_all(c->damping[i]), s->speed[i], -root.force[i]);
}

// ---------------------------------------------------------------------------------------------------
// The factor

// The root's block of M, lower triangle, with `extra` times the root's damping on the diagonal.
BRICK void root_block(const numbers *c, const planar_work *w, number extra, real *m) {
    number mass = c->root.mass;
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < LINKS; l++) mass += c->link[k][l].mass;
    m[LOWER(0, 0)] = real_all(mass + (c->armature[0] + extra * c->damping[0]));
    m[LOWER(1, 0)] = real_all(0);
    m[LOWER(1, 1)] = real_all(mass + (c->armature[1] + extra * c->damping[1]));
    m[LOWER(2, 0)] = w->mass[1];
    m[LOWER(2, 1)] = -w->mass[0];
    m[LOWER(2, 2)] = w->inertia + real_all(c->armature[2] + extra * c->damping[2]);
}

// Eliminates a chain, tip first: row a of L is row a of M over its diagonal d, and every ancestor loses its share. `extra` times its
// damping is added to each joint's diagonal. Takes the chain's share from the root's block m.
BRICK void eliminate_chain(const numbers *c, const planar_work *w, int k, number extra, real l[LINKS][3 + LINKS],
                           real d[LINKS], real inverse_d[LINKS], real *m) {
    real row[LINKS][3 + LINKS];
    EACH(a, LINKS)
    EACH(i, 4 + a) row[a][i] = w->joint[k][a].mass[i];
    UNROLL for (int a = LINKS - 1; a >= 0; a--) {
        d[a] = row[a][3 + a] + real_all(extra * c->link[k][a].damping);
        inverse_d[a] = inverse_of(d[a]);
        EACH(i, 3 + a) l[a][i] = row[a][i] * inverse_d[a];
        UNROLL for (int b = 0; b < a; b++) {
            EACH(i, 4 + b) row[b][i] = real_fnma(row[a][3 + b], l[a][i], row[b][i]);
        }
        EACH(i, 3)
        EACH(j, 3)
        if (j <= i) m[LOWER(i, j)] = real_fnma(row[a][i], l[a][j], m[LOWER(i, j)]);
    }
}

// f of a chain through L^-T: each joint's share of its ancestors' forces and the root's is taken from them.
BRICK void pass_down(real l[LINKS][3 + LINKS], real *force, real *root) {
    UNROLL for (int a = LINKS - 1; a >= 0; a--) {
        UNROLL for (int b = 0; b < a; b++) force[b] = real_fnma(l[a][3 + b], force[a], force[b]);
        EACH(i, 3) root[i] = real_fnma(l[a][i], force[a], root[i]);
    }
}

// m = G G' in place of g; its diagonal's inverses
BRICK void factor_root(const real *m, real *g, real *inverse_g) {
    EACH(j, 3) {
        real d = m[LOWER(j, j)];
        UNROLL for (int k = 0; k < j; k++) d = real_fnma(g[LOWER(j, k)], g[LOWER(j, k)], d);
        inverse_g[j] = real_root(inverse_of(d));
        g[LOWER(j, j)] = d * inverse_g[j];
        UNROLL for (int i = j + 1; i < 3; i++) {
            real x = m[LOWER(i, j)];
            UNROLL for (int k = 0; k < j; k++) x = real_fnma(g[LOWER(i, k)], g[LOWER(j, k)], x);
            g[LOWER(i, j)] = x * inverse_g[j];
        }
    }
}

// z = G^-1 z
BRICK void solve_root(const real *g, const real *inverse_g, real *z) {
    EACH(i, 3) {
        real x = z[i];
        UNROLL for (int k = 0; k < i; k++) x = real_fnma(g[LOWER(i, k)], z[k], x);
        z[i] = x * inverse_g[i];
    }
}

// a = G'^-1 z
BRICK void solve_root_back(const real *g, const real *inverse_g, const real *z, real *a) {
    UNROLL for (int i = 2; i >= 0; i--) {
        real x = z[i];
        UNROLL for (int k = i + 1; k < 3; k++) x = real_fnma(g[LOWER(k, i)], a[k], x);
        a[i] = x * inverse_g[i];
    }
}

STAGE void factor(const numbers *c, planar_work *w) {
    real m[6];
    root_block(c, w, 0, m);
    EACH(i, DOFS) w->smooth[i] = w->force[i];
    for (int k = 0; k < CHAINS; k++) {
        real l[LINKS][3 + LINKS], d[LINKS], inverse_d[LINKS], *force = w->smooth + 3 + LINKS * k;
        eliminate_chain(c, w, k, 0, l, d, inverse_d, m);
        pass_down(l, force, w->smooth);
        EACH(a, LINKS) {
            joint_state *joint = &w->joint[k][a];
            joint->inverse_root_d = real_root(inverse_d[a]);
            joint->root_d = d[a] * joint->inverse_root_d;
            EACH(i, 3 + a) joint->l[i] = l[a][i];
            force[a] = force[a] * joint->inverse_root_d;
        }
    }
    factor_root(m, w->g, w->inverse_g);
    solve_root(w->g, w->inverse_g, w->smooth);
}

// ---------------------------------------------------------------------------------------------------
// Constraints

// Y = D^-1/2 L^-T J', in place; -0 where the slot is off
BRICK void to_row(const planar_work *w, mask on, real *row) {
    for (int k = 0; k < CHAINS; k++) {
        real *part = row + 3 + LINKS * k;
        UNROLL for (int a = LINKS - 1; a >= 0; a--) {
            const joint_state *joint = &w->joint[k][a];
            UNROLL for (int b = 0; b < a; b++) part[b] = real_fnma(joint->l[3 + b], part[a], part[b]);
            EACH(i, 3) row[i] = real_fnma(joint->l[i], part[a], row[i]);
            part[a] = part[a] * joint->inverse_root_d;
        }
    }
    solve_root(w->g, w->inverse_g, row);
    EACH(i, DOFS) row[i] = real_choose(on, row[i], real_all((number)-0.0));
}

// a b of rows, in two sums that do not wait for each other
BRICK real dot_rows(const real *a, const real *b, real first) {
    real low = first, high = a[DOFS - 1] * b[DOFS - 1];
    EACH(i, DOFS / 2) low = real_fma(a[i], b[i], low);
    UNROLL for (int i = DOFS / 2; i < DOFS - 1; i++) high = real_fma(a[i], b[i], high);
    return low + high;
}

BRICK void add_limit(planar_work *w, mask on, real count, int joint, number inverse_mass, real sign, real distance,
                     real speed) {
    for (int i = 0; i <= w->n_limits && i < JOINTS; i++) {
        const mask m = mask_and(on, real_equal(count, real_all((number)i)));
        if (!mask_any(m)) continue;
        limit_slot *t = &w->limit[i];
        if (i == w->n_limits) {
            w->n_limits++;
            t->sign = t->inverse_mass = real_all(1);
            t->distance = t->speed = t->joint = real_all(0);
        }
        t->sign = real_choose(m, sign, t->sign);
        t->distance = real_choose(m, distance, t->distance);
        t->speed = real_choose(m, speed, t->speed);
        t->joint = real_choose(m, real_all((number)joint), t->joint);
        t->inverse_mass = real_choose(m, real_all(inverse_mass), t->inverse_mass);
    }
}

STAGE void make_limit(const numbers *c, const planar_work *w, limit_slot *t, mask on) {
    const real zero = real_all(0);
    EACH(i, 3) t->row[i] = zero;
    EACH(j, JOINTS) t->row[3 + j] = real_choose(real_equal(t->joint, real_all((number)j)), t->sign, zero);
    to_row(w, on, t->row);
    const real d = impedance(c->limit.impedance, c->limit.inverse_width, t->distance);
    t->regular = regularizer(d, t->inverse_mass);
    t->stiff = real_choose(on, inverse_of(t->regular), zero);
    t->inverse = real_choose(on, relaxed_inverse(dot_rows(t->row, t->row, t->regular)), zero);
    t->bias =
        real_fma(real_all(c->limit.damping) * t->sign, t->speed, real_all(c->limit.stiffness) * d * t->distance);
}

STAGE void find_limits(const numbers *c, const planar_state *s, planar_work *w) {
    const real zero = real_all(0), one = real_all(1);
    real count = zero;
    w->n_limits = 0;
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < LINKS; l++) {
            const int j = LINKS * k + l;
            const real below = s->position[3 + j] - real_all(c->link[k][l].lower);
            const real above = real_all(c->link[k][l].upper) - s->position[3 + j];
            const mask low = real_less(below, above);
            const real distance = real_choose(low, below, above);
            const mask on = real_less(distance, zero);
            if (!mask_any(on)) continue;
            add_limit(w, on, count, j, c->link[k][l].inverse_mass, real_choose(low, one, -one), distance,
                      s->speed[3 + j]);
            count = real_choose(on, count + one, count);
        }
    for (int i = 0; i < w->n_limits; i++) make_limit(c, w, &w->limit[i], real_less(real_all((number)i), count));
}

BRICK void add_contact(const hb_planar_model *model, planar_work *w, mask on, real count, int sphere,
                       const real *centre, real distance) {
    const numbers *c = NUMBERS_OF(model);
    const number mu = c->sphere[sphere].friction,
                 scale = 2 * mu * mu * (1 + mu * mu) * c->sphere[sphere].inverse_mass;
    const real low = real_fnma(distance, real_all((number)0.5), centre[1] - real_all(c->sphere[sphere].radius));
    for (int i = 0; i <= w->n_contacts && i < MOST_CONTACTS; i++) {
        const mask m = mask_and(on, real_equal(count, real_all((number)i)));
        if (!mask_any(m)) continue;
        contact_slot *t = &w->contact[i];
        if (i == w->n_contacts) {
            w->n_contacts++;
            t->point[0] = t->point[1] = t->distance = t->body = real_all(0);
            t->mu = t->scale = real_all(1);
        }
        t->point[0] = real_choose(m, centre[0], t->point[0]);
        t->point[1] = real_choose(m, low, t->point[1]);
        t->distance = real_choose(m, distance, t->distance);
        t->body = real_choose(m, real_all((number)model->sphere_body[sphere]), t->body);
        t->mu = real_choose(m, real_all(mu), t->mu);
        t->scale = real_choose(m, real_all(scale), t->scale);
    }
}

// The Jacobians of a contact: along z, and along x times mu. A link moves the point if the body is itself or hangs on it.
BRICK void contact_jacobians(const numbers *c, const planar_work *w, contact_slot *t) {
    const real *p = t->point, zero = real_all(0);
    t->normal[0] = t->friction[1] = zero;
    t->normal[1] = real_all(1);
    t->normal[2] = -p[0];
    t->friction[0] = t->mu;
    t->friction[2] = t->mu * p[1];
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const int j = LINKS * k + l;
            const mask moved = mask_and(real_less(real_all((number)j), t->body),
                                        real_less(t->body, real_all((number)(LINKS * (k + 1) + 1))));
            const real sign = real_choose(moved, real_all(c->link[k][l].sign), zero);
            t->normal[3 + j] = sign * (w->body[1 + j].origin[0] - p[0]);
            t->friction[3 + j] = (sign * t->mu) * (p[1] - w->body[1 + j].origin[1]);
        }
}

STAGE void make_contact(const numbers *c, const planar_state *s, const planar_work *w, contact_slot *t, mask on) {
    const real zero = real_all(0), two = real_all(2), damping = real_all(c->contact.damping);
    contact_jacobians(c, w, t);
    const real d = impedance(c->contact.impedance, c->contact.inverse_width, t->distance);
    const real r = regularizer(d, t->scale);
    t->bias[0] =
        real_fma(damping, dot_rows(t->normal, s->speed, zero), real_all(c->contact.stiffness) * d * t->distance);
    t->bias[1] = damping * dot_rows(t->friction, s->speed, zero);
    to_row(w, on, t->normal);
    to_row(w, on, t->friction);
    t->nn = dot_rows(t->normal, t->normal, zero);
    t->nf = dot_rows(t->normal, t->friction, zero);
    t->ff = dot_rows(t->friction, t->friction, zero);
    const real both = t->nn + (t->ff + r);
    t->inverse[0] = real_choose(on, relaxed_inverse(real_fma(two, t->nf, both)), zero);
    t->inverse[1] = real_choose(on, relaxed_inverse(real_fnma(two, t->nf, both)), zero);
    t->inverse[2] = real_choose(on, relaxed_inverse(t->nn + r), zero);
    t->regular = r;
    t->stiff = real_choose(on, inverse_of(r), zero);
}

STAGE void find_contacts(const hb_planar_model *model, const planar_state *s, planar_work *w) {
    const numbers *c = NUMBERS_OF(model);
    const real zero = real_all(0), one = real_all(1), height = s->position[1] + real_all(c->height);
    real count = zero;
    w->n_contacts = 0;
    for (int k = 0; k < model->spheres; k++) {
        const body_state *b = &w->body[model->sphere_body[k]];
        real centre[2];
        turn(centre, b, c->sphere[k].centre);
        EACH(i, 2) centre[i] = centre[i] + b->origin[i];
        const real distance = height + (centre[1] - real_all(c->sphere[k].radius));
        const mask on = real_less(distance, zero);
        if (!mask_any(on)) continue;
        add_contact(model, w, on, count, k, centre, distance);
        count = real_choose(on, count + one, count);
    }
    for (int i = 0; i < w->n_contacts; i++)
        make_contact(c, s, w, &w->contact[i], real_less(real_all((number)i), count));
}

// ---------------------------------------------------------------------------------------------------
// The solver: min over f >= 0 of 1/2 |u_smooth + Y' f|^2 + 1/2 f' R f + f' bias, by sweeps over the rows (projected
// successive over-relaxation), as in rigid_step.h

BRICK void add_force(real *u, const real *row, real force) {
    EACH(i, DOFS) u[i] = real_fma(row[i], force, u[i]);
}

// u of the accelerations of the step before
BRICK void warm_u(const planar_state *s, const planar_work *w, real *u) {
    const real *a = s->warm;
    for (int k = 0; k < CHAINS; k++) EACH(l, LINKS) {
            const joint_state *joint = &w->joint[k][l];
            real x = a[3 + LINKS * k + l];
            EACH(i, 3) x = real_fma(joint->l[i], a[i], x);
            UNROLL for (int b = 0; b < l; b++) x = real_fma(joint->l[3 + b], a[3 + LINKS * k + b], x);
            u[3 + LINKS * k + l] = x * joint->root_d;
        }
    EACH(i, 3) {
        u[i] = real_all(0);
        UNROLL for (int k = i; k < 3; k++) u[i] = real_fma(w->g[LOWER(k, i)], a[k], u[i]);
    }
}

// Forces from the last accelerations, unless no forces at all cost less.
STAGE void warm_start(const planar_state *s, planar_work *w) {
    const real zero = real_all(0), half = real_all((number)0.5);
    real u[DOFS], change[DOFS], cost = zero;
    warm_u(s, w, u);
    EACH(i, DOFS) change[i] = zero;
    for (int i = 0; i < w->n_limits; i++) {
        limit_slot *t = &w->limit[i];
        t->force = real_larger(-(t->stiff * dot_rows(t->row, u, t->bias)), zero);
        const real slope = real_fma(half * t->regular, t->force, dot_rows(t->row, w->smooth, t->bias));
        cost = real_fma(t->force, slope, cost);
        add_force(change, t->row, t->force);
    }
    for (int i = 0; i < w->n_contacts; i++) {
        contact_slot *t = &w->contact[i];
        const real n = dot_rows(t->normal, u, t->bias[0]), a = dot_rows(t->friction, u, t->bias[1]);
        real *f = t->force;
        f[0] = real_larger(-(t->stiff * (n + a)), zero);
        f[1] = real_larger(-(t->stiff * (n - a)), zero);
        f[2] = f[3] = real_larger(-(t->stiff * n), zero);
        const real fn = (f[0] + f[1]) + (f[2] + f[3]), ff = f[0] - f[1];
        const real squares = real_fma(f[0], f[0], real_fma(f[1], f[1], real_fma(f[2], f[2], f[3] * f[3])));
        cost = real_fma(fn, dot_rows(t->normal, w->smooth, t->bias[0]), cost);
        cost = real_fma(ff, dot_rows(t->friction, w->smooth, t->bias[1]), cost);
        cost = real_fma(half * t->regular, squares, cost);
        add_force(change, t->normal, fn);
        add_force(change, t->friction, ff);
    }
    begin_with(w, change, cost);
}

BRICK void visit_limit(limit_slot *t, real *u) {
    const real residual = dot_rows(t->row, u, real_fma(t->regular, t->force, t->bias));
    const real force = real_larger(real_fnma(residual, t->inverse, t->force), real_all(0));
    add_force(u, t->row, force - t->force);
    t->force = force;
}

// One edge of a contact's pyramid: its new force; returns the change.
BRICK real visit_edge(contact_slot *t, int edge, real inverse, real residual) {
    const real old = t->force[edge];
    t->force[edge] = real_larger(real_fnma(real_fma(t->regular, old, residual), inverse, old), real_all(0));
    return t->force[edge] - old;
}

BRICK void visit_contact(contact_slot *t, real *u) {
    real n = dot_rows(t->normal, u, t->bias[0]), a = dot_rows(t->friction, u, t->bias[1]);
    real d = visit_edge(t, 0, t->inverse[0], n + a), fn = d, ff = d;
    n = real_fma(d, t->nn + t->nf, n);
    a = real_fma(d, t->nf + t->ff, a);
    d = visit_edge(t, 1, t->inverse[1], n - a);
    fn = fn + d;
    ff = ff - d;
    n = real_fma(d, t->nn - t->nf, n);
    d = visit_edge(t, 2, t->inverse[2], n);
    fn = fn + d;
    n = real_fma(d, t->nn, n);
    fn = fn + visit_edge(t, 3, t->inverse[2], n);
    add_force(u, t->normal, fn);
    add_force(u, t->friction, ff);
}

// ---------------------------------------------------------------------------------------------------
// Accelerations and integration

// Of the chains, from the root's and their own solved forces: a -= L a of the ancestors
BRICK void chain_accelerations(real l[LINKS][3 + LINKS], const real *root, real *a) {
    EACH(k, LINKS) {
        EACH(i, 3) a[k] = real_fnma(l[k][i], root[i], a[k]);
        UNROLL for (int b = 0; b < k; b++) a[k] = real_fnma(l[k][3 + b], a[b], a[k]);
    }
}

BRICK void accelerations(const planar_work *w, real *a) {
    solve_root_back(w->g, w->inverse_g, w->u, a);
    for (int k = 0; k < CHAINS; k++) {
        real l[LINKS][3 + LINKS], *part = a + 3 + LINKS * k;
        EACH(b, LINKS) {
            EACH(i, 3 + b) l[b][i] = w->joint[k][b].l[i];
            part[b] = w->u[3 + LINKS * k + b] * w->joint[k][b].inverse_root_d;
        }
        chain_accelerations(l, a, part);
    }
}

// Replaces a by the solution of (M + h B) a' = M a: the accelerations under implicit damping. M a follows from u.
BRICK void damp(const numbers *c, const planar_work *w, real *a) {
    real m[6], root[3], l[CHAINS][LINKS][3 + LINKS], force[CHAINS][LINKS], g[6], inverse_g[3];
    root_block(c, w, c->step, m);
    EACH(i, 3) {
        root[i] = real_all(0);
        UNROLL for (int k = 0; k <= i; k++) root[i] = real_fma(w->g[LOWER(i, k)], w->u[k], root[i]);
    }
    // Of all chains first: each takes its share off the root's forces
    for (int k = 0; k < CHAINS; k++) EACH(b, LINKS) {
            const joint_state *joint = &w->joint[k][b];
            force[k][b] = w->u[3 + LINKS * k + b] * joint->root_d;
            EACH(i, 3) root[i] = real_fma(joint->l[i], force[k][b], root[i]);
            UNROLL for (int p = 0; p < b; p++) force[k][p] = real_fma(joint->l[3 + p], force[k][b], force[k][p]);
        }
    for (int k = 0; k < CHAINS; k++) {
        real d[LINKS], inverse_d[LINKS];
        eliminate_chain(c, w, k, c->step, l[k], d, inverse_d, m);
        pass_down(l[k], force[k], root);
        EACH(b, LINKS) a[3 + LINKS * k + b] = force[k][b] * inverse_d[b];
    }
    factor_root(m, g, inverse_g);
    solve_root(g, inverse_g, root);
    solve_root_back(g, inverse_g, root, a);
    for (int k = 0; k < CHAINS; k++) chain_accelerations(l[k], a, a + 3 + LINKS * k);
}

// Accelerations a of a state, kept for the next start.
STAGE void forward(const hb_planar_model *model, planar_state *s, planar_work *w, real *a) {
    const numbers *c = NUMBERS_OF(model);
    kinematics(c, s, w);
    dynamics(c, s, w);
    factor(c, w);
    find_limits(c, s, w);
    find_contacts(model, s, w);
    warm_start(s, w);
    solve(model, w);
    accelerations(w, a);
    EACH(i, DOFS) s->warm[i] = a[i];
}

STAGE void euler(const hb_planar_model *model, planar_state *s, planar_work *w) {
    const numbers *c = NUMBERS_OF(model);
    const real h = real_all(c->step);
    real a[DOFS];
    forward(model, s, w, a);
    if (model->damped) damp(c, w, a);
    EACH(i, DOFS) {
        s->speed[i] = real_fma(h, a[i], s->speed[i]);
        s->position[i] = real_fma(h, s->speed[i], s->position[i]);
    }
}

// The classical method: stages at h / 2, h / 2 and h; their accelerations and speeds weigh 1, 2, 2, 1 sixths.
STAGE void runge_kutta(const hb_planar_model *model, planar_state *s, planar_work *w) {
    const number h = NUMBERS_OF(model)->step;
    const number ahead[4] = {0, h / 2, h / 2, h}, weight[4] = {h / 6, h / 3, h / 3, h / 6};
    real position[DOFS], speed[DOFS], speeds[DOFS], a[DOFS], sum_speed[DOFS], sum_a[DOFS];
    EACH(i, DOFS) {
        position[i] = s->position[i];
        speed[i] = s->speed[i];
        speeds[i] = a[i] = sum_speed[i] = sum_a[i] = real_all(0);
    }
    for (int stage = 0; stage < 4; stage++) {
        EACH(i, DOFS) {
            s->position[i] = real_fma(real_all(ahead[stage]), speeds[i], position[i]);
            s->speed[i] = real_fma(real_all(ahead[stage]), a[i], speed[i]);
            speeds[i] = s->speed[i];
        }
        forward(model, s, w, a);
        EACH(i, DOFS) {
            sum_speed[i] = real_fma(real_all(weight[stage]), speeds[i], sum_speed[i]);
            sum_a[i] = real_fma(real_all(weight[stage]), a[i], sum_a[i]);
        }
    }
    EACH(i, DOFS) {
        s->position[i] = position[i] + sum_speed[i];
        s->speed[i] = speed[i] + sum_a[i];
    }
}

STEP void planar_step(const hb_planar_model *model, planar_state *s, planar_work *w, int32_t steps) {
    for (int32_t k = 0; k < steps; k++)
        if (model->runge_kutta)
            runge_kutta(model, s, w);
        else
            euler(model, s, w);
}

#endif
