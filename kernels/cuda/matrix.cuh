// matrix.cuh - the instructions of matrix units, and copies that run beside them. emulate/matrix.h has the same functions in C++.
//
// A fragment belongs to a warp; lane = 4g + t. A is 16 rows x k, B k x 8 columns, the result 16 x 8:
//   a[r]: row g + 8 (r % 2), the t-th word of the first (r < 2) or second half of k. b[h]: column g, the t-th word of half h.
//   d[i]: row g + 8 (i / 2), column 2t + i % 2.
// A column of the result depends on that column of B alone.
#ifndef INFER_CUDA_MATRIX_CUH
#define INFER_CUDA_MATRIX_CUH

#include "common.cuh"

#ifndef INFER_CUDA_EMULATE

// d += A B: 8-bit integers, k = 32, exact
static __device__ __forceinline__ void mma_s8(int d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same with k = 16: one half of A and B.
static __device__ __forceinline__ void mma_s8_half(int d[4], const uint32_t a[2], uint32_t b)
{
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b));
}

// d += A B: halves, k = 16, sums in float
static __device__ __forceinline__ void mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ __forceinline__ void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four matrices of 8 x 8 halves: lane 8m + i gives the address of row i of matrix m; r[m] is the t-th word of its row g.
static __device__ __forceinline__ void ldmatrix4(uint32_t r[4], const void *shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((uint32_t)__cvta_generic_to_shared(shared)) : "memory");
}

// The same of the transposed matrices: r[m] holds rows 2t and 2t + 1 of column g.
static __device__ __forceinline__ void ldmatrix4_trans(uint32_t r[4], const void *shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((uint32_t)__cvta_generic_to_shared(shared)) : "memory");
}

// Begins to copy 16 bytes, aligned; zeros where not valid (global is then not read).
static __device__ __forceinline__ void copy_async16(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(global), "r"(valid ? 16 : 0) : "memory");
}
// The same of 8 bytes.
static __device__ __forceinline__ void copy_async8(void *shared, const void *global)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" : : "r"((uint32_t)__cvta_generic_to_shared(shared)), "l"(global) : "memory");
}
// Ends a group of copies.
static __device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" : : : "memory"); }
// Waits for the thread's own copies, but for those of its last LEFT groups. A kernel waits for all before it ends.
template <int LEFT> static __device__ __forceinline__ void copy_wait() { asm volatile("cp.async.wait_group %0;" : : "n"(LEFT) : "memory"); }

#endif
#endif
