package kernels

/*
#include <stdlib.h>
#include "cpu_device.h"

// Runs one product as the backend would, on weights that lie in GGUF's layout; packed: interleaved first where the variant can. scattered:
// columns lie in reverse order and are picked.
static int test_product(const char *variant, uint32_t dtype, int packed, int scattered, const void *raw, int64_t rows, int64_t cols, const float *x, int32_t columns, float *y)
{
    const struct cpu_variant *v = infer_cpu_variant(variant);
    const struct infer_type_traits *traits = infer_type_traits(dtype);
    if (!v || !traits)
        return INFER_ERR_UNSUPPORTED;
    struct weight w = {.dtype = (enum infer_dtype)dtype, .form = infer_form_of(v, (enum infer_dtype)dtype, cols), .cols = cols, .rows = rows, .mats = 1, .raw = raw};
    w.stride = cols / traits->block * traits->block_bytes;
    w.panels = (rows + PANEL_ROWS - 1) / PANEL_ROWS;
    w.panel_bytes = w.panel_step = packed ? v->panel_bytes(w.dtype, cols) : 0;
    int64_t form_bytes = (act_bytes(w.form, cols) + 63) / 64 * 64, y_stride = w.panels * PANEL_ROWS;
    uint8_t *forms = aligned_alloc(64, (size_t)(form_bytes * columns + 64) / 64 * 64), *scratch = aligned_alloc(64, (size_t)(v->product_scratch(cols) + 127) / 64 * 64);
    float *out = malloc((size_t)(y_stride * columns) * 4);
    w.packed = w.panel_bytes > 0 ? aligned_alloc(64, (size_t)(w.panel_bytes * w.panels + 63) / 64 * 64) : NULL;
    int64_t tile_bytes = v->tile_bytes && columns >= TILED_COLUMNS && !scattered ? v->tile_bytes(w.form, cols) : 0;
    uint8_t *tiles = tile_bytes > 0 ? aligned_alloc(64, (size_t)(tile_bytes * ((columns + 15) / 16))) : NULL;
    int32_t *pick = malloc((size_t)columns * sizeof *pick);
    int status = forms && scratch && out && pick && (tiles || tile_bytes == 0) ? INFER_OK : INFER_ERR_MEMORY;
    if (status == INFER_OK) {
        for (int64_t p = 0; w.packed && p < w.panels; p++)
            v->pack(w.dtype, w.raw + p * PANEL_ROWS * w.stride, w.stride, rows - p * PANEL_ROWS < PANEL_ROWS ? (int)(rows - p * PANEL_ROWS) : PANEL_ROWS, cols, w.packed + p * w.panel_bytes);
        for (int32_t c = 0; c < columns; c++) {
            pick[c] = columns - 1 - c;
            infer_write_form(v, w.form, x + c * cols, cols, forms + (scattered ? pick[c] : c) * form_bytes);
            if (tiles)
                v->spread(w.form, forms + c * form_bytes, cols, c, tiles);
        }
        struct columns in = {.data = forms, .stride = form_bytes, .pick = scattered ? pick : NULL, .count = columns, .tiles = tiles, .tile_stride = tile_bytes};
        for (int64_t p = 0; p < w.panels; p += PRODUCT_PANELS) {
            int64_t count = w.panels - p < PRODUCT_PANELS ? w.panels - p : PRODUCT_PANELS;
            v->product(&w, 0, p, count, &in, out + p * PANEL_ROWS, y_stride, scratch);
        }
        for (int32_t c = 0; c < columns; c++)
            memcpy(y + c * rows, out + c * y_stride, (size_t)rows * 4);
    }
    free(forms);
    free(tiles);
    free(pick);
    free(scratch);
    free(out);
    free(w.packed);
    return status;
}

// Quantizes n activations in a form and copies the bytes out, padding included as zeros.
static int64_t test_quantize(const char *variant, int form, const float *x, int64_t n, uint8_t *out)
{
    const struct cpu_variant *v = infer_cpu_variant(variant);
    int64_t bytes = act_bytes((enum act_form)form, n);
    memset(out, 0, (size_t)bytes);
    infer_write_form(v, (enum act_form)form, x, n, out);
    return bytes;
}

static void test_act(const char *variant, int32_t act, const float *param, float *x, int64_t n) { infer_cpu_variant(variant)->act(act, param, x, n); }
static void test_softmax(const char *variant, float *x, int64_t n) { infer_cpu_variant(variant)->softmax(x, n); }
static void test_angles(const char *variant, const float *f, int64_t n, int32_t position, float *out) { infer_cpu_variant(variant)->angles(f, n, position, 1, out); }
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Products of a variant's parts, for tests that hold variants against each other: _test.go files cannot use cgo.

// product multiplies rows x cols weights, as they lie in a GGUF file, by columns of activations. Result: [columns][rows].
func product(variant string, t DType, packed bool, raw []byte, rows, cols int64, x []float32, columns int) ([]float32, error) {
	return anyProduct(variant, t, packed, false, raw, rows, cols, x, columns)
}

// anyProduct is product of columns that may lie scattered, as an expert's do.
func anyProduct(variant string, t DType, packed, scattered bool, raw []byte, rows, cols int64, x []float32, columns int) ([]float32, error) {
	name := C.CString(variant)
	defer C.free(unsafe.Pointer(name))
	y := make([]float32, rows*int64(columns))
	flag := func(b bool) C.int {
		if b {
			return 1
		}
		return 0
	}
	status := C.test_product(name, C.uint32_t(t), flag(packed), flag(scattered), unsafe.Pointer(&raw[0]), C.int64_t(rows), C.int64_t(cols), (*C.float)(&x[0]), C.int32_t(columns), (*C.float)(&y[0]))
	if status != C.INFER_OK {
		return nil, fmt.Errorf("product: %w", statusErrors[status])
	}
	return y, nil
}

// quantizeActivations returns the bytes of activations quantized for a family.
func quantizeActivations(variant string, f Family, x []float32) []byte {
	name := C.CString(variant)
	defer C.free(unsafe.Pointer(name))
	form := C.int(C.FORM_32)
	if f == Family256 {
		form = C.FORM_256
	}
	out := make([]byte, 4*len(x))
	n := C.test_quantize(name, form, (*C.float)(&x[0]), C.int64_t(len(x)), (*C.uint8_t)(&out[0]))
	return out[:n]
}

// activate applies an activation function in place.
func activate(variant string, act Act, param [3]float32, x []float32) {
	name := C.CString(variant)
	defer C.free(unsafe.Pointer(name))
	C.test_act(name, C.int32_t(act), (*C.float)(&param[0]), (*C.float)(&x[0]), C.int64_t(len(x)))
}

// softmax normalises in place.
func softmax(variant string, x []float32) {
	name := C.CString(variant)
	defer C.free(unsafe.Pointer(name))
	C.test_softmax(name, (*C.float)(&x[0]), C.int64_t(len(x)))
}

// rotations returns cosine and sine pairs of position * frequency.
func rotations(variant string, freqs []float32, position int32) []float32 {
	name := C.CString(variant)
	defer C.free(unsafe.Pointer(name))
	out := make([]float32, 2*len(freqs))
	C.test_angles(name, (*C.float)(&freqs[0]), C.int64_t(len(freqs)), C.int32_t(position), (*C.float)(&out[0]))
	return out
}
