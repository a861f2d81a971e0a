#include "envs/car/world.h"

#include <box2d/box2d.h>
#include <cmath>
#include <ctime>
#include <new>

static const double step_seconds = 0.02;
static const int velocity_iterations = 180, position_iterations = 60;
static const double engine_power = 40000.0, wheel_inertia = 1.6, wheel_radius = 27 * HB_CAR_SIZE;
static const double friction_limit = 400.0, grass_friction = 0.6, road_friction = 1.0;
static const double slip_gain = 205000.0 * HB_CAR_SIZE * HB_CAR_SIZE;
static const double brake_force = 15.0; // rad/s a step
static const float joint_limit = 0.4f;
static const uint16 wheel_category = 0x0020, wheel_mask = 0x0001;

static const double wheel_at[HB_CAR_WHEELS][2] = {{-55, 80}, {55, 80}, {-55, -82}, {55, -82}};
static const double wheel_half[2] = {14, 27};

static const struct {
    int32_t n;
    double corner[8][2];
} hull_parts[HB_CAR_HULL_PARTS] = {
    {4, {{-60, 130}, {60, 130}, {60, 110}, {-60, 110}}},
    {4, {{-15, 120}, {15, 120}, {20, 20}, {-20, 20}}},
    {8, {{25, 20}, {50, -10}, {50, -40}, {20, -90}, {-20, -90}, {-50, -40}, {-50, -10}, {-25, 20}}},
    {4, {{-50, -120}, {50, -120}, {50, -90}, {-50, -90}}},
};

int32_t hb_car_hull_part(int32_t k, double corner[8][2]) {
    for (int32_t i = 0; i < hull_parts[k].n; i++)
        for (int axis = 0; axis < 2; axis++) corner[i][axis] = hull_parts[k].corner[i][axis] * HB_CAR_SIZE;
    return hull_parts[k].n;
}

struct tile {
    b2PolygonShape shape; // in world coordinates
    bool visited, plain;
};

// The data that every step reads for every tile, stored together.
struct circle {
    b2Vec2 middle;
    float reach; // of the corners from the middle
};

struct wheel {
    b2Body *body;
    b2RevoluteJoint *joint;
    double gas, brake, steer, omega, phase;
    bool on_road;
};

struct hb_car_world {
    b2World world{b2Vec2(0.0f, 0.0f)};
    b2Body *hull = nullptr;
    wheel wheels[HB_CAR_WHEELS] = {};
    int32_t n_tiles = 0;
    circle around[HB_CAR_MAX_TILES] = {}; // tile i
    tile tiles[HB_CAR_MAX_TILES] = {};
    bool at_start = false; // a wheel stands on tile 0
};

hb_car_world *hb_car_world_create(void) {
    return new (std::nothrow) hb_car_world;
}

void hb_car_world_destroy(hb_car_world *world) {
    delete world;
}

// ---------------------------------------------------------------------------------------------------
// Building

static b2PolygonShape polygon(const double (*corner)[2], int32_t n, double scale) {
    b2Vec2 points[b2_maxPolygonVertices];
    for (int32_t i = 0; i < n; i++) points[i].Set((float)(corner[i][0] * scale), (float)(corner[i][1] * scale));
    b2PolygonShape shape;
    shape.Set(points, n);
    return shape;
}

static b2Body *add_body(hb_car_world *w, double x, double y, double angle) {
    b2BodyDef def;
    def.type = b2_dynamicBody;
    def.position.Set((float)x, (float)y);
    def.angle = (float)angle;
    return w->world.CreateBody(&def);
}

static void add_hull(hb_car_world *w, double x, double y, double angle) {
    w->hull = add_body(w, x, y, angle);
    for (const auto &part : hull_parts) {
        const b2PolygonShape shape = polygon(part.corner, part.n, HB_CAR_SIZE);
        b2FixtureDef def;
        def.shape = &shape;
        def.density = 1.0f;
        w->hull->CreateFixture(&def);
    }
}

static void add_joint(hb_car_world *w, int k) {
    b2RevoluteJointDef def;
    def.bodyA = w->hull;
    def.bodyB = w->wheels[k].body;
    def.localAnchorA.Set((float)(wheel_at[k][0] * HB_CAR_SIZE), (float)(wheel_at[k][1] * HB_CAR_SIZE));
    def.localAnchorB.Set(0.0f, 0.0f);
    def.enableMotor = true;
    def.enableLimit = true;
    def.maxMotorTorque = (float)(180 * 900 * HB_CAR_SIZE * HB_CAR_SIZE);
    def.motorSpeed = 0.0f;
    def.lowerAngle = -joint_limit;
    def.upperAngle = joint_limit;
    w->wheels[k].joint = (b2RevoluteJoint *)w->world.CreateJoint(&def);
}

