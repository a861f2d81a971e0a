#include "envs/plugin.h"
#include "host/base/locale.h"
#include "host/base/writer.h"
#include "host/hebbes.h"
#include "host/policy/policy.h"
#include "host/search/search.h"
#include "kernels/device.h"

#include <hdf5.h>

static void print_devices(FILE *file) {
    fprintf(file, "devices\n");
    for (int32_t k = 0; k < hb_n_devices; k++) {
        const hb_device_table *table = hb_devices[k];
        hb_error why = {""};
        hb_device *device;
        hb_error cards = {""};
        const hb_device_choice choice = {.variant = "auto", .card = -1};
        if (table->probe(&cards) == HB_OK && hb_device_open(table, &choice, &device, &why) == HB_OK) {
            fprintf(file, "  %-8s usable, %s: %s\n", table->name, hb_device_variant(device), table->summary);
            if (*cards.message) fprintf(file, "           but %s\n", cards.message);
            hb_device_close(device);
        } else {
            fprintf(file, "  %-8s not usable: %s%s\n", table->name, cards.message, why.message);
        }
    }
}

static void print_envs(FILE *file) {
    fprintf(file, "environments\n");
    const hb_env_table *env;
    for (int k = 0; (env = hb_env_number(k)); k++) {
        fprintf(file, "  %-8s %s", env->name, env->summary);
        if (env->library) fprintf(file, "; %s %s", env->library, env->library_version());
        fprintf(file, "\n           variations:%s", env->variations ? "" : " default, and those of the model");
        for (int v = 0; env->variations && env->variations[v]; v++)
            fprintf(file, "%s %s", v ? "," : "", env->variations[v]);
        fputc('\n', file);
    }
}

const char *hb_environment(int k) {
    const hb_env_table *env = hb_env_number(k);
    return env ? env->name : NULL;
}

static void print(FILE *file) {
    unsigned major, minor, release;
    H5get_libversion(&major, &minor, &release);
    fprintf(file, "hebbes %s, HDF5 %u.%u.%u, compiler %s\n", HB_VERSION, major, minor, release, __VERSION__);
    print_devices(file);
    print_envs(file);
    fprintf(file, "policies\n");
    for (int k = 0; hb_policies[k].name; k++)
        fprintf(file, "  %-8s %s\n", hb_policies[k].name, hb_policies[k].summary);
    fprintf(file, "searches\n");
    for (int k = 0; hb_searches[k]; k++) fprintf(file, "  %-8s %s\n", hb_searches[k]->name, hb_searches[k]->summary);
    fprintf(file, "plasticity rules (change of weight w_ij by input o_i and output o_j)\n");
    for (int32_t k = 0; k < hb_n_rules; k++)
        fprintf(file, "  %-20s %d coefficients: %s\n", hb_rules[k].name, hb_rules[k].n_coefficients,
                hb_rules[k].equation);
    fprintf(file, "initial weights\n");
    for (int32_t k = 0; k < hb_n_initialisers; k++)
        fprintf(file, "  %-12s %s\n", hb_initialisers[k].name, hb_initialisers[k].summary);
}

hb_status hb_info(const hb_writer *writer, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    FILE *file = hb_writer_open(writer);
    if (file) print(file);
    return hb_writer_close(file, HB_OK, error);
}
