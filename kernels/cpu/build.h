// What the sources of one build of the CPU device share. They are compiled once per instruction set with HB_CPU_BUILD set to its
// name (generic, avx2, avx512); what they export carries that name at its end.
#ifndef HB_CPU_BUILD_H
#define HB_CPU_BUILD_H

#include "kernels/cpu/cpu.h"

#define HB_STRING_(x)     #x
#define HB_STRING(x)      HB_STRING_(x)
#define HB_JOIN_(a, b)    a##_##b
#define HB_JOIN(a, b)     HB_JOIN_(a, b)
#define HB_OF_BUILD(name) HB_JOIN(name, HB_CPU_BUILD)

#endif