// The offset is not turned with the car: Gym's way; the joint pulls the wheel in.
static void add_wheel(hb_car_world *w, int k, double x, double y, double angle) {
    const double box[4][2] = {{-wheel_half[0], wheel_half[1]},
                              {wheel_half[0], wheel_half[1]},
                              {wheel_half[0], -wheel_half[1]},
                              {-wheel_half[0], -wheel_half[1]}};
    const b2PolygonShape shape = polygon(box, 4, HB_CAR_SIZE);
    b2FixtureDef def;
    def.shape = &shape;
    def.density = 0.1f;
    def.restitution = 0.0f;
    def.filter.categoryBits = wheel_category;
    def.filter.maskBits = wheel_mask;
    w->wheels[k] = wheel();
    w->wheels[k].body = add_body(w, x + wheel_at[k][0] * HB_CAR_SIZE, y + wheel_at[k][1] * HB_CAR_SIZE, angle);
    w->wheels[k].body->CreateFixture(&def);
}

static void place_tiles(hb_car_world *w, const hb_car_track *track) {
    w->n_tiles = track->n;
    for (int32_t i = 0; i < track->n; i++) {
        tile *t = &w->tiles[i];
        double corner[4][2];
        hb_car_tile(track, i, corner);
        t->shape = polygon(corner, 4, 1.0);
        circle *around = &w->around[i];
        *around = {t->shape.m_centroid, 0.0f};
        for (int c = 0; c < t->shape.m_count; c++)
            around->reach = b2Max(around->reach, b2Distance(t->shape.m_vertices[c], around->middle));
        t->visited = t->plain = false;
    }
}

void hb_car_world_place(hb_car_world *w, const hb_car_track *track) {
    w->at_start = false;
    // New bodies, so that no state of joints and bodies is left over. Their memory comes from the world's own pool.
    for (int k = 0; k < HB_CAR_WHEELS; k++)
        if (w->hull) w->world.DestroyBody(w->wheels[k].body);
    if (w->hull) w->world.DestroyBody(w->hull);
    const hb_car_point *start = &track->point[0];
    add_hull(w, start->x, start->y, start->beta);
    for (int k = 0; k < HB_CAR_WHEELS; k++) {
        add_wheel(w, k, start->x, start->y, start->beta);
        add_joint(w, k);
    }
    place_tiles(w, track);
}

static void set_pose(b2Body *body, const hb_car_pose *pose) {
    body->SetTransform(b2Vec2(pose->x, pose->y), pose->angle);
    body->SetLinearVelocity(b2Vec2(pose->vx, pose->vy));
    body->SetAngularVelocity(pose->spin);
}

void hb_car_world_set(hb_car_world *w, const hb_car_state *state) {
    set_pose(w->hull, &state->hull);
    for (int k = 0; k < HB_CAR_WHEELS; k++) {
        const hb_car_wheel *from = &state->wheel[k];
        wheel *to = &w->wheels[k];
        set_pose(to->body, &from->pose);
        to->gas = from->gas, to->brake = from->brake, to->steer = from->steer;
        to->omega = from->omega, to->phase = from->phase, to->on_road = from->on_road;
        w->world.DestroyJoint(to->joint);
        add_joint(w, k);
    }
}

// ---------------------------------------------------------------------------------------------------
// Driving

void hb_car_world_control(hb_car_world *w, double steer, double gas, double brake) {
    for (int k = 0; k < HB_CAR_WHEELS; k++) w->wheels[k].brake = brake;
    for (int k = 0; k < 2; k++) w->wheels[k].steer = -steer;
    const double wanted = std::fmin(std::fmax(gas, 0.0), 1.0);
    for (int k = 2; k < HB_CAR_WHEELS; k++)
        w->wheels[k].gas += std::fmin(wanted - w->wheels[k].gas, 0.1); // rises slowly, falls at once
}

static double sign(double x) {
    return (x > 0) - (x < 0);
}

static void roll(wheel *w) {
    w->omega += step_seconds * engine_power * w->gas / wheel_inertia / (std::fabs(w->omega) + 5.0);
    if (w->brake >= 0.9)
        w->omega = 0;
    else if (w->brake > 0)
        w->omega -= sign(w->omega) * std::fmin(brake_force * w->brake, std::fabs(w->omega));
    w->phase += w->omega * step_seconds;
}

