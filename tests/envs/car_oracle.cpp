#include "tests/envs/car_oracle.h"

#include <box2d/box2d.h>
#include <cmath>
#include <set>
#include <vector>

// What a body of the world is: a tile, a wheel, or (neither) the hull.
struct thing {
    int tile = -1, wheel = -1;
    bool visited = false, plain = false;
    std::set<int> tiles; // that a wheel touches
    double gas = 0, brake = 0, steer = 0, omega = 0, phase = 0;
    b2Body *body = nullptr;
    b2RevoluteJoint *joint = nullptr;
};

struct car_oracle : b2ContactListener {
    b2World world{b2Vec2(0, 0)};
    std::vector<thing> tiles;
    thing wheels[4], hull;

    void touch(b2Contact *contact, bool begin) {
        thing *a = (thing *)contact->GetFixtureA()->GetBody()->GetUserData().pointer;
        thing *b = (thing *)contact->GetFixtureB()->GetBody()->GetUserData().pointer;
        thing *tile = a->tile >= 0 ? a : b->tile >= 0 ? b : nullptr, *other = tile == a ? b : a;
        if (!tile) return;
        tile->plain = true;
        if (other->wheel < 0) return;
        if (begin) {
            other->tiles.insert(tile->tile);
            tile->visited = true;
        } else {
            other->tiles.erase(tile->tile);
        }
    }
    void BeginContact(b2Contact *contact) override { touch(contact, true); }
    void EndContact(b2Contact *contact) override { touch(contact, false); }
};

static b2PolygonShape shape_of(std::vector<b2Vec2> points) {
    b2PolygonShape shape;
    shape.Set(points.data(), (int32)points.size());
    return shape;
}

static void add_tile(car_oracle *o, const hb_car_track *track, int i) {
    double corner[4][2];
    hb_car_tile(track, i, corner);
    std::vector<b2Vec2> points;
    for (auto &c : corner) points.push_back(b2Vec2((float)c[0], (float)c[1]));
    const b2PolygonShape shape = shape_of(points);
    o->tiles[i].tile = i;
    b2BodyDef body;
    body.userData.pointer = (uintptr_t)&o->tiles[i];
    b2FixtureDef fixture;
    fixture.shape = &shape;
    fixture.isSensor = true;
    o->tiles[i].body = o->world.CreateBody(&body);
    o->tiles[i].body->CreateFixture(&fixture);
}

static const double k = 0.02;

static b2Body *add_body(car_oracle *o, thing *what, double x, double y, double angle) {
    b2BodyDef def;
    def.type = b2_dynamicBody;
    def.position.Set((float)x, (float)y);
    def.angle = (float)angle;
    def.userData.pointer = (uintptr_t)what;
    return what->body = o->world.CreateBody(&def);
}

static void add_car(car_oracle *o, const hb_car_point &start) {
    static const std::vector<std::vector<std::pair<double, double>>> parts = {
        {{-60, 130}, {60, 130}, {60, 110}, {-60, 110}},
        {{-15, 120}, {15, 120}, {20, 20}, {-20, 20}},
        {{25, 20}, {50, -10}, {50, -40}, {20, -90}, {-20, -90}, {-50, -40}, {-50, -10}, {-25, 20}},
        {{-50, -120}, {50, -120}, {50, -90}, {-50, -90}}};
    static const double at[4][2] = {{-55, 80}, {55, 80}, {-55, -82}, {55, -82}};
    b2Body *hull = add_body(o, &o->hull, start.x, start.y, start.beta);
    for (auto &part : parts) {
        std::vector<b2Vec2> points;
        for (auto &p : part) points.push_back(b2Vec2((float)(p.first * k), (float)(p.second * k)));
        const b2PolygonShape shape = shape_of(points);
        hull->CreateFixture(&shape, 1.0f);
    }
    for (int w = 0; w < 4; w++) {
        o->wheels[w].wheel = w;
        b2Body *body = add_body(o, &o->wheels[w], start.x + at[w][0] * k, start.y + at[w][1] * k, start.beta);
        const float x = (float)(14 * k), y = (float)(27 * k);
        const b2PolygonShape shape = shape_of({b2Vec2(-x, y), b2Vec2(x, y), b2Vec2(x, -y), b2Vec2(-x, -y)});
        b2FixtureDef fixture;
        fixture.shape = &shape;
        fixture.density = 0.1f;
        fixture.filter.categoryBits = 0x20;
        fixture.filter.maskBits = 0x1;
        fixture.restitution = 0;
        body->CreateFixture(&fixture);
        b2RevoluteJointDef joint;
        joint.bodyA = hull;
        joint.bodyB = body;
        joint.localAnchorA.Set((float)(at[w][0] * k), (float)(at[w][1] * k));
        joint.enableMotor = joint.enableLimit = true;
        joint.maxMotorTorque = (float)(180 * 900 * k * k);
        joint.lowerAngle = -0.4f;
        joint.upperAngle = 0.4f;
        o->wheels[w].joint = (b2RevoluteJoint *)o->world.CreateJoint(&joint);
    }
}

