// How rigid_step.h and planar_step.h solve their constraints, whatever the rows look like. The includer has defined robot_model, robot_work with its
// slots, and DOFS, JOINTS, MOST_CONTACTS; it defines what a visit to a slot does. Alone this is empty.
#if !defined HB_ROBOT_SOLVE_H && defined DOFS
#define HB_ROBOT_SOLVE_H

// Moves a slot's forces, and u with them.
BRICK void visit_limit(limit_slot *t, real *u);
BRICK void visit_contact(contact_slot *t, real *u);

// Begins with u = smooth + change from the forces in the slots, whose linear cost is `cost`; with none where no forces at all cost less.
BRICK void begin_with(robot_work *w, real *change, real cost) {
    const real zero = real_all(0), half = real_all((number)0.5);
    real square = zero;
    EACH(i, DOFS) square = real_fma(change[i], change[i], square);
    const mask cold = real_less(zero, real_fma(half, square, cost));
    if (mask_any(cold)) {
        for (int i = 0; i < w->n_limits; i++) w->limit[i].force = real_choose(cold, zero, w->limit[i].force);
        for (int i = 0; i < w->n_contacts; i++)
            EACH(k, 4) w->contact[i].force[k] = real_choose(cold, zero, w->contact[i].force[k]);
        EACH(i, DOFS) change[i] = real_choose(cold, zero, change[i]);
    }
    EACH(i, DOFS) w->u[i] = w->smooth[i] + change[i];
}

#ifdef HB_REAL_DOUBLE
// The largest force of all rows and, over `before`, the largest change; the forces are copied there.
BRICK bool converged(const robot_work *w, double tolerance, double *before) {
    double largest = 0, change = 0;
    for (int i = 0; i < w->n_limits + 4 * w->n_contacts; i++) {
        const int k = i - w->n_limits;
        const double f = k < 0 ? w->limit[i].force : w->contact[k / 4].force[k % 4];
        if (f > largest) largest = f;
        if (__builtin_fabs(f - before[i]) > change) change = __builtin_fabs(f - before[i]);
        before[i] = f;
    }
    return change <= tolerance * largest;
}
#endif

STAGE void sweep(robot_work *w) {
    real u[DOFS];
    EACH(i, DOFS) u[i] = w->u[i];
    for (int i = 0; i < w->n_limits; i++) visit_limit(&w->limit[i], u);
    for (int i = 0; i < w->n_contacts; i++) visit_contact(&w->contact[i], u);
    EACH(i, DOFS) w->u[i] = u[i];
}

BRICK void solve(const robot_model *model, robot_work *w) {
    if (w->n_limits + w->n_contacts == 0) return;
#ifdef HB_REAL_DOUBLE
    double before[JOINTS + 4 * MOST_CONTACTS] = {0};
#endif
    for (int k = 0; k < model->sweeps; k++) {
        sweep(w);
#ifdef HB_REAL_DOUBLE
        if (model->tolerance > 0 && converged(w, model->tolerance, before)) return;
#endif
    }
}

#endif
