// Every operation of ops.h on every device and build.
//
// test_ops [ORDER]: the order of threads and blocks where CUDA runs on the CPU, see ptx.h.
#include "tests/kernels/ops.h"

#ifdef HB_CUDA_ON_CPU
#include "tests/cuda_on_cpu/ptx.h"
#endif

int main(int argc, char **argv) {
#ifdef HB_CUDA_ON_CPU
    ptx_order = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
#else
    (void)argc, (void)argv;
#endif
    name_single_build();
    int failed = ops_search() + ops_step() + ops_expand() + ops_vision() + ops_lstm() + ops_products() + ops_robots();
#ifdef HB_CUDA_ON_CPU
    failed += ops_traffic() + ops_cards();
#endif
    return failed > 0;
}
