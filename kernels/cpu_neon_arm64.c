// cpu_neon_arm64.c - the variant for ARM64 processors with the 8-bit dot product (ARMv8.2 and later).

#pragma GCC target("arch=armv8.2-a+dotprod")

#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "cpu_neon.h"

static bool neon_supported(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has;
#else
    return false;
#endif
}

const struct cpu_variant infer_cpu_neon = NEON_VARIANT("neon", neon_supported);
