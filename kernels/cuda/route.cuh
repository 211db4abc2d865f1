// route.cuh - ROUTE: a warp chooses a row's experts, one after the other, the lower id among equals.
#ifndef INFER_CUDA_ROUTE_CUH
#define INFER_CUDA_ROUTE_CUH

#include "math.cuh"
#include "rows.cuh"

#define ROUTE_EXPERTS 1024 // at most, of a row

struct route_shape {
    int32_t gating, used, groups, groups_used, normalise;
    float factor;
};

// Softmax of n numbers in shared memory, by a warp.
static __device__ void warp_softmax(float *x, int n)
{
    int lane = (int)threadIdx.x;
    float highest = -INFINITY, sum = 0;
    for (int i = lane; i < n; i += 32)
        highest = fmaxf(highest, x[i]);
    highest = warp_max(highest);
    for (int i = lane; i < n; i += 32) {
        x[i] = exp_of(x[i] - highest);
        sum += x[i];
    }
    sum = warp_sum(sum);
    for (int i = lane; i < n; i += 32)
        x[i] = x[i] / sum;
    __syncwarp();
}

// Keeps only the groups with the highest sums of their two best choices; others' choices become the worst.
static __device__ void limit_groups(float *choice, float *score, int experts, int groups, int used)
{
    int size = experts / groups, lane = (int)threadIdx.x;
    for (int g = lane; g < groups; g += 32) {
        float best = -INFINITY, second = -INFINITY;
        for (int i = g * size; i < (g + 1) * size; i++) {
            float v = choice[i];
            second = v > best ? best : v > second ? v : second;
            best = v > best ? v : best;
        }
        score[g] = size > 1 ? best + second : best;
    }
    __syncwarp();
    for (int g = lane; g < groups; g += 32) {
        int better = 0;
        for (int o = 0; o < groups; o++)
            better += score[o] > score[g] || (score[o] == score[g] && o < g);
        for (int i = g * size; better >= used && i < (g + 1) * size; i++)
            choice[i] = -INFINITY;
    }
    __syncwarp();
}

// The untaken expert with the highest choice; taken ones have a bit in their lane's mask (expert i: bit i/32 of lane i%32).
static __device__ int best_expert(const float *choice, int experts, uint32_t taken)
{
    int lane = (int)threadIdx.x, best = -1;
    for (int i = lane; i < experts; i += 32)
        if (!(taken >> i / 32 & 1) && (best < 0 || choice[i] > choice[best]))
            best = i;
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        int other = __shfl_xor_sync(0xffffffffu, best, lanes);
        if (other < 0 || best < 0) {
            best = other < 0 ? best : other;
            continue;
        }
        int low = best < other ? best : other, high = best < other ? other : best; // both lanes decide alike, even about NaN
        best = choice[high] > choice[low] ? high : low;
    }
    return best;
}

// grid: (rows), block: 32
__global__ void __launch_bounds__(32) route(const struct step *step, struct view logits, struct view bias, struct view ids, struct view weights, struct route_shape s)
{
    __shared__ float gates[ROUTE_EXPERTS], choice[ROUTE_EXPERTS], chosen[ROUTE_EXPERTS]; // chosen: scores of groups first
    int64_t row = blockIdx.x;
    int lane = (int)threadIdx.x, experts = (int)logits.cols;
    if (row >= rows_in(step, logits.rows_kind))
        return;
    for (int i = lane; i < experts; i += 32) {
        float v = row_of(logits, row)[i];
        gates[i] = s.gating == INFER_GATE_SIGMOID ? sigmoid_of(v) : v;
    }
    __syncwarp();
    if (s.gating == INFER_GATE_SOFTMAX)
        warp_softmax(gates, experts);
    for (int i = lane; i < experts; i += 32)
        choice[i] = bias.data ? gates[i] + ((const float *)bias.data)[i] : gates[i];
    __syncwarp();
    if (s.groups > 1 && s.groups_used < s.groups)
        limit_groups(choice, chosen, experts, s.groups, s.groups_used);
    uint32_t taken = 0;
    for (int k = 0; k < s.used; k++) {
        int best = best_expert(choice, experts, taken);
        if (best % 32 == lane) {
            taken |= 1u << best / 32;
            ((int32_t *)row_of(ids, row))[k] = best;
            chosen[k] = gates[best];
        }
    }
    __syncwarp();
    if (s.gating == INFER_GATE_SOFTMAX_CHOSEN)
        warp_softmax(chosen, s.used);
    float sum = 0;
    for (int k = 0; s.normalise && k < s.used; k++)
        sum += chosen[k];
    sum = sum > 6.103515625e-5f ? sum : 6.103515625e-5f; // the smallest normal f16, as the models were trained with
    for (int k = lane; k < s.used; k += 32)
        row_of(weights, row)[k] = (s.normalise ? chosen[k] / sum : chosen[k]) * s.factor;
}

#endif
