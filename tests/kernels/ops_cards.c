// Cards, pretended by the CUDA runtime on the CPU: which one a process gets, and how much of it.
#include "tests/kernels/ops.h"

#include "tests/cuda_on_cpu/ptx.h"

static const hb_device_table *cuda(void) {
    const hb_device_table *table = NULL;
    hb_error error = {""};
    check_ok(hb_device_find("cuda", &table, &error), error);
    return table;
}

static void expect_card(hb_device_choice choice, const char *variant) {
    hb_error error = {""};
    hb_device *device = NULL;
    choice.variant = "auto";
    check_ok(hb_device_open(cuda(), &choice, &device, &error), error);
    assert_string_equal(hb_device_variant(device), variant);
    hb_device_close(device);
}

static void expect_refusal(int32_t card, const char *says) {
    hb_error error = {""};
    hb_device *device = NULL;
    const hb_device_choice choice = {.variant = "auto", .card = card};
    assert_int_not_equal(hb_device_open(cuda(), &choice, &device, &error), HB_OK);
    assert_non_null(strstr(error.message, says));
}

// Capabilities are from the list of nvcc's builds: this one has 8.0, 9.0 and PTX of the last (docs/gpu.md).
static void processes_take_cards_in_turn(void **state) {
    (void)state;
    setenv("HB_CARDS", "9.0 6.1 8.6", 1);
    for (int32_t place = 0; place < 5; place++)
        expect_card((hb_device_choice){.card = -1, .place = place, .places = 5},
                    place % 2 ? "fused, card 2" : "fused, card 0");
    expect_card((hb_device_choice){.card = 2, .place = 0, .places = 5}, "fused, card 2");
    expect_refusal(1, "card 1 has compute capability 6.1");
    expect_refusal(3, "expected a card from 0 to 2, found 3");
    hb_error error = {""};
    assert_int_equal(cuda()->probe(&error), HB_OK);
    assert_non_null(strstr(error.message, "card 1 has")); // the others can be used
}

static void no_card_of_use(void **state) {
    (void)state;
    hb_error error = {""};
    const hb_device_table *table = cuda();
    setenv("HB_CARDS", "6.1 7.0", 1);
    assert_int_equal(table->probe(&error), HB_FAILED);
    assert_non_null(strstr(error.message, "card 0 has"));
    assert_non_null(strstr(error.message, "card 1 has"));
    setenv("HB_CARDS", "", 1);
    assert_int_equal(table->probe(&error), HB_FAILED);
    assert_non_null(strstr(error.message, "no NVIDIA driver or card"));
}

// Processes on one card get equal parts of it, whatever the others have taken.
static void a_card_is_shared(void **state) {
    (void)state;
    setenv("HB_CARDS", "9.0 9.0", 1);
    const hb_net_def def = {
        .inputs = 28, .outputs = 8, .n_hidden = 1, .hidden = {64}, .last = HB_TANH, .rule = "ABCD_lr", .init = "uni"};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    int32_t size[4];
    for (int32_t places = 1; places <= 4; places++) {
        hb_error error = {""};
        hb_device *device = NULL;
        const hb_device_choice choice = {.variant = "auto", .card = -1, .places = places};
        check_ok(hb_device_open(cuda(), &choice, &device, &error), error);
        size[places - 1] = hb_device_group_size(device, &net);
        hb_device_close(device);
    }
    assert_int_equal(size[1], size[0]); // one a card
    assert_true(size[2] == size[0] / 2);
    assert_int_equal(size[3], size[2]);
}

int ops_cards(void) {
    const char *given = getenv("HB_CARDS");
    char before[256];
    snprintf(before, sizeof before, "%s", given ? given : "9.0");
    const struct CMUnitTest tests[] = {cmocka_unit_test(processes_take_cards_in_turn),
                                       cmocka_unit_test(a_card_is_shared), cmocka_unit_test(no_card_of_use)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    setenv("HB_CARDS", before, 1);
    return failed;
}
