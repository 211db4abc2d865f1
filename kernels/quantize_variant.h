// quantize_variant.h: all quantizers, compiled for the including file's instruction set and LANES.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "quantize.h"
#include "quantize_search.h"

#include "quantize_32.h"
#include "quantize_few.h"
#include "quantize_k.h"

static infer_quantize_row *const quantizers[INFER_DTYPE_COUNT] = {
    [INFER_DTYPE_Q4_0] = quantize_q4_0, [INFER_DTYPE_Q4_1] = quantize_q4_1, [INFER_DTYPE_Q5_0] = quantize_q5_0,
    [INFER_DTYPE_Q5_1] = quantize_q5_1, [INFER_DTYPE_Q8_0] = quantize_q8_0, [INFER_DTYPE_Q2_K] = quantize_q2_k,
    [INFER_DTYPE_Q3_K] = quantize_q3_k, [INFER_DTYPE_Q4_K] = quantize_q4_k, [INFER_DTYPE_Q5_K] = quantize_q5_k,
    [INFER_DTYPE_Q6_K] = quantize_q6_k, [INFER_DTYPE_IQ4_NL] = quantize_iq4_nl, [INFER_DTYPE_IQ4_XS] = quantize_iq4_xs,
    [INFER_DTYPE_MXFP4] = quantize_mxfp4, [INFER_DTYPE_TQ1_0] = quantize_tq1_0, [INFER_DTYPE_TQ2_0] = quantize_tq2_0,
};
