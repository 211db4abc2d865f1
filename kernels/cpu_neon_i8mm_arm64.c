// cpu_neon_i8mm_arm64.c - the variant for ARM64 processors with 8-bit matrix products (ARMv8.6, optional before).

#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")

#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#define NEON_MATRIX
#include "cpu_neon.h"

static bool matrix_supported(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, NULL, 0) == 0 && has;
#else
    return false;
#endif
}

const struct cpu_variant infer_cpu_neon_i8mm = NEON_VARIANT("neon-i8mm", matrix_supported);