// One wheel: steering, rolling, and the friction force of the ground (Gym 0.17.2, car_dynamics.py).
static void drive(wheel *w, const hb_car_push *push) {
    const double off = w->steer - (double)w->joint->GetJointAngle();
    w->joint->SetMotorSpeed((float)(sign(off) * std::fmin(50.0 * std::fabs(off), 3.0)));
    double limit = push->friction * friction_limit * grass_friction;
    if (w->on_road) limit = std::fmax(limit, push->friction * friction_limit * road_friction);
    const b2Vec2 forward = w->body->GetWorldVector(b2Vec2(0.0f, 1.0f));
    const b2Vec2 side = w->body->GetWorldVector(b2Vec2(1.0f, 0.0f));
    const b2Vec2 v = w->body->GetLinearVelocity();
    const double forward_speed = (double)forward.x * (double)v.x + (double)forward.y * (double)v.y;
    const double side_speed = (double)side.x * (double)v.x + (double)side.y * (double)v.y;
    roll(w);
    double f = slip_gain * (w->omega * wheel_radius - forward_speed), p = slip_gain * (push->slip - side_speed);
    const double force = std::sqrt(f * f + p * p);
    if (force > limit) {
        f = f / force * limit;
        p = p / force * limit;
    }
    w->omega -= step_seconds * f * wheel_radius / wheel_inertia;
    w->body->ApplyForceToCenter(b2Vec2((float)(p * (double)side.x + f * (double)forward.x),
                                       (float)(p * (double)side.y + f * (double)forward.y)),
                                true);
}

// ---------------------------------------------------------------------------------------------------
// Who touches what

static bool inside(const tile *t, const b2Vec2 &point) {
    for (int32 e = 0; e < t->shape.m_count; e++)
        if (b2Dot(t->shape.m_normals[e], point - t->shape.m_vertices[e]) > 0.0f) return false;
    return true;
}

// Does a fixture of a body touch the tile? Far ones and those whose middle is inside need no search for the nearest points.
static bool touches(const tile *t, const circle *around, const b2Fixture *fixture) {
    static const b2Transform identity(b2Vec2(0.0f, 0.0f), b2Rot(0.0f));
    const b2PolygonShape *shape = (const b2PolygonShape *)fixture->GetShape();
    const b2Transform &at = fixture->GetBody()->GetTransform();
    const b2Vec2 middle = b2Mul(at, shape->m_centroid);
    const float reach = around->reach + 1.5f; // no part of the car is larger
    if (b2DistanceSquared(middle, around->middle) > reach * reach) return false;
    return inside(t, middle) || b2TestOverlap(&t->shape, 0, shape, 0, identity, at);
}

static int32_t find_contacts(hb_car_world *w) {
    int32_t fresh = 0;
    const b2Vec2 hull = w->hull->GetPosition();
    for (wheel &one : w->wheels) one.on_road = false;
    w->at_start = false;
    for (int32_t i = 0; i < w->n_tiles; i++) {
        const circle *around = &w->around[i];
        const float reach = around->reach + 6.0f; // wheels that the joints have not pulled in yet are far out
        if (b2DistanceSquared(hull, around->middle) > reach * reach) continue;
        tile *t = &w->tiles[i];
        for (wheel &one : w->wheels) {
            if (!touches(t, around, one.body->GetFixtureList())) continue;
            one.on_road = true;
            w->at_start = w->at_start || i == 0;
            fresh += !t->visited;
            t->visited = t->plain = true;
        }
        for (const b2Fixture *part = w->hull->GetFixtureList(); part && !t->plain; part = part->GetNext())
            t->plain = touches(t, around, part);
    }
    return fresh;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int32_t hb_car_world_step(hb_car_world *w, const hb_car_push *push, double *physics) {
    for (wheel &one : w->wheels) drive(&one, push);
    if (push->force != 0) w->hull->ApplyForceToCenter(b2Vec2((float)push->force, 0.0f), true);
    const int32_t fresh = find_contacts(w);
    const double begun = now();
    w->world.Step((float)step_seconds, velocity_iterations, position_iterations);
    *physics += now() - begun;
    return fresh;
}

// ---------------------------------------------------------------------------------------------------
// Reading

static hb_car_pose pose_of(const b2Body *body) {
    const b2Vec2 at = body->GetPosition(), v = body->GetLinearVelocity();
    return {at.x, at.y, body->GetAngle(), v.x, v.y, body->GetAngularVelocity()};
}

void hb_car_world_state(const hb_car_world *w, hb_car_state *state) {
    state->hull = pose_of(w->hull);
    for (int k = 0; k < HB_CAR_WHEELS; k++) {
        const wheel *from = &w->wheels[k];
        state->wheel[k] = {pose_of(from->body), from->joint->GetJointAngle(),
                           from->gas,           from->brake,
                           from->steer,         from->omega,
                           from->phase,         from->on_road};
    }
}

bool hb_car_world_at_start(const hb_car_world *world) {
    return world->at_start;
}

bool hb_car_world_visited(const hb_car_world *world, int32_t tile) {
    return world->tiles[tile].visited;
}

bool hb_car_world_plain(const hb_car_world *world, int32_t tile) {
    return world->tiles[tile].plain;
}