car_oracle *car_oracle_create(const hb_car_track *track) {
    car_oracle *o = new car_oracle;
    o->tiles.resize((size_t)track->n);
    o->world.SetContactListener(o);
    for (int i = 0; i < track->n; i++) add_tile(o, track, i);
    add_car(o, track->point[0]);
    return o;
}

void car_oracle_destroy(car_oracle *oracle) {
    oracle->world.SetContactListener(nullptr);
    delete oracle;
}

static double sign(double x) {
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

static void drive(thing &w, const hb_car_push &push) {
    const double angle = (double)w.joint->GetJointAngle(), dt = 0.02;
    w.joint->SetMotorSpeed((float)(sign(w.steer - angle) * std::min(50.0 * std::fabs(w.steer - angle), 3.0)));
    double limit = 400 * 0.6 * push.friction;
    for (size_t t = 0; t < w.tiles.size(); t++) limit = std::max(limit, 400 * 1.0 * push.friction);
    const b2Vec2 f = w.body->GetWorldVector(b2Vec2(0, 1)), s = w.body->GetWorldVector(b2Vec2(1, 0));
    const b2Vec2 v = w.body->GetLinearVelocity();
    const double vf = (double)f.x * (double)v.x + (double)f.y * (double)v.y;
    const double vs = (double)s.x * (double)v.x + (double)s.y * (double)v.y;
    w.omega += dt * 40000 * w.gas / 1.6 / (std::fabs(w.omega) + 5.0);
    if (w.brake >= 0.9) {
        w.omega = 0;
    } else if (w.brake > 0) {
        double change = 15 * w.brake;
        if (std::fabs(change) > std::fabs(w.omega)) change = std::fabs(w.omega);
        w.omega -= sign(w.omega) * change;
    }
    w.phase += w.omega * dt;
    double along = 205000 * k * k * (w.omega * (27 * k) - vf), across = 205000 * k * k * (-vs + push.slip);
    const double force = std::sqrt(along * along + across * across);
    if (std::fabs(force) > limit) {
        along = along / force * limit;
        across = across / force * limit;
    }
    w.omega -= dt * along * (27 * k) / 1.6;
    w.body->ApplyForceToCenter(b2Vec2((float)(across * (double)s.x + along * (double)f.x),
                                      (float)(across * (double)s.y + along * (double)f.y)),
                               true);
}

void car_oracle_step(car_oracle *o, double steer, double gas, double brake, const hb_car_push *push) {
    o->wheels[0].steer = o->wheels[1].steer = -steer;
    for (int w = 2; w < 4; w++)
        o->wheels[w].gas += std::min(std::min(std::max(gas, 0.0), 1.0) - o->wheels[w].gas, 0.1);
    for (thing &w : o->wheels) w.brake = brake;
    for (thing &w : o->wheels) drive(w, *push);
    if (push->force != 0)
        o->hull.body->ApplyForce(b2Vec2((float)push->force, 0), o->hull.body->GetWorldCenter(), true);
    o->world.Step(0.02f, 6 * 30, 2 * 30);
}

hb_car_pose car_oracle_pose(const car_oracle *o, int part) {
    const b2Body *b = part == 0 ? o->hull.body : o->wheels[part - 1].body;
    const b2Vec2 at = b->GetPosition(), v = b->GetLinearVelocity();
    return {at.x, at.y, b->GetAngle(), v.x, v.y, b->GetAngularVelocity()};
}

double car_oracle_omega(const car_oracle *o, int wheel) {
    return o->wheels[wheel].omega;
}

double car_oracle_phase(const car_oracle *o, int wheel) {
    return o->wheels[wheel].phase;
}

int car_oracle_visited(const car_oracle *o, int tile) {
    return o->tiles[(size_t)tile].visited;
}

int car_oracle_plain(const car_oracle *o, int tile) {
    return o->tiles[(size_t)tile].plain;
}

void car_oracle_hull(const car_oracle *o, double out[4]) {
    const b2Body *hull = o->hull.body;
    out[0] = (double)hull->GetMass();
    out[1] = (double)hull->GetLocalCenter().x;
    out[2] = (double)hull->GetLocalCenter().y;
    out[3] = (double)hull->GetInertia();
}
